"""Recorded decisions with the names of their triggers and the state of their runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.ports.store import Row, Store
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.stores.portable.rows import Malformed, numbered, quarantine, read_rows
from workflow_scheduler.stores.portable.scan import Range

COLUMNS = (
    "trigger_id", "event_id", "workflow_id", "outcome", "reason", "predicates", "run_id", "decided_at",
    "trigger", "trigger_type", "workflow", "run_status", "event_type", "event_source",
)  # fmt: skip
_SELECT = """SELECT d.trigger_id, d.event_id, d.workflow_id, d.outcome, d.reason, d.predicates, d.run_id, d.decided_at,
      t.name, t.trigger_subtype, w.name, r.status, e.type, e.source
    FROM decisions d
    LEFT JOIN trigger_index t ON t.tenant_id = d.tenant_id AND t.id = d.trigger_id
    LEFT JOIN workflows w ON w.tenant_id = d.tenant_id AND w.id = d.workflow_id
    LEFT JOIN runs r ON r.tenant_id = d.tenant_id AND r.id = d.run_id
    LEFT JOIN events e ON e.tenant_id = d.tenant_id AND e.id = d.event_id
    WHERE d.tenant_id = :tenant"""


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A decision with what is known about its trigger, workflow, run and event; None where that is gone by now."""

    trigger_id: str
    event_id: str
    workflow_id: str
    outcome: Outcome
    reason: Reason
    predicates: bytes
    run_id: str | None
    decided_at: int
    trigger: str | None
    trigger_type: str | None
    workflow: str | None
    run_status: str | None
    event_type: str | None
    event_source: str | None


class TriggerName(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A trigger, live or gone, by name. Times are microseconds."""

    id: str
    name: str
    type: str
    workflow_id: str
    workflow: str
    deployment_status: str
    mode: str
    created_at: int
    updated_at: int


class DecisionRepository:
    """Reads the decisions of a tenant."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store

    async def _rows(self, tenant_id: str, rows: list[Row], now: int) -> list[DecisionRow | Malformed]:
        found = read_rows(DecisionRow, COLUMNS, rows, "decisions", key=(1, 0))
        await quarantine(self._store, tenant_id, found, now)
        return found

    async def of_event(
        self, tenant_id: str, event_id: str, now: int, *, after: str = "", limit: int = 1_000
    ) -> list[DecisionRow | Malformed]:
        """Return the decisions of one event, in order of their trigger's id, from above the trigger id `after`."""
        rows = await self._store.read(
            f"{_SELECT} AND d.event_id = :event AND d.trigger_id > :after ORDER BY d.trigger_id LIMIT :limit",
            {"tenant": tenant_id, "event": event_id, "after": after, "limit": limit},
        )
        return await self._rows(tenant_id, rows, now)

    async def of_trigger(
        self, tenant_id: str, trigger_id: str, ids: Range, limit: int, now: int
    ) -> tuple[list[DecisionRow | Malformed], str | None]:
        """Return the newest decisions of one trigger about events in `ids`, and the cursor (an event id) to go on."""
        rows = await self._store.read(
            f"""{_SELECT} AND d.trigger_id = :trigger AND d.event_id < :before AND d.event_id >= :since
                ORDER BY d.event_id DESC LIMIT :limit""",
            {"tenant": tenant_id, "trigger": trigger_id, "before": ids.before, "since": ids.since, "limit": limit + 1},
        )
        found = await self._rows(tenant_id, rows[:limit], now)
        return found, str(rows[limit - 1][1]) if len(rows) > limit else None

    async def of_run(self, tenant_id: str, event_id: str, trigger_id: str, now: int) -> DecisionRow | Malformed | None:
        """Return the decision of one event for one trigger."""
        rows = await self._store.read(
            f"{_SELECT} AND d.event_id = :event AND d.trigger_id = :trigger",
            {"tenant": tenant_id, "event": event_id, "trigger": trigger_id},
        )
        found = await self._rows(tenant_id, rows, now)
        return found[0] if found else None

    async def triggers(self, tenant_id: str, ids: Sequence[str]) -> dict[str, TriggerName]:
        """Return these triggers by id, whether they are live or not."""
        if not ids:
            return {}
        names, params = numbered("id", ids)
        found = await self._named(f"t.id IN ({names})", {"tenant": tenant_id, **params})
        return {trigger.id: trigger for trigger in found}

    async def find_trigger(self, tenant_id: str, reference: str) -> list[TriggerName]:
        """Return the triggers that `reference` can mean: an id, `workflow/trigger`, or a workflow's name or id."""
        workflow, slash, name = reference.partition("/")
        params = {"tenant": tenant_id, "ref": reference, "workflow": workflow, "name": name}
        by_id = await self._named("t.id = :ref", params)
        if by_id:
            return by_id
        which = "w.id = (SELECT id FROM workflows WHERE tenant_id = :tenant AND name = :workflow)"
        found = await self._named(f"{which} AND t.name = :name" if slash else which, params)
        return [trigger for trigger in found if trigger.deployment_status == "active"] or found

    async def _named(self, where: str, params: dict[str, Any]) -> list[TriggerName]:
        rows = await self._store.read(
            f"""SELECT t.id, t.name, t.trigger_subtype, t.workflow_id, w.name, t.deployment_status, t.mode,
                  t.created_at, t.updated_at
                FROM trigger_index t JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id
                WHERE t.tenant_id = :tenant AND {where} ORDER BY t.name LIMIT 500""",
            params,
        )
        found = read_rows(TriggerName, TriggerName.__struct_fields__, rows, "trigger_index")
        return [trigger for trigger in found if isinstance(trigger, TriggerName)]

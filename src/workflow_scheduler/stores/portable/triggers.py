"""Stored triggers, as the control plane sees them: live, waiting for a deployment, or out of service."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.model.deployment import TriggerRecord
from workflow_scheduler.core.model.trigger import Mode
from workflow_scheduler.core.ports.store import Page, Sql, Store, Work
from workflow_scheduler.stores.portable import sources
from workflow_scheduler.stores.portable.publishing import BUMP_EPOCH
from workflow_scheduler.stores.portable.rows import Malformed, numbered, quarantine, read_row, read_rows
from workflow_scheduler.stores.portable.scan import id_floor

COLUMNS = TriggerRecord.__struct_fields__
_SELECT = """SELECT t.id, t.workflow_id, w.name, t.workflow_version, t.name, t.trigger_subtype, t.trigger_config,
    t.shared, t.index_key, t.deployment_status, t.mode, t.mode_reason, t.revision, t.error, t.created_at, t.updated_at,
    w.paused, s.next_fire_at, s.next_nominal, s.last_fired_at, COALESCE(s.paused, 0), COALESCE(s.completed, 0),
    CASE WHEN w.paused = 1 THEN w.paused_reason ELSE s.paused_reason END
  FROM trigger_index t JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id
  LEFT JOIN schedules s ON s.tenant_id = t.tenant_id AND s.trigger_id = t.id
  WHERE t.tenant_id = :tenant AND t.removed_at IS NULL"""


class TriggerFilter(msgspec.Struct, frozen=True):
    """What to list: the triggers of a workflow, of a type, in a mode."""

    workflow_id: str | None = None
    type: str | None = None
    mode: str | None = None


class LastDecision(msgspec.Struct, frozen=True, gc=False):
    """The newest decision about a trigger; `decided_at` is in microseconds."""

    event_id: str
    outcome: str
    reason: str
    run_id: str | None
    decided_at: int


class TriggerRepository:
    """Reads the triggers of a tenant and sets their modes."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def get(self, tenant_id: str, trigger_id: str) -> TriggerRecord:
        """Return one trigger.

        Raises:
            NotFound: the tenant has no such trigger.

        """
        rows = await self._store.read(f"{_SELECT} AND t.id = :id", {"tenant": tenant_id, "id": trigger_id})
        if not rows:
            raise no_trigger(trigger_id)
        return read_row(TriggerRecord, COLUMNS, rows[0])

    async def page(self, tenant_id: str, wanted: TriggerFilter, limit: int, after: str | None, now: int) -> Page:
        """Return triggers in the order of their ids; `next` is the id that the following page is after."""
        where, params = "", {"tenant": tenant_id, "after": after or "", "limit": limit + 1}
        for column, name, value in (
            ("t.workflow_id", "workflow", wanted.workflow_id),
            ("t.trigger_subtype", "type", wanted.type),
            ("t.mode", "mode", wanted.mode),
        ):
            if value is not None:
                where += f" AND {column} = :{name}"
                params[name] = value
        rows = await self._store.read(f"{_SELECT} AND t.id > :after{where} ORDER BY t.id LIMIT :limit", params)
        found = read_rows(TriggerRecord, COLUMNS, rows[:limit], "trigger_index")
        await quarantine(self._store, tenant_id, found, now)
        items = [row for row in found if not isinstance(row, Malformed)]
        return Page(items, str(rows[limit - 1][0]) if len(rows) > limit else None)

    async def of_workflows(self, tenant_id: str, workflow_ids: Sequence[str]) -> list[TriggerRecord]:
        """Return the triggers of some workflows, by name."""
        if not workflow_ids:
            return []
        names, params = numbered("w", workflow_ids)
        rows = await self._store.read(
            f"{_SELECT} AND t.workflow_id IN ({names}) ORDER BY t.name", {"tenant": tenant_id, **params}
        )
        found = read_rows(TriggerRecord, COLUMNS, rows, "trigger_index")
        return [row for row in found if not isinstance(row, Malformed)]

    async def last_decisions(self, tenant_id: str, trigger_ids: Sequence[str]) -> dict[str, LastDecision]:
        """Return the newest decision of each trigger that has one."""
        if not trigger_ids:
            return {}
        names, params = numbered("t", trigger_ids)
        rows = await self._store.read(
            "SELECT d.trigger_id, d.event_id, d.outcome, d.reason, d.run_id, d.decided_at FROM trigger_index t "
            "JOIN decisions d ON d.tenant_id = t.tenant_id AND d.trigger_id = t.id AND d.event_id = "
            "(SELECT MAX(event_id) FROM decisions l WHERE l.tenant_id = t.tenant_id AND l.trigger_id = t.id) "
            f"WHERE t.tenant_id = :tenant AND t.id IN ({names})",
            {"tenant": tenant_id, **params},
        )
        return {str(row[0]): LastDecision(*row[1:]) for row in rows}

    async def recent_outcomes(self, tenant_id: str, trigger_id: str, since: int) -> dict[str, int]:
        """Return how often each outcome was decided since an instant (microseconds), over the newest 10,000."""
        rows = await self._store.read(
            """SELECT d.outcome, COUNT(*) FROM (SELECT outcome FROM decisions
                 WHERE tenant_id = :tenant AND trigger_id = :trigger AND event_id >= :floor
                 ORDER BY event_id DESC LIMIT 10000) d GROUP BY d.outcome""",
            {"tenant": tenant_id, "trigger": trigger_id, "floor": id_floor(since)},
        )
        return {str(row[0]): int(row[1]) for row in rows}

    async def recent_runs(self, tenant_id: str, trigger_id: str, limit: int) -> list[tuple[str, str]]:
        """Return (id, status) of the newest runs that a trigger started."""
        rows = await self._store.read(
            """SELECT r.id, r.status FROM (SELECT run_id FROM decisions
                 WHERE tenant_id = :tenant AND trigger_id = :trigger AND run_id IS NOT NULL
                 ORDER BY event_id DESC LIMIT :limit) d
               JOIN runs r ON r.tenant_id = :tenant AND r.id = d.run_id ORDER BY r.id DESC""",
            {"tenant": tenant_id, "trigger": trigger_id, "limit": limit},
        )
        return [(str(row[0]), str(row[1])) for row in rows]

    async def set_mode(self, tenant_id: str, trigger_id: str, mode: Mode, reason: str | None, now: int) -> None:
        """Set the mode of a trigger; it stays through redeployments.

        Raises:
            NotFound: the tenant has no such trigger.

        """
        await self._store.transact(_set_mode(tenant_id, trigger_id, mode, reason, now))


def no_trigger(trigger_id: str) -> NotFound:
    """Return the error for an unknown trigger."""
    return NotFound(f"there is no trigger `{trigger_id[:200]}`", fix="list them with GET /api/v1/triggers")


def _set_mode(tenant_id: str, trigger_id: str, mode: Mode, reason: str | None, now: int) -> Work[None]:
    yield BUMP_EPOCH
    params: dict[str, Any] = {"tenant": tenant_id, "id": trigger_id, "mode": mode, "reason": reason, "now": now}
    rows = yield Sql(
        """UPDATE trigger_index SET mode = :mode, mode_reason = :reason, revision = revision + 1, updated_at = :now
           WHERE tenant_id = :tenant AND id = :id AND removed_at IS NULL RETURNING id""",
        params,
    )
    if not rows:
        raise no_trigger(trigger_id)
    yield sources.wake_trigger(tenant_id, trigger_id, now)

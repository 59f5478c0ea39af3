"""Schedules: the due rows of time triggers joined with the triggers that own them."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.stores.portable.publishing import WORKFLOW_PAUSE
from workflow_scheduler.stores.portable.rows import Malformed, quarantine, read_rows
from workflow_scheduler.stores.portable.skips import NO_SKIPS

COLUMNS = (
    "id", "tenant_id", "workflow_id", "workflow", "name", "type", "config", "shared", "mode",
    "deployment_status", "kind", "revision", "anchor", "next_fire_at", "next_nominal", "last_fired_at",
    "last_nominal", "paused", "paused_reason", "paused_until", "paused_by", "completed", "workflow_paused",
    "created_at", "updated_at", "skips", "resume_until", "resume_as",
    "workflow_paused_until", "fires", "failures", "rests_with_workflow",
)  # fmt: skip
_SELECT = """SELECT t.id, t.tenant_id, t.workflow_id, w.name, t.name, t.trigger_subtype, t.trigger_config,
      t.shared, t.mode, t.deployment_status, COALESCE(s.kind, t.trigger_subtype), t.revision,
      COALESCE(s.anchor, t.created_at), s.next_fire_at, s.next_nominal,
      s.last_fired_at, s.last_nominal,
      COALESCE(s.paused, 0), CASE WHEN s.paused_by = 'workflow' THEN w.paused_reason ELSE s.paused_reason END,
      s.paused_until, CASE WHEN s.paused_by = 'workflow' THEN w.paused_by ELSE s.paused_by END,
      COALESCE(s.completed, 0),
      w.paused, t.created_at, COALESCE(s.updated_at, t.updated_at), COALESCE(s.skips, '[]'),
      s.resume_until, s.resume_as, w.paused_until,
      COALESCE(s.fires, 0), COALESCE(s.failures, 0),
      CASE WHEN s.paused = 1 AND s.paused_by = 'workflow' THEN 1 ELSE 0 END"""
_WORKFLOW = "JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id"
_LIVE = f"""{_SELECT} FROM schedules s
    JOIN trigger_index t ON t.tenant_id = s.tenant_id AND t.id = s.trigger_id {_WORKFLOW}
    WHERE t.deployment_status = 'active'"""
_LIST = f"{_LIVE} AND s.tenant_id = :tenant"
# The expression keeps the planner from sorting all schedules of a tenant: the index of due times has them in order.
_COMING = f"""{_LIVE} AND s.tenant_id || '' = :tenant AND s.next_fire_at IS NOT NULL AND s.paused = 0
    ORDER BY s.next_fire_at LIMIT :limit"""
# A trigger that waits for its workflow's deployment has no due row yet.
_ONE = f"""{_SELECT} FROM trigger_index t {_WORKFLOW}
    LEFT JOIN schedules s ON s.tenant_id = t.tenant_id AND s.trigger_id = t.id
    WHERE t.tenant_id = :tenant AND t.id = :id AND t.removed_at IS NULL
      AND t.trigger_subtype IN ('cron', 'interval', 'once', 'rrule')"""

_WORKFLOW_RESTS = """EXISTS (SELECT 1 FROM workflows w WHERE w.tenant_id = schedules.tenant_id
  AND w.id = schedules.workflow_id AND w.paused = 1)"""


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A schedule as it is shown. Times are microseconds; `config`, `shared` and `skips` are JSON text."""

    id: str
    tenant_id: str
    workflow_id: str
    workflow: str
    name: str
    type: str
    config: str
    shared: str
    mode: str
    deployment_status: str
    kind: str
    revision: int
    anchor: int
    next_fire_at: int | None
    next_nominal: int | None
    last_fired_at: int | None
    last_nominal: int | None
    paused: bool
    paused_reason: str | None
    paused_until: int | None
    paused_by: str | None
    completed: bool
    workflow_paused: bool
    created_at: int
    updated_at: int
    skips: str = NO_SKIPS
    resume_until: int | None = None
    resume_as: str | None = None
    workflow_paused_until: int | None = None
    fires: int = 0
    failures: int = 0
    rests_with_workflow: bool = False


class DueMove(msgspec.Struct, frozen=True, kw_only=True):
    """A pause or its end, written where the row still stands at `was_nominal`. Times are microseconds.

    A pause with `until` needs nobody to end it: its due row stays live and wakes the timer at `until` or at the first
    fire after it; where the workflow is paused, it stays paused with it, and the pause of its own goes on later.
    `settle_until` and `settle_as` say what the timer makes of the times that passed.
    """

    was_nominal: int | None
    paused: bool
    next_fire_at: int | None
    settle_until: int | None = None
    settle_as: str | None = None
    reason: str | None = None
    until: int | None = None
    by: str | None = None


class ScheduleRepository:
    """Reads and pauses the schedules of a tenant."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def get(self, tenant_id: str, schedule_id: str, now: int) -> ScheduleRow | Malformed:
        """Return one schedule.

        Raises:
            NotFound: the tenant has no such schedule.

        """
        rows = await self._store.read(_ONE, {"tenant": tenant_id, "id": schedule_id})
        if not rows:
            raise NotFound(f"There is no schedule `{schedule_id}`.", fix="List them: GET /api/v1/schedules")
        return (await self._checked(tenant_id, rows, now))[0]

    async def page(
        self, tenant_id: str, limit: int, cursor: str | None, now: int, workflow_id: str | None = None
    ) -> tuple[list[ScheduleRow | Malformed], str | None]:
        """Return the schedules of live triggers in order of their ids, and the cursor of the next page."""
        where = "AND s.trigger_id > :after"
        params: dict[str, Any] = {"tenant": tenant_id, "after": cursor or "", "limit": limit + 1}
        if workflow_id is not None:
            where, params["workflow"] = f"{where} AND t.workflow_id = :workflow", workflow_id
        rows = await self._store.read(f"{_LIST} {where} ORDER BY s.trigger_id LIMIT :limit", params)
        found = await self._checked(tenant_id, rows[:limit], now)
        return found, str(rows[limit - 1][0]) if len(rows) > limit else None

    async def coming(self, tenant_id: str, limit: int, now: int) -> list[ScheduleRow | Malformed]:
        """Return the schedules that are due next, the soonest first."""
        rows = await self._store.read(_COMING, {"tenant": tenant_id, "limit": limit})
        return await self._checked(tenant_id, rows, now)

    async def _checked(self, tenant_id: str, rows: list[Row], now: int) -> list[ScheduleRow | Malformed]:
        found = read_rows(ScheduleRow, COLUMNS, rows, "schedules")
        await quarantine(self._store, tenant_id, found, now)
        return found

    async def move(self, tenant_id: str, schedule_id: str, to: DueMove, now: int) -> bool:
        """Pause or resume a schedule; False when its row has moved on.

        A fire that was read before and not yet written loses its guard.
        """
        return await self._store.transact(_move(tenant_id, schedule_id, to, now))


def _move(tenant_id: str, schedule_id: str, to: DueMove, now: int) -> Work[bool]:
    rows = yield Sql(
        f"""UPDATE schedules SET paused = CASE WHEN :paused = 1 OR {_WORKFLOW_RESTS} THEN 1 ELSE 0 END,
             paused_by = CASE WHEN :paused = 0 AND {_WORKFLOW_RESTS} THEN :mark ELSE :by END,
             rest_by = CASE WHEN :paused = 0 AND {_WORKFLOW_RESTS} THEN :by END,
             paused_reason = :reason, paused_until = :until, next_fire_at = :fire,
             resume_until = :settle_until, resume_as = :settle_as,
             revision = revision + 1, updated_at = :now
           WHERE tenant_id = :tenant AND trigger_id = :id AND COALESCE(next_nominal, -1) = :was RETURNING trigger_id""",
        {
            "tenant": tenant_id,
            "id": schedule_id,
            "now": now,
            "paused": int(to.paused),
            "reason": to.reason,
            "until": to.until,
            "by": to.by,
            "mark": WORKFLOW_PAUSE,
            "fire": to.next_fire_at,
            "was": -1 if to.was_nominal is None else to.was_nominal,
            "settle_until": to.settle_until,
            "settle_as": to.settle_as,
        },
    )
    return bool(rows)

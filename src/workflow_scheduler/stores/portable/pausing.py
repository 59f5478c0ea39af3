"""Pausing and resuming workflows: the flag the matcher reads, and the due rows the timer reads, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.stores.portable.intake import put_occurrence
from workflow_scheduler.stores.portable.publishing import BUMP_EPOCH, WORKFLOW_PAUSE


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """A pause of one workflow, or of all (`workflow_id` None). Times are in microseconds."""

    tenant_id: str
    workflow_id: str | None
    reason: str | None
    until: int | None
    by: str
    now: int


class PausedTimer(msgspec.Struct, frozen=True):
    """The due row of a time trigger whose workflow is paused."""

    tenant_id: str
    trigger_id: str
    type: str
    config: str
    anchor: int
    next_fire_at: int | None
    next_nominal: int
    paused_until: int | None
    skips: str
    workflow: str


class Resumption(msgspec.Struct, frozen=True):
    """Where a due row goes on, and what became of the fires that fell due meanwhile.

    Where fires up to `settle_until` are still to be settled, the timer does it by `settle_as`.
    """

    next_fire_at: int | None
    next_nominal: int | None
    completed: bool
    occurrences: Sequence[Occurrence] = ()
    settle_until: int | None = None
    settle_as: str | None = None


def pause(p: Pause) -> Work[int]:
    """Pause; return the number of workflows that were not paused before. A pause of a paused workflow renews it."""
    yield BUMP_EPOCH
    scope = "" if p.workflow_id is None else " AND id = :id"
    params: dict[str, Any] = {
        "tenant": p.tenant_id,
        "reason": p.reason,
        "until": p.until,
        "by": p.by,
        "now": p.now,
    }
    if p.workflow_id is not None:
        params["id"] = p.workflow_id
    before = yield Sql(f"SELECT COUNT(*) FROM workflows WHERE tenant_id = :tenant AND paused = 0{scope}", _who(p))
    yield Sql(
        "UPDATE workflows SET paused = 1, paused_reason = :reason, paused_until = :until, paused_by = :by, "
        f"revision = revision + 1, updated_at = :now WHERE tenant_id = :tenant{scope}",
        params,
    )
    scope = "" if p.workflow_id is None else " AND workflow_id = :id"
    yield Sql(
        "UPDATE schedules SET paused = 1, rest_by = paused_by, paused_by = :mark, revision = revision + 1, "
        f"updated_at = :now WHERE tenant_id = :tenant AND paused = 0{scope}",
        {**_who(p), "mark": WORKFLOW_PAUSE, "now": p.now},
    )
    return int(before[0][0])


def _who(p: Pause) -> dict[str, Any]:
    return {"tenant": p.tenant_id} if p.workflow_id is None else {"tenant": p.tenant_id, "id": p.workflow_id}


def resume(tenant_id: str, workflow_id: str, now: int, decide: Callable[[PausedTimer], Resumption]) -> Work[bool]:
    """Resume one workflow; `decide` says for each of its due rows where it goes on. False when it was not paused."""
    yield BUMP_EPOCH
    who = {"tenant": tenant_id, "id": workflow_id}
    rows = yield Sql(
        """UPDATE workflows SET paused = 0, paused_reason = NULL, paused_until = NULL, paused_by = NULL,
             revision = revision + 1, updated_at = :now
           WHERE tenant_id = :tenant AND id = :id AND paused = 1 RETURNING id""",
        {**who, "now": now},
    )
    if not rows:
        return False
    timers = yield Sql(
        """SELECT s.tenant_id, s.trigger_id, t.trigger_subtype, t.trigger_config, s.anchor, s.next_fire_at,
             s.next_nominal, s.paused_until, s.skips, w.name
           FROM schedules s JOIN trigger_index t ON t.tenant_id = s.tenant_id AND t.id = s.trigger_id
             JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id
           WHERE s.tenant_id = :tenant AND s.workflow_id = :id AND s.paused = 1 AND s.paused_by = :mark
             AND s.next_nominal IS NOT NULL AND t.deployment_status = 'active'""",
        {**who, "mark": WORKFLOW_PAUSE},
    )
    for row in timers:
        timer = PausedTimer(*row)
        yield from _move(timer, decide(timer), now)
    yield Sql(
        """UPDATE schedules SET paused = 0, paused_by = rest_by, rest_by = NULL, revision = revision + 1,
             updated_at = :now
           WHERE tenant_id = :tenant AND workflow_id = :id AND paused = 1 AND paused_by = :mark""",
        {**who, "now": now, "mark": WORKFLOW_PAUSE},
    )
    return True


def _move(timer: PausedTimer, to: Resumption, now: int) -> Work[None]:
    yield Sql(
        """UPDATE schedules SET next_fire_at = :fire, next_nominal = :nominal, completed = :completed,
             resume_until = :settle_until, resume_as = :settle_as, updated_at = :now
           WHERE tenant_id = :tenant AND trigger_id = :trigger""",
        {
            "tenant": timer.tenant_id,
            "trigger": timer.trigger_id,
            "fire": to.next_fire_at,
            "nominal": to.next_nominal,
            "completed": int(to.completed),
            "settle_until": to.settle_until,
            "settle_as": to.settle_as,
            "now": now,
        },
    )
    for row in to.occurrences:
        yield put_occurrence(row)


async def expired_pauses(store: Store, now: int, limit: int) -> list[tuple[str, str, int]]:
    """Return (tenant, workflow, end of the pause) of workflows whose pause has run out."""
    rows = await store.read(
        "SELECT tenant_id, id, paused_until FROM workflows WHERE paused_until <= :now "
        "ORDER BY paused_until LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [(str(row[0]), str(row[1]), int(row[2])) for row in rows]


async def paused_workflows(store: Store, tenant_id: str) -> list[str]:
    """Return the ids of a tenant's paused workflows."""
    rows = await store.read("SELECT id FROM workflows WHERE tenant_id = :tenant AND paused = 1", {"tenant": tenant_id})
    return [str(row[0]) for row in rows]

"""Runs of a schedule that fail in a row: counted where a run ends, and the schedule paused when they are too many."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.ports.store import Sql, Work
from workflow_scheduler.stores.portable.trouble import trigger_failed

PAUSED_BY = "pause_after_failures"


class ClockRunEnd(msgspec.Struct, frozen=True):
    """The end of a run that a schedule with `pause_after_failures` started; `most` is that number."""

    tenant_id: str
    trigger_id: str
    run_id: str
    most: int
    failed: bool


def note_end(end: ClockRunEnd, now: int) -> Work[bool]:
    """Count a failure or forget the earlier ones; return whether the schedule was paused for it at `now`.

    It belongs into the transaction that ends the run, so that no crash can count an end twice or not at all.
    """
    who = {"tenant": end.tenant_id, "trigger": end.trigger_id}
    if not end.failed:
        yield Sql(
            "UPDATE schedules SET failures = 0 WHERE tenant_id = :tenant AND trigger_id = :trigger AND failures > 0",
            who,
        )
        return False
    counted = yield Sql(
        """UPDATE schedules SET failures = failures + 1 WHERE tenant_id = :tenant AND trigger_id = :trigger
           RETURNING failures""",
        who,
    )
    if not counted or counted[0][0] < end.most:
        return False
    number = int(counted[0][0])
    reason = f"{number} runs in a row failed, the last one was {end.run_id}"
    rows = yield Sql(
        """UPDATE schedules SET paused = 1, paused_reason = :reason, paused_until = NULL, paused_by = :by, failures = 0,
             revision = revision + 1, updated_at = :now
           WHERE tenant_id = :tenant AND trigger_id = :trigger AND paused = 0 AND completed = 0 RETURNING trigger_id""",
        {**who, "reason": reason, "by": PAUSED_BY, "now": now},
    )
    if rows:
        yield from trigger_failed(end.tenant_id, end.trigger_id, reason, now, end.run_id)
    return bool(rows)

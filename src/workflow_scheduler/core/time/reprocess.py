"""Which nominal times a backfill runs, and why (pure)."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from workflow_scheduler.core.model.backfill import Reprocess
from workflow_scheduler.core.model.run import FINAL, RunStatus
from workflow_scheduler.core.reasons import Outcome, Reason

NEVER_PLANNED = "never_planned"
HAS_RUN = "has_run"
RUN_FAILED = "run_failed"
RUN_CANCELLED = "run_cancelled"
RUN_SUCCEEDED = "run_succeeded"
IN_PROGRESS = "in_progress"
HELD_BACK = "held_back"
AGAIN = "again"
TIME_REASONS = {
    NEVER_PLANNED: "nothing is recorded about this time",
    HAS_RUN: "it has a run already",
    RUN_FAILED: "its latest run failed",
    RUN_CANCELLED: "its latest run was cancelled",
    RUN_SUCCEEDED: "its latest run succeeded",
    IN_PROGRESS: "its run has not ended",
    HELD_BACK: "its event waits to be run",
    AGAIN: "it is run again, as asked",
}
"""The reasons that only backfills give; the others are those of decisions."""
_WAITING = frozenset({Outcome.DEFERRED, Outcome.HELD, Outcome.SUSPENDED})
_RAN = frozenset({Outcome.RUN_STARTED, Outcome.RUN_RESUMED})


class Past(msgspec.Struct, frozen=True):
    """What is known of a nominal time: what was recorded, and its latest run.

    `event_id` is the event that the schedule's own fire made, which another run of the time repeats. A run that was
    recorded and deleted since has an id and no status.
    """

    outcome: str | None = None
    reason: str | None = None
    run_id: str | None = None
    status: RunStatus | None = None
    event_id: str | None = None


UNKNOWN = Past()


class Judged(NamedTuple):
    """Whether a backfill runs a nominal time, and why or why not."""

    runs: bool
    reason: str


def judge(past: Past, reprocess: Reprocess, *, left_out: str | None = None, ignore_skips: bool = False) -> Judged:
    """Decide about one nominal time; `left_out` is why a person or a calendar keeps it from running, if one does.

    `missing` runs times without a run, `failed` those and the ones whose latest run failed or was cancelled, `all`
    every one. A time that is left out runs only with `ignore_skips`, and never one whose event still waits for its
    run: that would run it twice.
    """
    if left_out is None and past.run_id is None and past.reason == Reason.SKIPPED_BY_HAND:
        left_out = Reason.SKIPPED_BY_HAND.value
    if left_out is not None and not ignore_skips:
        return Judged(runs=False, reason=left_out)
    if past.run_id is None:
        if past.outcome in _WAITING:
            return Judged(runs=False, reason=HELD_BACK)
        ran = past.outcome in _RAN or past.outcome is None
        return Judged(runs=True, reason=NEVER_PLANNED if ran else past.reason or NEVER_PLANNED)
    if reprocess == "all":
        return Judged(runs=True, reason=AGAIN)
    if reprocess == "missing":
        return Judged(runs=False, reason=HAS_RUN)
    return _after_failure(past.status)


def _after_failure(status: RunStatus | None) -> Judged:
    if status is RunStatus.FAILED:
        return Judged(runs=True, reason=RUN_FAILED)
    if status is RunStatus.CANCELLED:
        return Judged(runs=True, reason=RUN_CANCELLED)
    if status is None:
        return Judged(runs=False, reason=HAS_RUN)
    return Judged(runs=False, reason=RUN_SUCCEEDED if status in FINAL else IN_PROGRESS)

"""What the planner tells an engine to do, and what an engine tells the planner.

Jobs are named by numbers: below the size of the graph they are its nodes; above it, instances of repeated jobs
(`Progress.instance` says of which one).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from workflow_scheduler.core.model.run import JobStatus, RunStatus


class SkipReason(StrEnum):
    """Why a job was not run."""

    UPSTREAM_FAILED = "upstream_failed"  # its rule wants success and something before it failed
    RULE_NOT_MET = "rule_not_met"  # its `run_if` does not hold, and nothing failed that it would have wanted
    CONDITION_FALSE = "condition_false"  # its `if` is false
    FAIL_FAST = "fail_fast"  # another job failed, and the workflow stops at the first failure
    RUN_STOPPED = "run_stopped"  # the run was cancelled or ran out of time


COUNTS_AS_FAILED = frozenset({SkipReason.UPSTREAM_FAILED, SkipReason.FAIL_FAST})


class StartJob(msgspec.Struct, frozen=True, gc=False):
    """Run attempt number `attempt` of the job now; of a repeated job, find out its items and `expand` it."""

    job: int
    attempt: int


class RetryJob(msgspec.Struct, frozen=True, gc=False):
    """Store that the job is tried again, and call `wake` after `delay_us`; until then it holds nothing."""

    job: int
    attempt: int
    delay_us: int


class SkipJob(msgspec.Struct, frozen=True, gc=False):
    """Store that the job is not run."""

    job: int
    reason: SkipReason


class CancelJob(msgspec.Struct, frozen=True, gc=False):
    """Stop the job, and `apply` what became of it: normally CANCELLED. A repeated job that is expanded: `halt` it."""

    job: int


class EndRun(msgspec.Struct, frozen=True, gc=False):
    """Every job has ended. `failed` are the jobs that failed without leave; `code` says why a run was stopped."""

    status: RunStatus
    failed: tuple[int, ...] = ()
    code: str | None = None


class DelayJob(msgspec.Struct, frozen=True, gc=False):
    """Store that the iteration waits for its turn, and call `wake` after `delay_us`; until then it holds nothing."""

    job: int
    delay_us: int


class AskLoop(msgspec.Struct, frozen=True, gc=False):
    """Evaluate the `while` of the job for iteration number `place`, and `answer`."""

    job: int
    place: int


class GatherJob(msgspec.Struct, frozen=True, gc=False):
    """All instances of a repeated job have ended: store its outputs in order, and `apply` a result of this status.

    `exhausted` says that a loop was stopped at its `max_iterations`.
    """

    job: int
    status: JobStatus
    exhausted: bool = False


Action = StartJob | RetryJob | SkipJob | CancelJob | EndRun | DelayJob | AskLoop | GatherJob


class Result(msgspec.Struct, frozen=True, gc=False):
    """What became of a job. PAUSED parks it. `code` and `retryable` describe a failure, `reason` a skip."""

    status: JobStatus
    code: str | None = None
    retryable: bool = False
    retry_after_us: int = 0
    reason: SkipReason | None = None


SUCCEEDED: Final = Result(JobStatus.SUCCEEDED)
CANCELLED: Final = Result(JobStatus.CANCELLED)
PAUSED: Final = Result(JobStatus.PAUSED)

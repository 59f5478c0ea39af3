"""Runs and jobs: one execution of a workflow version and the nodes of its DAG.

Run statuses and their transitions::

    QUEUED -> RUNNING -> SUCCEEDED | FAILED | CANCELLED
       |         |  ^
       |         v  |
       |       PAUSED -> SUCCEEDED | FAILED | CANCELLED
       +-> CANCELLED | FAILED

PAUSED is a run of which all jobs under way wait (see core/dag/park.py); when the last one ends it may be over at once.
Job statuses add SKIPPED and use the same graph; PENDING jobs have no record.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class RunStatus(StrEnum):
    """Where a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


PARKED = "parked"
"""The owner of a run that rests in its row: no process has it."""

FINAL = frozenset({RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED})

RUN_TRANSITIONS: dict[RunStatus, frozenset[RunStatus]] = {
    RunStatus.QUEUED: frozenset({RunStatus.RUNNING, RunStatus.CANCELLED, RunStatus.FAILED, RunStatus.SUCCEEDED}),
    RunStatus.RUNNING: frozenset({RunStatus.PAUSED, *FINAL}),
    RunStatus.PAUSED: frozenset({RunStatus.RUNNING, *FINAL}),
    RunStatus.SUCCEEDED: frozenset(),
    RunStatus.FAILED: frozenset(),
    RunStatus.CANCELLED: frozenset(),
}


class JobStatus(StrEnum):
    """Where a job of a run stands."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    SKIPPED = "SKIPPED"


JOB_FINAL = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.SKIPPED})


class Run(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run as it is created (the intent); its id is also the engine's idempotency key.

    (tenant, trigger, event_key) is unique. `input` and `output` are JSON bytes; `bearer` is sealed by the vault.
    `owner` is the instance that executes it and `fence` the epoch of that ownership: a write under an older fence
    is refused. `deliveries` counts how often it was handed to an engine, counted at claim time. A run with a
    `backfill_id` belongs to that backfill, and stands beside the limits of its workflow's own runs.
    Runs with the same `overlap_key` get into each other's way (see core/overlap); a queued one that has no owner waits
    for its turn, and nobody launches it. Of runs that wait, those of a higher `priority` (-100 to 100) go first.
    A rerun names the run that it repeats (`rerun_of`).
    """

    id: str
    tenant_id: str
    workflow_id: str
    workflow: str
    version: int
    trigger_id: str
    trigger_type: str
    event_id: str
    event_key: str
    created_at: int
    engine: str = "embedded"
    status: RunStatus = RunStatus.QUEUED
    owner: str | None = None
    fence: int = 1
    deliveries: int = 1
    input: bytes = b"null"
    output: bytes | None = None
    error: bytes | None = None
    scheduled_for: int | None = None
    started_at: int | None = None
    ended_at: int | None = None
    next_attempt_at: int | None = None
    external_id: str | None = None
    depth: int = 0
    cause_run_id: str | None = None
    replay_of: str | None = None
    traceparent: str | None = None
    user_id: str | None = None
    bearer: bytes | None = None
    cancel_requested: bool = False
    backfill_id: str | None = None
    overlap_key: str | None = None
    priority: int = 0
    rerun_of: str | None = None

    @property
    def waits(self) -> bool:
        """Whether it waits for the end of another run."""
        return self.owner is None and self.overlap_key is not None and self.status is RunStatus.QUEUED


class RunChange(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A new status of a run, written only where `fence` is still the run's fence and its status is not final.

    Fields that are None leave the stored value as it is. The owner PARKED lets go of a run until `wake_at`, None for no
    time; one that is to be cancelled is due at once.
    """

    tenant_id: str
    run_id: str
    fence: int
    status: RunStatus
    started_at: int | None = None
    ended_at: int | None = None
    output: bytes | None = None
    error: bytes | None = None
    external_id: str | None = None
    next_attempt_at: int | None = None
    owner: str | None = None
    wake_at: int | None = None


class JobRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The stored state of one job of a run. The last write for (run, job) wins; written under the run's fence.

    `output` is JSON bytes; `error` is a JSON object `{"code", "message", "retryable"}`; `wake_at` is when a sleeping
    or retrying job goes on.
    """

    tenant_id: str
    run_id: str
    job_id: str
    fence: int
    status: JobStatus
    attempt: int = 1
    started_at: int | None = None
    ended_at: int | None = None
    output: bytes | None = None
    error: bytes | None = None
    wake_at: int | None = None


class Wake(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of the thing `name` that the job waits for, parked (see core/dag/park.py).

    `status` is SUCCEEDED, FAILED or CANCELLED; `output` and `error` are JSON bytes as in a JobRecord. What is stored
    first under (run, job, name) counts.
    """

    tenant_id: str
    run_id: str
    job_id: str
    name: str
    status: JobStatus
    at: int
    output: bytes | None = None
    error: bytes | None = None


class LogLine(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One line that a job printed. `stream` is `stdout`, `stderr` or `system`; `seq` orders lines within a run."""

    tenant_id: str
    run_id: str
    job_id: str
    attempt: int
    seq: int
    at: int
    stream: str
    line: str

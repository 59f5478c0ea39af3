"""What the workflow and its activities tell each other: names, states and times; never a job's input or output.

Times are microseconds UTC. These become JSON in histories: fields may be added with a default, never removed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from workflow_scheduler.core.dag.actions import Result, SkipReason
from workflow_scheduler.core.model.run import JobStatus

WORKFLOW: Final = "workflow_scheduler.Run"
WAKE: Final = "wake"
RUN_JOB: Final = "run_job"
EXPAND_JOB: Final = "expand_job"
ASK_LOOP: Final = "ask_loop"
GATHER_JOB: Final = "gather_job"
END_SLEEP: Final = "end_sleep"
END_WAIT: Final = "end_wait"
GIVE_UP: Final = "give_up"
NOTE: Final = "note"
FINISH: Final = "finish"


@dataclass(frozen=True)
class Mark:
    """Where one job stands, as the workflow knows it. `code` is that of its failure or the reason of its skip.

    `name` is what a parked job waits for; `wake_at` when it goes on by itself.
    """

    job_id: str
    status: str
    attempt: int = 1
    wake_at: int | None = None
    code: str | None = None
    name: str | None = None
    started_at: int | None = None


@dataclass(frozen=True)
class RunOrder:
    """A run to execute: its name, the outline of its graph, and what an earlier part of it has done already."""

    tenant_id: str
    run_id: str
    outline: dict[str, Any]
    started_at: int | None = None
    marks: list[Mark] = field(default_factory=list)


@dataclass(frozen=True)
class JobOrder:
    """Something to do for one job of a run. `total` is the number of its instances, `place` that of an iteration."""

    tenant_id: str
    run_id: str
    job_id: str
    started_at: int
    attempt: int = 1
    place: int = 0
    total: int | None = None
    loop: bool = False
    status: str = ""
    exhausted: bool = False
    name: str = ""
    timeout: bool = False


@dataclass(frozen=True)
class NoteOrder:
    """States of jobs to write down."""

    tenant_id: str
    run_id: str
    marks: list[Mark]


@dataclass(frozen=True)
class Reply:
    """What became of an order. `total` answers an expansion, `more` a loop; then `status` is empty."""

    status: str = ""
    code: str | None = None
    retryable: bool = False
    retry_after_us: int = 0
    reason: str | None = None
    wake_at: int | None = None
    name: str | None = None
    total: int | None = None
    more: bool | None = None
    started_at: int | None = None

    def result(self) -> Result:
        """Return what the planner is told."""
        reason = None if self.reason is None else SkipReason(self.reason)
        status = JobStatus(self.status)
        return Result(status, self.code, self.retryable, self.retry_after_us, reason)


@dataclass(frozen=True)
class Outcome:
    """How a run ended: what describes its end in Temporal, and enough to find its output or error in our store."""

    status: str
    failed: list[str] = field(default_factory=list)
    code: str | None = None

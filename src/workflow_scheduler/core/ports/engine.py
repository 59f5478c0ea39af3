"""What the pipeline needs from an engine, and what an engine needs from the pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.model.run import JobRecord, LogLine, Run, RunChange, RunStatus
from workflow_scheduler.core.model.wait import WaitRequest
from workflow_scheduler.core.ports.resources import Resources
from workflow_scheduler.core.ports.store import DeadLetter


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine can do; printed as a table in the docs.

    - `durable`: a run outlives the process that executes it
    - `idempotent_start`: a start that is repeated does not run it twice
    - `cancel`: a run can be stopped
    - `resume`: a run that was interrupted goes on without running its finished jobs again
    - `answer`: a run that waits for an answer shows here what it wants, and goes on with what people say here
    - `job_detail`: its jobs, attempts, outputs and logs are shown here
    - `several_instances`: several instances of the service may hand it runs
    """

    durable: bool
    idempotent_start: bool
    cancel: bool
    resume: bool
    answer: bool
    job_detail: bool
    several_instances: bool


class Task(msgspec.Struct, frozen=True):
    """A run to execute: the intent, its compiled graph (embedded engines), and the records of jobs already done."""

    run: Run
    graph: Graph
    done: Sequence[JobRecord] = ()
    event: bytes = b"null"


class StartResult(msgspec.Struct, frozen=True):
    """The engine has the run. `external_id` is its own name for it; `already` says that it had it before."""

    external_id: str
    already: bool = False


class Engine(Protocol):
    """Executes runs. `name` is what definitions call it.

    `start` raises EngineUnavailable (try later), RetryAfter (try after), OutcomeUnknown (look up with `describe`
    before trying again) or Rejected (dead letter). It returns once the engine has taken the run, not when it ends;
    the end is reported to the RunSink, or found by `describe`.
    """

    @property
    def name(self) -> str:
        """The name in definitions."""
        ...

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        ...

    async def start(self, task: Task) -> StartResult:
        """Hand over one run; starting the same run id twice must not run it twice."""
        ...

    async def cancel(self, run: Run) -> None:
        """Ask the engine to stop the run."""
        ...

    async def describe(self, run: Run) -> RunChange | None:
        """Return where the run stands, or None when the engine does not know its id."""
        ...

    async def close(self) -> None:
        """Stop; runs that are under way stay recoverable."""
        ...


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """What a run on an engine elsewhere waits for.

    `key` tells this pause from the other ones of the run, where the engine does; else it is empty, and the run has one
    pause at a time. `form` is the JSON Schema of the answer, and `decides` says whether it approves or rejects.
    """

    key: str = ""
    ask: str
    decides: bool = False
    form: dict[str, Any] | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a paused run is told.

    `answer` and `event` are plain JSON values; `event` is the data of the event that was the answer, None where people
    answered without one.
    """

    approved: bool | None = None
    answer: Any = None
    comment: str | None = None
    by: str | None = None
    event: Any = None


@runtime_checkable
class Answered(Protocol):
    """An engine elsewhere of which runs may be paused until they are answered."""

    async def pauses(self, run: Run) -> Sequence[Pause]:
        """Return what a run waits for; nothing when it does not.

        Raises:
            EngineUnavailable: the engine did not answer the question.

        """
        ...

    async def resume(self, run: Run, pause: Pause, reply: Reply) -> None:
        """Let the run that stands at `pause` go on.

        A call of which the outcome is not known (OutcomeUnknown, EngineUnavailable) is made again: a pause that is over
        by then is LateResponse.

        Raises:
            LateResponse: the run does not stand at this pause any more.
            Rejected: the engine does not take the answer; the run stays paused.
            EngineUnavailable, OutcomeUnknown, RetryAfter: as for `Engine.start`.

        """
        ...


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A paused execution on an engine elsewhere; `interactions` are the ids of what it asks for, as far as it tells.

    `names` are all the names by which a run may know it; `started_at` is in microseconds, None where it does not say.
    """

    id: str
    names: tuple[str, ...] = ()
    interactions: tuple[str, ...] = ()
    started_at: int | None = None


@runtime_checkable
class Adoptive(Protocol):
    """An engine elsewhere on which others than this service start executions that an event here may answer."""

    async def standing(self, run: Run) -> Sequence[Standing]:
        """Return paused executions of the run's workflow, whoever started them.

        Raises:
            EngineUnavailable: the engine did not answer the question.

        """
        ...

    async def hand(self, run: Run, execution_id: str, interaction_id: str | None, event: bytes) -> None:
        """Let a paused execution go on with the data of the event that would have started `run`.

        Raises:
            LateResponse: it is not paused any more.
            Rejected: the engine does not take the answer; the execution stays paused.
            EngineUnavailable, OutcomeUnknown, RetryAfter: as for `Engine.start`.

        """
        ...


@runtime_checkable
class Logged(Protocol):
    """An engine elsewhere that keeps the output of runs."""

    async def logs(self, run: Run) -> Sequence[LogLine]:
        """Return what a run has printed, or the first part of it.

        Raises:
            EngineUnavailable: the engine did not answer the question.

        """
        ...


class RunSink(Protocol):
    """Where an engine records what happens in a run. Every method returns only after the durable commit."""

    async def record(
        self,
        *,
        changes: Sequence[RunChange] = (),
        jobs: Sequence[JobRecord] = (),
        logs: Sequence[LogLine] = (),
    ) -> frozenset[str]:
        """Write, and return the ids of runs that were fenced off (stop executing those)."""
        ...

    def note(self, *, jobs: Sequence[JobRecord] = (), logs: Sequence[LogLine] = ()) -> None:
        """Write with the next commit, without waiting (job starts, log lines)."""
        ...

    async def finish(
        self,
        change: RunChange,
        run: Run,
        jobs: Sequence[JobRecord] = (),
        logs: Sequence[LogLine] = (),
        dead: Sequence[DeadLetter] = (),
    ) -> None:
        """Record the end of a run, and in the same transaction its dead letter and the event that its end is."""
        ...


class CalledRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that a job started, as it stood then; a job that is run again finds the one it started before."""

    id: str
    workflow: str
    status: RunStatus
    output: bytes | None = None
    error: bytes | None = None


class OpenedWait(msgspec.Struct, frozen=True, kw_only=True):
    """A wait that a job has registered; a job that is run again finds the one it registered before."""

    id: str
    url: str


class JobContext(Protocol):
    """What a job type may use while it runs.

    `variables` are `input event jobs env run item`, as in `${…}`. `env` is the job's environment: the definition's,
    overlaid by the job's own. `idempotency_key` is the same for every attempt of (run, job). `resources` is what the
    process lends: outbound HTTP and threads.
    """

    tenant_id: str
    run_id: str
    job_id: str
    attempt: int
    idempotency_key: str
    variables: Mapping[str, Any]
    env: Mapping[str, str]
    resources: Resources

    def log(self, line: str, stream: str = "stdout") -> None:
        """Keep one line of output for this job."""
        ...

    def now(self) -> int:
        """Return the time in microseconds."""
        ...

    async def emit(self, event: Mapping[str, Any], key: str) -> str:
        """Accept an internal event once for `key`, and return its id."""
        ...

    async def call(self, workflow: str, value: Any, *, wait: bool) -> CalledRun:
        """Start a run of `workflow` with the input `value`, once for (run, job), and return it.

        With `wait` the end of that run is told to the job under the name `run:ID` (see core/dag/park.py).
        """
        ...

    async def ask(self, request: WaitRequest) -> OpenedWait:
        """Register that people are asked, once for (run, job); they answer to the name `wait:ID`."""
        ...

    async def secret(self, name: str) -> str | None:
        """Return a secret of the run's tenant."""
        ...

"""What all runs of the engine share: the clock, the sink, timers, and the checkpoints.

A checkpoint makes the results of one turn of the event loop durable, of all runs together, in one call of the sink.
A run whose results are under way waits with the jobs that depend on them; its newer results go with the next one.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from workflow_scheduler.core.dag.pools import Claimed, Want
from workflow_scheduler.core.execution.failure import body
from workflow_scheduler.core.model.run import JobRecord, LogLine, Run, RunChange, RunStatus
from workflow_scheduler.core.model.wait import WaitRequest
from workflow_scheduler.core.ports.engine import CalledRun, OpenedWait, RunSink
from workflow_scheduler.core.ports.resources import Resources
from workflow_scheduler.core.ports.vault import Secrets
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines.embedded.admission import Admission
from workflow_scheduler.engines.embedded.timers import Timers

if TYPE_CHECKING:
    from workflow_scheduler.engines.embedded.execution import Execution

CLOSE_SECONDS = 10.0
_logger = logging.getLogger(__name__)
Withdraw: TypeAlias = Callable[[Run, str, str], Awaitable[None]]
Call: TypeAlias = Callable[[Run, str, str, Any, bool], Awaitable[CalledRun]]
Claim: TypeAlias = Callable[[Run, str, int, Sequence[Want]], Awaitable[Claimed]]
GiveBack: TypeAlias = Callable[[Run, str, int], Coroutine[Any, Any, None]]
Ask: TypeAlias = Callable[[Run, str, WaitRequest], Awaitable[OpenedWait]]
Emit: TypeAlias = Callable[[Run, str, Mapping[str, Any], str], Awaitable[str]]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one job. Sizes in bytes, times in seconds.

    `parallel_jobs_max` is how many jobs run at once in this process, over all runs, and `processes_max` how many in
    child processes; inline jobs do not count.
    `instances_max` is how many instances a `map` or `for_each` may have.
    `inline_jobs_max` is how many inline jobs one run may do before other runs get their turn; `cancel_grace_seconds`
    is how long a cancelled job may take to stop before the engine goes on without it.
    """

    parallel_jobs_max: int = 256
    processes_max: int = 16
    log_bytes_max: int = 1_000_000
    output_bytes_max: int = 8 << 20
    instances_max: int = 10_000
    inline_jobs_max: int = 256
    cancel_grace_seconds: float = 60.0


class Desk:
    """The shared side of the engine."""

    def __init__(self, sink: RunSink, clock: Clock, limits: Limits, signals: Signals) -> None:
        """Record through `sink`; the optional services are set by the engine."""
        self.sink = sink
        self.clock = clock
        self.limits = limits
        self.signals = signals
        self.timers = Timers(clock)
        self.admission = Admission(limits.parallel_jobs_max, self._defer)
        self.process_admission = Admission(limits.processes_max, self._defer)
        self.emit: Emit = _no_emit
        self.call: Call = _no_call
        self.ask: Ask = _no_ask
        self.withdraw: Withdraw = _no_withdraw
        self.claim: Claim = _no_claim
        self.give_back: GiveBack = _no_give_back
        self.claims: dict[tuple[str, str, int, int], Callable[[Claimed], None]] = {}
        """Who is told about claims that wait, by run, job, fence and attempt."""
        self.on_wait: Callable[[], None] = _nothing
        self.waiting = 0
        self.parks = False
        self.secrets: Secrets | None = None
        self.resources: Resources | None = None
        self.on_drop: Callable[[Run], None] = _nobody
        self.public_url = ""
        self.loop: asyncio.AbstractEventLoop | None = None
        self.thread = 0
        self.runs: dict[str, Execution] = {}
        self.closed = False
        self._marked: dict[Execution, None] = {}
        self._planned = False
        self._tasks: set[asyncio.Task[None]] = set()

    def attach(self) -> None:
        """Remember the running loop and its thread."""
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()

    def _defer(self, call: Callable[[], None]) -> None:
        if self.loop is not None and not self.closed:
            self.loop.call_soon(call)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run `work` beside everything else, and keep it alive."""
        assert self.loop is not None
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def mark(self, execution: Execution) -> None:
        """Take the execution into the next checkpoint."""
        self._marked[execution] = None
        if not self._planned and self.loop is not None:
            self._planned = True
            self.loop.call_soon(self._checkpoint)

    def _checkpoint(self) -> None:
        self._planned = False
        marked, self._marked = self._marked, {}
        batch = [execution for execution in marked if execution.ready_for_checkpoint()]
        if not batch or self.closed:
            return
        changes: list[RunChange] = []
        jobs: list[JobRecord] = []
        logs: list[LogLine] = []
        for execution in batch:
            execution.take_off(changes, jobs, logs)
        self.spawn(self._record(batch, changes, jobs, logs))

    async def _record(
        self,
        batch: Sequence[Execution],
        changes: Sequence[RunChange],
        jobs: Sequence[JobRecord],
        logs: Sequence[LogLine],
    ) -> None:
        self.signals.emit("engine.checkpoint.before", runs=len(batch), jobs=len(jobs))
        try:
            fenced = await self.sink.record(changes=changes, jobs=jobs, logs=logs)
        except Exception:  # noqa: BLE001 - each run is recorded again for itself, and its error logged there
            fenced = await self._one_by_one(changes, jobs, logs, batch)
        self.signals.emit("engine.checkpoint.after", runs=len(batch), jobs=len(jobs))
        for execution in batch:
            if execution.run.id in fenced:
                self.let_go(execution)
            elif not self.closed:
                execution.landed()

    async def _one_by_one(
        self,
        changes: Sequence[RunChange],
        jobs: Sequence[JobRecord],
        logs: Sequence[LogLine],
        batch: Sequence[Execution],
    ) -> frozenset[str]:
        """Record each run for itself, so that one that the store refuses does not hold up its neighbours.

        A database that is away is waited for by the sink; what raises here is wrong with the rows.
        """
        lost: set[str] = set()
        for execution in batch:
            run_id = execution.run.id
            try:
                lost |= await self.sink.record(
                    changes=[change for change in changes if change.run_id == run_id],
                    jobs=[job for job in jobs if job.run_id == run_id],
                    logs=[line for line in logs if line.run_id == run_id],
                )
            except Exception:
                _logger.exception("the results of run %s cannot be stored; the run fails", run_id)
                execution.abandon()
                await self._fail(execution.run)
                self.forget(execution)
        return frozenset(lost)

    def refuse(self, execution: Execution) -> None:
        """End a run that cannot be begun, because what is stored of it cannot be read."""
        execution.abandon()
        self.forget(execution)
        self.spawn(self._fail(execution.run, "malformed", "what is stored of this run cannot be read"))

    async def _fail(
        self, run: Run, code: str = "not_stored", why: str = "the store refused the result of a job"
    ) -> None:
        """End a run without any results, so that this at least is stored."""
        error = body(code, f"{why}; the service's log says more")
        change = RunChange(
            tenant_id=run.tenant_id,
            run_id=run.id,
            fence=run.fence,
            status=RunStatus.FAILED,
            ended_at=self.clock.now(),
            error=error,
        )
        try:
            await self.sink.finish(change, run, (), ())
        except Exception:
            _logger.exception("the end of run %s cannot be stored; it stays open until this process ends", run.id)
        else:
            self.signals.emit("engine.run.finished", run_id=run.id, status=change.status)

    def finish(
        self, execution: Execution, change: RunChange, jobs: Sequence[JobRecord], logs: Sequence[LogLine]
    ) -> None:
        """Record the end of a run; it is forgotten here once that is durable."""
        self._marked.pop(execution, None)
        self.spawn(self._finish(execution, change, jobs, logs))

    async def _finish(
        self, execution: Execution, change: RunChange, jobs: Sequence[JobRecord], logs: Sequence[LogLine]
    ) -> None:
        run = execution.run
        try:
            await self.sink.finish(change, run, jobs, logs)
        except Exception:
            _logger.exception("the end of run %s cannot be stored as it is; the run fails", run.id)
            await self._fail(run)
        else:
            self.signals.emit("engine.run.finished", run_id=run.id, status=change.status)
        self.forget(execution)

    def drop(self, execution: Execution) -> None:
        """Stop a run that belongs to somebody else now, without recording anything."""
        execution.abandon()
        self.forget(execution)

    def let_go(self, execution: Execution) -> None:
        """Drop a run that is not this process's any more, and say so."""
        self.drop(execution)
        self.on_drop(execution.run)

    def forget(self, execution: Execution) -> None:
        """Let go of a run that needs nothing more."""
        if self.runs.get(execution.run.id) is execution:
            del self.runs[execution.run.id]

    async def close(self) -> None:
        """Stop every run where it stands; what is on its way to the store may still get there, for CLOSE_SECONDS."""
        self.closed = True
        self.timers.close()
        jobs: list[asyncio.Task[Any]] = []
        for execution in list(self.runs.values()):
            jobs += execution.abandon()
        if jobs:
            await asyncio.wait(jobs, timeout=CLOSE_SECONDS)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        self.runs.clear()


def _nobody(run: Run) -> None:
    """Tell nobody that a run was dropped."""


def _nothing() -> None:
    """Tell nobody that a job has begun to wait."""


async def _no_claim(run: Run, job_id: str, attempt: int, wants: Sequence[Want]) -> Claimed:
    message = f"job {job_id} of run {run.id} cannot ask for {wants} ({attempt}): no pools are connected"
    raise RuntimeError(message)


async def _no_give_back(run: Run, job_id: str, attempt: int) -> None:
    """Have nothing to give back."""


async def _no_withdraw(run: Run, job_id: str, name: str) -> None:
    """Call nothing off."""


async def _no_ask(run: Run, job_id: str, request: WaitRequest) -> OpenedWait:
    message = f"job {job_id} of run {run.id} cannot ask `{request.ask}`: nobody is connected"
    raise RuntimeError(message)


async def _no_call(run: Run, job_id: str, workflow: str, value: Any, wait: bool) -> CalledRun:
    message = f"job {job_id} of run {run.id} cannot start {workflow} ({value}, {wait}): no workflows are connected"
    raise RuntimeError(message)


async def _no_emit(run: Run, job_id: str, event: Mapping[str, Any], key: str) -> str:
    message = f"job {job_id} of run {run.id} cannot send {event.get('type')} ({key}): no event service is connected"
    raise RuntimeError(message)

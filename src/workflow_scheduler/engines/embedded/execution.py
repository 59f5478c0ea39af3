"""One run under way: carries out what the planner says and reports to it what becomes of the jobs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from workflow_scheduler.core.dag.actions import (
    CANCELLED,
    SUCCEEDED,
    Action,
    AskLoop,
    CancelJob,
    DelayJob,
    EndRun,
    GatherJob,
    Result,
    RetryJob,
    SkipJob,
    SkipReason,
    StartJob,
)
from workflow_scheduler.core.dag.park import SleepUntil, WaitFor
from workflow_scheduler.core.dag.plan import Progress
from workflow_scheduler.core.execution import ending
from workflow_scheduler.core.execution.failure import Failure, body, encode_output, from_exception
from workflow_scheduler.core.execution.journal import Journal
from workflow_scheduler.core.execution.program import Program, See, Step, fill_in
from workflow_scheduler.core.execution.scope import Scope
from workflow_scheduler.core.model.run import JobRecord, JobStatus, LogLine, RunChange, RunStatus, Wake
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.engines.embedded.admission import Admission
from workflow_scheduler.engines.embedded.attempts import CANCEL, TIMEOUT, Attempt, Attempts, stopped
from workflow_scheduler.engines.embedded.claiming import NO_CLAIMS, Claiming
from workflow_scheduler.engines.embedded.context import Context
from workflow_scheduler.engines.embedded.desk import Desk
from workflow_scheduler.engines.embedded.ledger import Ledger
from workflow_scheduler.engines.embedded.parking import Parking
from workflow_scheduler.engines.embedded.repeating import Repeating
from workflow_scheduler.engines.embedded.standing import Standing

_CANCELLED_ERROR = body("cancelled", "the job was cancelled")


class Execution:
    """A run in this process. All methods are called on the event loop."""

    __slots__ = (
        "_attempts", "_claiming", "_gated", "_graph", "_in_flight", "_journal", "_leaves", "_over", "_parking",
        "_queued", "_repeating", "_scope", "_size", "_standing", "_steps", "desk", "ledger", "progress", "run",
    )  # fmt: skip

    def __init__(self, task: Task, program: Program, desk: Desk) -> None:
        """Prepare; nothing happens before `begin`."""
        graph = task.graph
        self.run = task.run
        self.desk = desk
        self._graph = graph
        self._steps = program
        self._size = len(program)
        self._standing = Standing(task, desk.clock.now())
        self.progress = Progress(graph, seed=task.run.id)
        self.ledger = Ledger(task.run, graph)
        self._journal = Journal(task.run, desk.limits.log_bytes_max)
        self._scope = Scope(task, self._standing.started_at, graph, self.ledger.records, desk.public_url)
        self._attempts: Attempts | None = None
        self._gated: list[Action] = []
        self._queued: set[int] | None = None
        self._parking: Parking | None = None
        self._repeating = Repeating(self) if graph.repeats else None
        self._claiming = Claiming(self, graph.definition) if graph.pooled else NO_CLAIMS
        self._in_flight = False
        self._leaves = False
        self._over = False

    # The life of the run

    def begin(self, done: Sequence[JobRecord]) -> None:
        """Start, or go on from the stored records."""
        first: list[Action] = []
        if self.run.cancel_requested:
            first += self.progress.stop(RunStatus.CANCELLED, CANCEL)
        if self._standing.begin(self, partial(self._stop, RunStatus.FAILED, TIMEOUT)):
            first += self.progress.stop(RunStatus.FAILED, TIMEOUT)
        first += self._restore(done) if done else self.progress.start()
        self.perform(first)
        if done and not self._over:
            self.desk.mark(self)  # it may be resting

    def cancel(self) -> None:
        """Stop the run: its jobs are cancelled, nothing more starts."""
        self._stop(RunStatus.CANCELLED, CANCEL)

    def abandon(self) -> list[asyncio.Task[Any]]:
        """Stop everything at once and record nothing more; return the tasks that are still ending."""
        self._over = True
        self._disarm()
        attempts, self._attempts = self._attempts, None
        return [] if attempts is None else attempts.abandon()

    def _stop(self, status: RunStatus, code: str) -> None:
        if not self._over:
            self.perform(self.progress.stop(status, code))

    def _restore(self, done: Sequence[JobRecord]) -> list[Action]:
        index = self._graph.index
        for record in done:
            job = index.get(record.job_id)
            if job is not None:
                self.ledger.records[job] = msgspec.structs.replace(record, fence=self.run.fence)
                self.parking.restore(job, record)
            elif self._repeating is not None:
                self._repeating.restore(record)
        return self.progress.restore(done)

    def _disarm(self) -> None:
        self._standing.disarm()
        if self._parking is not None:
            self._parking.disarm()
        self._claiming.disarm()

    @property
    def parking(self) -> Parking:
        """The jobs that wait and hold nothing; most runs never have any."""
        if self._parking is None:
            self._parking = Parking(self)
        return self._parking

    def complete(self, wake: Wake) -> bool:
        """Tell a parked job what became of the thing it waits for; see Parking.complete."""
        job = self._graph.index.get(wake.job_id, self.ledger.numbers.get(wake.job_id))
        return False if self._over or job is None else self.parking.complete(job, wake)

    @property
    def rests(self) -> bool:
        """Whether every job under way waits and nothing is on its way."""
        return self._parking is not None and not self._gated and self.progress.rests

    @property
    def over(self) -> bool:
        """Whether nothing more happens here."""
        return self._over

    def step(self, job: int) -> Step:
        """Return the step of a job, and of an instance that of its job."""
        return self._steps[job if job < self._size else self.progress.node(job).index]

    def name(self, job: int) -> None:
        """Give an instance its id."""
        if self._repeating is not None and job >= self._size:
            self._repeating.name(job)

    def job_id(self, job: int) -> str:
        """Return the id of a job or of an instance."""
        return self.ledger.job_id(job)

    def perform(self, actions: Iterable[Action]) -> None:
        """Carry out actions and what follows from them, until only waiting is left."""
        queue: deque[Action] = deque(actions)
        budget = self.desk.limits.inline_jobs_max
        while queue and not self._over:
            action = queue.popleft()
            if isinstance(action, StartJob):
                step = self.step(action.job)
                if budget <= 0 or not self._may_start(step, action.job):
                    self._gated.append(action)
                    continue
                if (asked := self._claiming.ask(action)) is not None:
                    queue.extend(asked)
                    continue
                if step.inline or self._is_repeated(step, action.job):
                    budget -= 1
                elif not self._admission(step).enter(partial(self._admitted, action)):
                    self._queued = self._queued or set()
                    self._queued.add(action.job)
                    continue
                queue.extend(self._start(step, action.job, action.attempt))
            elif isinstance(action, EndRun):
                self._end(action)
            else:
                queue.extend(self._carry_out(action))
        if not self._over and (self.ledger.staged or self._gated or self._journal.lines):
            self.desk.mark(self)

    def _carry_out(self, action: CancelJob | SkipJob | RetryJob | DelayJob | AskLoop | GatherJob) -> list[Action]:
        if isinstance(action, CancelJob):
            return self._cancel_job(action)
        if isinstance(action, SkipJob | RetryJob):
            self._skip(action.job, action.reason) if isinstance(action, SkipJob) else self.parking.retry(action)
            return []
        assert self._repeating is not None
        if isinstance(action, AskLoop):
            return self._repeating.ask(action)
        if isinstance(action, GatherJob):
            return self._repeating.gather(action)
        self._repeating.delay(action)
        return []

    def _may_start(self, step: Step, job: int) -> bool:
        """Return whether the ends of all that come before are on disk."""
        if not self.ledger.durable(step.node.needs):
            return False
        return job < self._size or self._repeating is None or self.ledger.durable(self._repeating.before(job))

    def _is_repeated(self, step: Step, job: int) -> bool:
        return step.node.repeat is not None and job < self._size

    def _end(self, action: EndRun) -> None:
        if self._in_flight:
            self._gated.append(action)
            return
        self._over = True
        self._disarm()
        self._attempts = self._parking = self._repeating = None  # without the circles all of them go at once
        change = ending.change(self.run, action, self._graph, self.ledger.records, self._standing.times(self))
        self.desk.finish(self, change, self.ledger.take_off(), self._journal.take())

    def ready_for_checkpoint(self) -> bool:
        """Return whether nothing of this run is on its way to the store."""
        return not self._in_flight and not self._over

    def take_off(self, changes: list[RunChange], jobs: list[JobRecord], logs: list[LogLine]) -> None:
        """Hand over everything that is to be recorded."""
        self._in_flight = True
        self._leaves = self._standing.tell(self, changes)
        jobs.extend(self.ledger.take_off())
        logs.extend(self._journal.take())

    def landed(self) -> None:
        """Go on with what waited for the last checkpoint."""
        self._in_flight = False
        if self._leaves:
            self.desk.let_go(self)
            return
        self.ledger.landed()
        gated, self._gated = self._gated, []
        self.perform(gated)
        self._standing.landed(self)

    # Jobs

    def variables(self, env: Mapping[str, str]) -> dict[str, Any]:
        """Return what `${…}` sees, with this environment."""
        return self._scope.variables(env)

    def seen_by(self, job: int) -> See:
        """Return the function that gives what a job or an instance sees, for an environment."""
        if job < self._size or self._repeating is None:
            return self._scope.variables
        return partial(self._repeating.variables, job)

    def log(self, job: int, attempt: int, line: str, stream: str) -> None:
        """Keep a line that a job printed; it is recorded with the next checkpoint."""
        if not self._over and self._journal.add(self.job_id(job), attempt, line, stream, self.desk.clock.now()):
            self.desk.mark(self)

    def _start(self, step: Step, job: int, number: int) -> list[Action]:
        """Begin an attempt; return what follows when it has ended already."""
        if self._repeating is not None and self._is_repeated(step, job):
            return self._repeating.expand(step, job)
        self.name(job)
        actions = self._begin_job(step, job, number)
        if not step.inline and (self._attempts is None or job not in self._attempts):
            self._admission(step).leave()
        return actions

    def _admission(self, step: Step) -> Admission:
        return self.desk.process_admission if step.child else self.desk.admission

    def _admitted(self, action: StartJob) -> bool:
        """Start a job that had to wait for a place, unless it was cancelled meanwhile."""
        if self._over or self._queued is None or action.job not in self._queued:
            return False
        self._queued.discard(action.job)
        self.perform(self._start(self.step(action.job), action.job, action.attempt))
        return True

    def _begin_job(self, step: Step, job: int, number: int) -> list[Action]:
        now = self.desk.clock.now()
        prepared = fill_in(step, self.seen_by(job), judged=job >= self._size)
        if isinstance(prepared, SkipReason):
            return self.skipped(job, prepared)
        job_id = self.job_id(job)
        self.desk.signals.emit("engine.job.started", run_id=self.run.id, job_id=job_id, attempt=number)
        if isinstance(prepared, Failure):
            return self.failed(job, number, now, prepared)
        config, env = prepared
        work = partial(step.module.run, config, Context(self, job, job_id, number, env))
        try:
            outcome = work()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a job raises is the job's failure
            return self.failed(job, number, now, from_exception(error, step.module))
        if not asyncio.iscoroutine(outcome):
            return self._returned(job, number, now, outcome)
        grace = max(self.desk.limits.cancel_grace_seconds, getattr(config, "grace", 0.0) * 2)
        limit = step.node.timeout_us
        self.ledger.put(job, JobStatus.RUNNING, number, started_at=now)
        self._attempts = self._attempts or Attempts(self.desk, self._attempt_ended)
        attempt = Attempt(number, now, grace, self._admission(step))
        self._attempts.begin(job, attempt, (outcome, work), None if limit is None else limit / SECOND_US)
        return []

    def _attempt_ended(self, job: int, attempt: Attempt, task: asyncio.Task[Any] | None) -> None:
        """Take in the end of an attempt that ran as a task."""
        if self._over:
            return
        number, started_at = attempt.number, attempt.started_at
        error = None if task is None or task.cancelled() else task.exception()
        if task is None:
            self.log(job, number, "the job did not stop when it was told to; it may still be running", "system")
        if task is None or task.cancelled() or (error is not None and attempt.cause):
            self.perform(self._stopped(job, attempt))
        elif error is not None:
            why = from_exception(error, self.step(job).module)
            self.perform(self.failed(job, number, started_at, why))
        else:
            self.perform(self._returned(job, number, started_at, task.result()))

    def _stopped(self, job: int, attempt: Attempt) -> list[Action]:
        """Return what follows from an attempt that was cancelled, or that cancelled itself."""
        if attempt.cause == CANCEL:
            return self.cancelled(job, attempt.number, attempt.started_at)
        return self.failed(job, attempt.number, attempt.started_at, stopped(attempt, self.step(job).node.timeout_us))

    def _returned(self, job: int, number: int, started_at: int, output: Any) -> list[Action]:
        self._claiming.leave(job)
        if isinstance(output, SleepUntil):
            return self.parking.sleep(job, number, started_at, output)
        if isinstance(output, WaitFor):
            return self.parking.wait_for(job, number, started_at, output)
        encoded = encode_output(output, self.desk.limits.output_bytes_max)
        if isinstance(encoded, Failure):
            return self.failed(job, number, started_at, encoded)
        return self.succeeded(job, number, started_at, encoded)

    def succeeded(self, job: int, number: int, started_at: int | None, output: bytes) -> list[Action]:
        """Record that a job succeeded; return what follows."""
        now = self.desk.clock.now()
        self._close(job, JobStatus.SUCCEEDED, number, started_at=started_at, ended_at=now, output=output)
        return self.progress.apply(job, SUCCEEDED)

    def failed(
        self, job: int, number: int, started_at: int | None, why: Failure, output: bytes | None = None
    ) -> list[Action]:
        """Record that an attempt failed; return what follows."""
        now = self.desk.clock.now()
        values = {"started_at": started_at, "ended_at": now, "error": why.error, "output": output}
        self._close(job, JobStatus.FAILED, number, **values)
        return self.progress.apply(job, why.result)

    def skipped(self, job: int, reason: SkipReason) -> list[Action]:
        """Record that a job is not run; return what follows."""
        self._skip(job, reason)
        return self.progress.apply(job, Result(JobStatus.SKIPPED, reason=reason))

    def cancelled(self, job: int, number: int, started_at: int | None) -> list[Action]:
        """Record that a job was cancelled; return what follows."""
        now = self.desk.clock.now()
        self._close(job, JobStatus.CANCELLED, number, started_at=started_at, ended_at=now, error=_CANCELLED_ERROR)
        return self.progress.apply(job, CANCELLED)

    def _skip(self, job: int, reason: SkipReason) -> None:
        self._close(job, JobStatus.SKIPPED, 1, ended_at=self.desk.clock.now(), error=ending.SKIP_ERRORS[reason])

    def _close(self, job: int, status: JobStatus, number: int, **values: Any) -> None:
        record = self.ledger.close(job, status, number, **values)
        self._claiming.leave(job)
        if job < self._size:
            self._scope.ended(job)
        elif self._repeating is not None:
            self._repeating.ended(job, record)
        self.desk.signals.emit("engine.job.finished", run_id=record.run_id, job_id=record.job_id, status=status)

    def _cancel_job(self, action: CancelJob) -> list[Action]:
        job = action.job
        record = self.ledger.records.get(job)
        if record is not None and record.ended_at is not None:
            return []  # it came to its end before its turn to be cancelled
        if self._queued is not None:
            self._queued.discard(job)
        # Its start may still wait for the checkpoint of a job before it.
        self._gated = [one for one in self._gated if not (isinstance(one, StartJob) and one.job == job)]
        if self._attempts is not None and job in self._attempts:
            self._attempts.stop(job, CANCEL)
            return []
        if self._parking is not None:
            if self._parking.withdraw(job):
                return []
            self._parking.leave(job)
        if self.progress.is_expanded(job):
            return self.progress.halt(job)
        self.name(job)
        return self.cancelled(job, record.attempt if record else 1, record.started_at if record else None)

"""The jobs of one run that wait and hold nothing: for a time, for their next attempt, or for a named thing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from workflow_scheduler.core.dag.actions import PAUSED, Action, RetryJob
from workflow_scheduler.core.dag.park import SleepUntil, WaitFor, waiting_for
from workflow_scheduler.core.execution.failure import Failure, encode_output, failure, from_wake
from workflow_scheduler.core.model.run import JobRecord, JobStatus, Wake
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.engines.embedded.attempts import TIMEOUT
from workflow_scheduler.engines.embedded.timers import Timer

if TYPE_CHECKING:
    from workflow_scheduler.engines.embedded.execution import Execution

_WAKE_SECONDS_MAX = 60.0
_logger = logging.getLogger(__name__)


class Parking:
    """Keeps the timers and the names; all that is durable about them stands in the job's record."""

    __slots__ = ("_execution", "_names", "_timers", "_times", "_told", "_withdrawn")

    def __init__(self, execution: Execution) -> None:
        """Serve one run."""
        self._execution = execution
        self._timers: dict[int, Timer] = {}
        self._times: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._told: set[int] = set()
        self._withdrawn: set[int] = set()

    @property
    def settled(self) -> bool:
        """Whether nothing is being called off, and no job was told something that it does not wait for (yet)."""
        return not self._withdrawn and not self._told

    @property
    def named(self) -> bool:
        """Whether any job waits for a named thing."""
        return bool(self._names)

    def next_at(self) -> int | None:
        """Return when the next job is due or runs out of its timeout, in microseconds; None when none ever is."""
        return min(self._times.values(), default=None)

    def plan(self, job: int, at: int, call: Callable[[], None]) -> None:
        """Call at a wall-clock instant; the wait is cut into pieces, so that clock changes are noticed."""
        desk = self._execution.desk
        left = (at - desk.clock.now()) / SECOND_US
        self._times[job] = at
        self._timers[job] = desk.timers.after(min(left, _WAKE_SECONDS_MAX), partial(self._due, job, at, call))

    def _due(self, job: int, at: int, call: Callable[[], None]) -> None:
        if self._execution.desk.clock.now() < at:
            self.plan(job, at, call)
            return
        del self._timers[job], self._times[job]
        call()

    def disarm(self) -> None:
        """Forget everything; records stay as they are."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._times.clear()
        self._execution.desk.waiting -= len(self._names)
        self._names.clear()

    def leave(self, job: int) -> None:
        """Forget one job."""
        self._told.discard(job)
        self._times.pop(job, None)
        timer = self._timers.pop(job, None)
        if timer is not None:
            timer.cancel()
        if self._names.pop(job, None) is not None:
            self._execution.desk.waiting -= 1

    def restore(self, job: int, record: JobRecord) -> None:
        """Let a job of a run that was taken over wait on."""
        if record.wake_at is not None and record.status in {JobStatus.PAUSED, JobStatus.QUEUED}:
            self.plan(job, record.wake_at, partial(self._wake, job))
        elif record.status is JobStatus.PAUSED:
            name = waiting_for(record.output)
            if name is not None:
                self._begin(job, name, record.started_at)

    def wake_at(self, job: int, at: int) -> None:
        """Wake a job whose record says that it waits until then."""
        self.plan(job, at, partial(self._wake, job))

    # For a time

    def sleep(self, job: int, number: int, started_at: int, sleep: SleepUntil) -> list[Action]:
        """Park a job until its time has come."""
        run, clock = self._execution, self._execution.desk.clock
        output = encode_output(sleep.output, run.desk.limits.output_bytes_max)
        if isinstance(output, Failure):
            return run.failed(job, number, started_at, output)
        if sleep.wake_at <= clock.now():
            return run.succeeded(job, number, started_at, output)
        run.ledger.put(job, JobStatus.PAUSED, number, started_at=started_at, output=output, wake_at=sleep.wake_at)
        self.plan(job, sleep.wake_at, partial(self._wake, job))
        return run.progress.apply(job, PAUSED)

    def retry(self, action: RetryJob) -> None:
        """Replace the record of the failed attempt by one that waits; the error stays visible."""
        run, job = self._execution, action.job
        before = run.ledger.records[job]
        wake_at = run.desk.clock.now() + action.delay_us
        run.ledger.reopen(job)
        run.ledger.put(
            job, JobStatus.QUEUED, action.attempt, started_at=before.started_at, error=before.error, wake_at=wake_at
        )
        self.plan(job, wake_at, partial(self._wake, job))

    def _wake(self, job: int) -> None:
        run = self._execution
        record = run.ledger.records[job]
        if record.status is JobStatus.PAUSED:
            run.perform(run.succeeded(job, record.attempt, record.started_at, record.output or b"null"))
        else:
            run.perform(run.progress.wake(job))

    # For a named thing

    def wait_for(self, job: int, number: int, started_at: int, wait: WaitFor) -> list[Action]:
        """Park a job until it is told what became of a named thing."""
        run = self._execution
        output = encode_output({"waiting_for": wait.name, **wait.facts}, run.desk.limits.output_bytes_max)
        if isinstance(output, Failure):
            return run.failed(job, number, started_at, output)
        run.ledger.put(job, JobStatus.PAUSED, number, started_at=started_at, output=output)
        self._begin(job, wait.name, started_at)
        return run.progress.apply(job, PAUSED)

    def _begin(self, job: int, name: str, started_at: int | None) -> None:
        run = self._execution
        self._names[job] = name
        run.desk.waiting += 1
        limit = run.step(job).node.timeout_us
        if limit is not None:
            self.plan(job, (started_at or run.desk.clock.now()) + limit, partial(self._expired, job, limit))
        run.desk.on_wait()

    def complete(self, job: int, wake: Wake) -> bool:
        """Take in a wake; return whether the job has come to its end, so that the wake is of no more use."""
        run = self._execution
        record = run.ledger.records.get(job)
        if record is None or self._names.get(job) != wake.name:
            over = record is not None and record.ended_at is not None
            if not over:
                self._told.add(job)  # it stays stored; a run that rested now would be taken up for it again and again
            return over
        self.leave(job)
        if wake.status is JobStatus.SUCCEEDED:
            actions = run.succeeded(job, record.attempt, record.started_at, wake.output or b"null")
        else:
            actions = run.failed(job, record.attempt, record.started_at, from_wake(wake))
        run.perform(actions)
        return True

    def withdraw(self, job: int) -> bool:
        """Begin to cancel a job if it waits for a named thing; return whether it does."""
        if job not in self._names:
            return False
        self._give_up(job, partial(self._cancelled, job))
        return True

    def _expired(self, job: int, limit: int) -> None:
        why = failure(TIMEOUT, f"the job took longer than its timeout of {limit / SECOND_US:g} s")
        self._give_up(job, lambda record: self._execution.failed(job, record.attempt, record.started_at, why))

    def _cancelled(self, job: int, record: JobRecord) -> list[Action]:
        return self._execution.cancelled(job, record.attempt, record.started_at)

    def _give_up(self, job: int, end: Callable[[JobRecord], list[Action]]) -> None:
        self._withdrawn.add(job)
        self._execution.desk.spawn(self._withdraw(job, self._names[job], end))

    async def _withdraw(self, job: int, name: str, end: Callable[[JobRecord], list[Action]]) -> None:
        """Tell whoever works on the named thing that nobody waits for it, then end the job: in this order.

        A crash between the two repeats the first. A wake that comes meanwhile ends the job before this does.
        """
        run = self._execution
        record = run.ledger.records[job]
        try:
            await run.desk.withdraw(run.run, record.job_id, name)
        except Exception:
            _logger.exception("what job %s of run %s waits for cannot be called off", record.job_id, run.run.id)
        self._withdrawn.discard(job)
        if self._names.get(job) == name and not run.over:
            self.leave(job)
            run.perform(end(record))

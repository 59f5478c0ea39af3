"""Attempts that run as asyncio tasks: their time-outs, their cancellation, and their ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final

from workflow_scheduler.core.errors import JobFailed
from workflow_scheduler.core.execution.failure import Failure, failure
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.engines.embedded.admission import Admission
from workflow_scheduler.engines.embedded.desk import Desk
from workflow_scheduler.engines.embedded.timers import Timer
from workflow_scheduler.engines.outages import through_outages

Again = Callable[[], Any]
TIMEOUT: Final = "timeout"
CANCEL: Final = "cancelled"


class Attempt:
    """One attempt. `cause` says why it was told to stop: TIMEOUT, CANCEL, or nothing."""

    __slots__ = ("admission", "cause", "grace_seconds", "number", "started_at", "task", "timer")

    def __init__(self, number: int, started_at: int, grace_seconds: float, admission: Admission) -> None:
        """Begin at `started_at` (microseconds), with a place of `admission`."""
        self.admission = admission
        self.number = number
        self.started_at = started_at
        self.grace_seconds = grace_seconds
        self.cause = ""
        self.task: asyncio.Task[Any] | None = None
        self.timer: Timer | None = None


class Attempts:
    """The attempts of one run that are under way, by job; each holds a place of its admission.

    `on_end(job, attempt, task)` is called once for each; `task` is None for one that did not stop when it was told to
    and is left behind.
    """

    __slots__ = ("_desk", "_on_end", "_open")

    def __init__(self, desk: Desk, on_end: Callable[[int, Attempt, asyncio.Task[Any] | None], None]) -> None:
        """Begin with none."""
        self._desk = desk
        self._on_end = on_end
        self._open: dict[int, Attempt] = {}

    def __contains__(self, job: int) -> bool:
        """Return whether an attempt of this job is under way."""
        return job in self._open

    def begin(
        self, job: int, attempt: Attempt, work: tuple[Coroutine[Any, Any, Any], Again], timeout_seconds: float | None
    ) -> None:
        """Run `work`, which can be begun again, as a task for at most `timeout_seconds`."""
        assert self._desk.loop is not None
        first, again = work
        attempt.task = self._desk.loop.create_task(_contained(first, again, self._desk.clock))
        self._open[job] = attempt
        if timeout_seconds is not None:
            attempt.timer = self._desk.timers.after(timeout_seconds, partial(self.stop, job, TIMEOUT))
        attempt.task.add_done_callback(lambda _: first.close())  # cancelled before its first step, it never ran
        attempt.task.add_done_callback(partial(self._ended, job))

    def stop(self, job: int, cause: str) -> None:
        """Tell an attempt to stop; after its grace the run goes on without it."""
        attempt = self._open.get(job)
        if attempt is None or attempt.cause or attempt.task is None:
            return
        attempt.cause = cause
        _disarm(attempt)
        attempt.timer = self._desk.timers.after(attempt.grace_seconds, partial(self._give_up, job))
        attempt.task.cancel()

    def abandon(self) -> list[asyncio.Task[Any]]:
        """Cancel all of them without a word to anybody, and return their tasks."""
        tasks = []
        for attempt in self._open.values():
            _disarm(attempt)
            attempt.admission.leave()
            if attempt.task is not None:
                attempt.task.cancel()
                tasks.append(attempt.task)
        self._open.clear()
        return tasks

    def _give_up(self, job: int) -> None:
        attempt = self._open.pop(job, None)
        if attempt is not None:
            attempt.admission.leave()
            self._on_end(job, attempt, None)

    def _ended(self, job: int, task: asyncio.Task[Any]) -> None:
        attempt = self._open.get(job)
        if attempt is None or attempt.task is not task:
            if not task.cancelled():
                task.exception()  # it is nobody's any more; asyncio is not to complain about it
            return
        del self._open[job]
        attempt.admission.leave()
        _disarm(attempt)
        self._on_end(job, attempt, task)


def stopped(attempt: Attempt, timeout_us: int | None) -> Failure:
    """Return the failure of an attempt that ran out of its time, or that cancelled itself."""
    if attempt.cause == TIMEOUT:
        limit = (timeout_us or 0) / SECOND_US
        return failure(TIMEOUT, f"the job took longer than its timeout of {limit:g} s", retryable=True)
    return failure("interrupted", "the job cancelled itself", retryable=True)


def _disarm(attempt: Attempt) -> None:
    if attempt.timer is not None:
        attempt.timer.cancel()


async def _contained(work: Coroutine[Any, Any, Any], again: Again, clock: Clock) -> Any:
    """Await a job; an attempt to end the process is the job's failure, nothing more."""
    try:
        return await through_outages(work, again, clock)
    except (SystemExit, KeyboardInterrupt) as error:
        raise JobFailed(f"the job tried to end the process ({type(error).__name__})") from None

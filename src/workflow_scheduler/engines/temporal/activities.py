"""The activities of a worker: thin, all they do is done by the Runner, the Repeating and the Recorder."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from temporalio import activity

from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines.temporal import orders
from workflow_scheduler.engines.temporal.orders import JobOrder, NoteOrder, Reply
from workflow_scheduler.engines.temporal.recorder import Recorder
from workflow_scheduler.engines.temporal.repeating import Repeating
from workflow_scheduler.engines.temporal.runner import Runner
from workflow_scheduler.engines.temporal.view import RunOver

_OVER: Final = Reply("CANCELLED")
_BEATS_PER_TIMEOUT = 4


class Activities:
    """What the workflow may ask of this worker."""

    def __init__(self, runner: Runner, repeating: Repeating, recorder: Recorder, clock: Clock) -> None:
        """Carry out orders with these."""
        self._runner = runner
        self._repeating = repeating
        self._recorder = recorder
        self._clock = clock

    def all(self) -> list[Callable[..., Any]]:
        """Return the activities for a worker."""
        return [
            self.run_job, self.expand_job, self.ask_loop, self.gather_job,
            self.end_sleep, self.end_wait, self.give_up, self.note, self.finish,
        ]  # fmt: skip

    @activity.defn(name=orders.RUN_JOB)
    async def run_job(self, order: JobOrder) -> Reply:
        """Run one attempt of a job, and say several times within the heartbeat time-out that it is alive."""
        beat = activity.info().heartbeat_timeout
        pulse = None if beat is None else asyncio.create_task(self._beat(beat.total_seconds() / _BEATS_PER_TIMEOUT))
        try:
            return await _until_over(self._runner.run_job(order, _is_wanted))
        finally:
            if pulse is not None:
                pulse.cancel()

    @activity.defn(name=orders.EXPAND_JOB)
    async def expand_job(self, order: JobOrder) -> Reply:
        """Find out the instances of a repeated job."""
        return await _until_over(self._repeating.expand_job(order))

    @activity.defn(name=orders.ASK_LOOP)
    async def ask_loop(self, order: JobOrder) -> Reply:
        """Judge the condition of a loop."""
        return await _until_over(self._repeating.ask_loop(order))

    @activity.defn(name=orders.GATHER_JOB)
    async def gather_job(self, order: JobOrder) -> Reply:
        """End a repeated job."""
        return await _until_over(self._repeating.gather_job(order))

    @activity.defn(name=orders.END_SLEEP)
    async def end_sleep(self, order: JobOrder) -> Reply:
        """End a job that has slept."""
        return await _until_over(self._runner.end_sleep(order))

    @activity.defn(name=orders.END_WAIT)
    async def end_wait(self, order: JobOrder) -> Reply:
        """End a job that was told what it waited for."""
        return await _until_over(self._runner.end_wait(order))

    @activity.defn(name=orders.GIVE_UP)
    async def give_up(self, order: JobOrder) -> Reply:
        """End a job that waits no more."""
        return await _until_over(self._runner.give_up(order))

    @activity.defn(name=orders.NOTE)
    async def note(self, order: NoteOrder) -> Reply:
        """Write down states of jobs."""
        try:
            await self._recorder.note(order)
        except RunOver:
            return _OVER
        return Reply()

    @activity.defn(name=orders.FINISH)
    async def finish(self, order: NoteOrder) -> Reply:
        """Let the service look at the run that is about to end."""
        await self._recorder.finish(order)
        return Reply()

    async def _beat(self, seconds: float) -> None:
        while True:
            activity.heartbeat()
            await self._clock.sleep(seconds)


def _is_wanted() -> bool:
    details = activity.cancellation_details()
    return details is not None and details.cancel_requested and not details.worker_shutdown


async def _until_over(work: Awaitable[Reply]) -> Reply:
    """Await an answer; a run that was ended in our store is stopped where it stands."""
    try:
        return await work
    except RunOver:
        return _OVER

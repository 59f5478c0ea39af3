"""A worker: takes jobs from the task queue, for as long as it is told to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from workflow_scheduler.core.errors import EngineUnavailable
from workflow_scheduler.core.ports.engine import RunSink
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines.temporal.activities import Activities
from workflow_scheduler.engines.temporal.books import Books
from workflow_scheduler.engines.temporal.client import TemporalAddress, connect
from workflow_scheduler.engines.temporal.context import Lent
from workflow_scheduler.engines.temporal.recorder import Limits, Recorder
from workflow_scheduler.engines.temporal.repeating import Repeating
from workflow_scheduler.engines.temporal.runner import Runner
from workflow_scheduler.engines.temporal.workflow import RunWorkflow

AGAIN_SECONDS = 5.0
STOP_SECONDS = 20.0
_GRACE = timedelta(seconds=5)
_THROTTLE = timedelta(seconds=1)
_logger = logging.getLogger(__name__)


class TemporalWorker:
    """Executes runs of the engine `temporal` in this process."""

    def __init__(
        self, address: TemporalAddress, job_types: Mapping[str, Any], books: Books, sink: RunSink, clock: Clock
    ) -> None:
        """Take jobs of `job_types` from the task queue of `address`."""
        self._address = address
        self._job_types = job_types
        self._books = books
        self._sink = sink
        self._clock = clock
        self._worker: Worker | None = None

    def equip(self, lent: Lent, limits: Limits, *, allow_code: bool) -> None:
        """Say what jobs may use."""
        recorder = Recorder(
            self._job_types, self._books, self._sink, self._clock, limits, allow_code=allow_code
        )  # fmt: skip
        repeating = Repeating(recorder, self._clock, lent.public_url)
        runner = Runner(recorder, repeating, self._clock, lent, limits)
        self._activities = Activities(runner, repeating, recorder, self._clock)
        self._parallel = limits.parallel_jobs_max

    def worker(self, client: Client) -> Worker:
        """Return the library's worker on a connection."""
        return Worker(
            client,
            task_queue=self._address.task_queue,
            workflows=[RunWorkflow],
            activities=self._activities.all(),
            max_concurrent_activities=self._parallel,
            max_heartbeat_throttle_interval=_THROTTLE,
            graceful_shutdown_timeout=_GRACE,
        )

    async def run(self) -> None:
        """Connect and work until cancelled.

        Raises:
            EngineUnavailable: the server does not answer at the start; later it is waited for.

        """
        worker = self.worker(await connect(self._address))
        working = asyncio.create_task(worker.run())
        try:
            await asyncio.shield(working)
        except asyncio.CancelledError:
            if not working.done():
                await _stop(worker, working)
            raise

    async def loop(self) -> None:
        """Work for ever; a server that is away is tried again."""
        while True:
            try:
                await self.run()
            except EngineUnavailable as error:
                _logger.warning("%s", error.detail)
            except RuntimeError:
                _logger.exception("the Temporal worker stopped; it begins again")
            await self._clock.sleep(AGAIN_SECONDS)


async def _stop(worker: Worker, working: asyncio.Task[None]) -> None:
    """Let a worker finish; with its server away it may wait for it without end, and is given up then."""
    stopping = asyncio.create_task(worker.shutdown())
    ended, left = await asyncio.wait({stopping, working}, timeout=STOP_SECONDS)
    for task in ended:
        if not task.cancelled():
            task.exception()
    for task in left:
        task.cancel()
    if left:
        _logger.warning("the Temporal worker has not finished within %g s; its jobs are tried again", STOP_SECONDS)

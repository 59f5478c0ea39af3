"""Waking what waits: resting runs are taken up in time, and parked jobs are handed what they were told.

What is told stands in the store, whoever stored it; it goes to the engine that holds the run.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import Wake
from workflow_scheduler.core.ports.store import Row, Store, Work
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.pipeline.lease import Lease
from workflow_scheduler.stores.portable import parked, wakes

POLL_SECONDS = 1.0
READ_ROWS = 500
LEAD_US = 2 * SECOND_US  # a run that is taken up this early meets its time with its own timer
TAKE_RUNS = 200


class Parks(Protocol):
    """An engine in this process that parks jobs."""

    @property
    def waiting(self) -> int:
        """How many jobs here wait to be told something."""
        ...

    def complete(self, wake: Wake) -> bool:
        """Take in a wake; return whether the job of that name is not open any more, so that it is to be removed."""
        ...


class TakesUp(Protocol):
    """Takes up resting runs for this instance (the recovery)."""

    lease: Lease

    async def load(self, work: Work[list[Row]]) -> int:
        """Continue the runs that `work` makes this instance's; return how many rows it took."""
        ...


class Wakes:
    """Looks once a second, and at once after `hint`."""

    def __init__(self, store: Store, clock: Clock, owner: str, recovery: TakesUp) -> None:
        """Look for the instance `owner`; `engine` is set by the composition root."""
        self._store = store
        self._clock = clock
        self._owner = owner
        self._recovery = recovery
        self._looking: asyncio.Task[None] | None = None
        self._again = False
        self.engine: Parks | None = None

    async def loop(self) -> None:
        """Look, for ever."""
        while True:
            self.hint()
            await self._clock.sleep(POLL_SECONDS)

    def hint(self) -> None:
        """Say that a job may have been told something, has just begun to wait, or that a resting run is to end."""
        if self._looking is not None:
            self._again = True
            return
        self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        try:
            while True:
                self._again = False
                await self._take_up()
                await self._hand_over()
                if not self._again:
                    return
        except StoreUnavailable:
            return  # the next look finds the same
        finally:
            self._looking = None

    async def _take_up(self) -> None:
        """Take up resting runs; several instances that do so share them."""
        until = self._clock.now() + LEAD_US
        while self._recovery.lease.valid() and await parked.any_due(self._store, until):
            await self._recovery.load(parked.take_due(self._owner, until, TAKE_RUNS))
        while self._recovery.lease.valid() and await parked.any_told(self._store):
            await self._recovery.load(parked.take_told(self._owner, TAKE_RUNS))

    async def _hand_over(self) -> None:
        if self.engine is None or not self.engine.waiting:
            return
        place: wakes.Place | None = wakes.FIRST
        while place is not None:
            found, place = await wakes.found(self._store, self._owner, place, READ_ROWS)
            for wake in found:
                if self.engine.complete(wake):
                    await self._store.transact(wakes.remove_taken(wake))

    async def close(self) -> None:
        """Wait for the look that is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

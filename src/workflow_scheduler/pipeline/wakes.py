"""Handing over what parked jobs were told: from the store, whoever stored it, to the engine that holds their runs."""

from __future__ import annotations

import asyncio
from typing import Protocol

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import Wake
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.portable import wakes

POLL_SECONDS = 1.0
READ_ROWS = 500


class Parks(Protocol):
    """An engine in this process that parks jobs."""

    @property
    def waiting(self) -> int:
        """How many jobs here wait to be told something."""
        ...

    def complete(self, wake: Wake) -> bool:
        """Take in a wake; return whether the job of that name is not open any more, so that it is to be removed."""
        ...


class Wakes:
    """Looks once a second, while any job waits, and at once after `hint`."""

    def __init__(self, store: Store, clock: Clock, owner: str) -> None:
        """Look for the runs of the instance `owner`; `engine` is set by the composition root."""
        self._store = store
        self._clock = clock
        self._owner = owner
        self._looking: asyncio.Task[None] | None = None
        self._again = False
        self.engine: Parks | None = None

    async def loop(self) -> None:
        """Look, for ever."""
        while True:
            if self.engine is not None and self.engine.waiting:
                self.hint()
            await self._clock.sleep(POLL_SECONDS)

    def hint(self) -> None:
        """Say that a job of this instance may have been told something, or has just begun to wait."""
        if self._looking is not None:
            self._again = True
            return
        self._looking = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        try:
            while True:
                self._again = False
                await self._hand_over()
                if not self._again:
                    return
        except StoreUnavailable:
            return  # the next look finds the same
        finally:
            self._looking = None

    async def _hand_over(self) -> None:
        if self.engine is None:
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

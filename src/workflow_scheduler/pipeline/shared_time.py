"""One time for all instances: that of the database they share.

Leases, due times and their order mean the same to everybody only by one clock. An instance whose own clock is ahead
would fire before the time has come and take the others for dead.
"""

from __future__ import annotations

import structlog

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import SECOND_US, SharedClock

WATCH_SECONDS = 5.0
ASKED = 3
SAME_US = 10_000
TOLD_US = SECOND_US
_NOW = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
_log = structlog.get_logger("workflow_scheduler")


class SharedTime:
    """Keeps the clock of an instance with that of a PostgreSQL server."""

    def __init__(self, store: Store, clock: SharedClock) -> None:
        """Ask `store`, and tell `clock`."""
        self._store = store
        self._clock = clock
        self._apart = False

    async def measure(self) -> None:
        """Ask the server for the time, and set the clock where it differs by more than the asking can explain.

        Raises:
            StoreUnavailable: the server does not answer.

        """
        took, instant, at = min([await self._ask() for _ in range(ASKED)])
        if abs(instant - self._at(at)) > SAME_US + took * SECOND_US / 2:
            self._clock.tell(instant, at)
        apart = instant - self._clock.own() + round((self._clock.monotonic() - at) * SECOND_US)
        if (abs(apart) > TOLD_US) != self._apart:
            self._apart = not self._apart
            if self._apart:
                _log.warning("clock.differs", seconds=round(apart / SECOND_US, 1), hint="the database's clock is used")

    async def watch(self) -> None:
        """Ask again and again; for ever."""
        while True:
            await self._clock.sleep(WATCH_SECONDS)
            try:
                await self.measure()
            except SchedulerError as error:
                _log.warning("clock.unavailable", error=error.detail)

    def _at(self, monotonic: float) -> int:
        """Return the instant that the clock showed at a moment of the monotonic clock."""
        return self._clock.now() - round((self._clock.monotonic() - monotonic) * SECOND_US)

    async def _ask(self) -> tuple[float, int, float]:
        """Return how long an answer took, the instant in it, and the monotonic moment it belongs to."""
        began = self._clock.monotonic()
        rows = await self._store.read(_NOW)
        took = self._clock.monotonic() - began
        return took, int(rows[0][0]), began + took / 2

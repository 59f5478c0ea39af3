"""The only place that reads the time, sleeps or draws random numbers.

Times are integers: microseconds since 1970-01-01 UTC. Everything else receives them.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

SECOND_US = 1_000_000
MINUTE_US = 60 * SECOND_US
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Wall time, monotonic time, waiting and chance, as one dependency."""

    def now(self) -> int:
        """Return the wall-clock instant in microseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of monotonic time."""
        ...

    def random(self) -> float:
        """Return a float in [0, 1)."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Return the wall-clock instant in microseconds."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Return seconds on the monotonic clock."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait without blocking the loop."""
        await asyncio.sleep(seconds)

    def random(self) -> float:
        """Return a pseudo-random float; never used where secrecy matters."""
        return random.random()


class SharedClock:
    """The clock of a machine until it is told what time it is; from then on the time it was told, going on evenly.

    Nobody who sets the machine's clock moves it. Whoever owns it tells it the time again every few seconds.
    """

    def __init__(self, own: Clock) -> None:
        """Begin as `own`."""
        self._own = own
        self._told: tuple[int, float] | None = None

    def tell(self, instant_us: int, at: float) -> None:
        """Take note that it was `instant_us` when the monotonic clock showed `at`."""
        self._told = instant_us, at

    def own(self) -> int:
        """Return the wall-clock instant of the machine in microseconds."""
        return self._own.now()

    def now(self) -> int:
        """Return the instant in microseconds, as it was told."""
        if self._told is None:
            return self._own.now()
        instant, at = self._told
        return instant + round((self._own.monotonic() - at) * SECOND_US)

    def monotonic(self) -> float:
        """Return seconds on the machine's monotonic clock."""
        return self._own.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of monotonic time."""
        await self._own.sleep(seconds)

    def random(self) -> float:
        """Return what the machine's clock draws."""
        return self._own.random()


def to_iso(instant_us: int) -> str:
    """Return `2027-03-14T07:30:00Z`, with microseconds only when they are not zero."""
    moment = _EPOCH + timedelta(microseconds=instant_us)
    return moment.replace(tzinfo=None).isoformat() + "Z"


def from_iso(text: str) -> int:
    """Return the microseconds of an ISO 8601 instant; a time without an offset is taken as UTC.

    Raises:
        ValueError: the text is not an ISO 8601 date-time.

    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return from_datetime(moment)


def from_datetime(moment: datetime) -> int:
    """Return the microseconds of an aware datetime, exactly."""
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND_US + delta.microseconds


def to_datetime(instant_us: int) -> datetime:
    """Return the aware UTC datetime of an instant."""
    return _EPOCH + timedelta(microseconds=instant_us)

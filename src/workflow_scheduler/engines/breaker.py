"""A circuit breaker: it stops calling an engine that keeps failing, and tries again with one call at a time.

::

    CLOSED --failures_max failures in a row--> OPEN --open_seconds pass--> HALF_OPEN --probe succeeds--> CLOSED
                                                ^                              |
                                                +---------probe fails----------+

The time in OPEN doubles with each failed probe, up to open_seconds_max. Pure: time is passed in.
"""

from __future__ import annotations

from enum import StrEnum

from workflow_scheduler.core.time.clock import SECOND_US


class Circuit(StrEnum):
    """closed: calls pass; open: they do not; half_open: one call finds out."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """The breaker of one engine; `now` is in microseconds."""

    def __init__(self, *, failures_max: int = 5, open_seconds: float = 1.0, open_seconds_max: float = 60.0) -> None:
        """Start closed."""
        self._failures_max = failures_max
        self._shortest_us = round(open_seconds * SECOND_US)
        self._longest_us = round(open_seconds_max * SECOND_US)
        self._open_us = self._shortest_us
        self._failures = 0
        self._retry_at: int | None = None
        self._probe_until: int | None = None

    def state(self, now: int) -> Circuit:
        """Return the state at `now`."""
        if self._retry_at is None:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self._retry_at else Circuit.HALF_OPEN

    def wait_us(self, now: int) -> int:
        """Return 0 when a call may be made now, else how long to wait.

        In half_open the caller that gets 0 is the probe; if it never reports, another one may follow after the time
        that the breaker was open.
        """
        state = self.state(now)
        if state is Circuit.CLOSED:
            return 0
        if state is Circuit.OPEN:
            return (self._retry_at or now) - now
        if self._probe_until is not None and now < self._probe_until:
            return self._probe_until - now
        self._probe_until = now + self._open_us
        return 0

    def succeeded(self) -> None:
        """Note that the engine answered: closed."""
        self._failures = 0
        self._open_us = self._shortest_us
        self._retry_at = self._probe_until = None

    def failed(self, now: int) -> None:
        """Note that the engine did not answer, or answered with an error of its own."""
        self._failures += 1
        if self._retry_at is not None and now >= self._retry_at:
            self._open_us = min(self._open_us * 2, self._longest_us)
            self._retry_at = now + self._open_us
            self._probe_until = None
        elif self._retry_at is None and self._failures >= self._failures_max:
            self._retry_at = now + self._open_us

"""What this instance knows about its own lease.

An instance that was stopped, suspended or cut off for longer than its lease wakes up with runs in memory that others
have taken over. Its writes are fenced, but a job does its work before it is written. So nothing new is begun while the
lease is in doubt, and when it is sure again, the runs that belong to others are dropped first.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from workflow_scheduler.core.time.clock import Clock


class Holds(Protocol):
    """Has runs under way in this process; the embedded engine."""

    def held(self) -> Mapping[str, int]:
        """Return the fence of every run that is here, by its id."""
        ...

    def drop(self, run_ids: Collection[str]) -> None:
        """Let go of runs that belong to others now, and begin what waited for the lease."""
        ...


class Lease:
    """Until when the lease surely holds, on the clock that never jumps. `term` counts how often it was in doubt."""

    def __init__(self, clock: Clock) -> None:
        """Begin without a lease."""
        self._clock = clock
        self._until = clock.monotonic()
        self.term = 0

    def valid(self) -> bool:
        """Return whether nobody else can have taken this instance's runs."""
        return self._clock.monotonic() < self._until

    def renew(self, asked_at: float, seconds: float) -> None:
        """Hold for `seconds` from when the store was asked (monotonic), not from when it answered."""
        if not self.valid():
            self.term += 1
        self._until = asked_at + seconds

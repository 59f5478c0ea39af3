"""Nominal times of schedules."""

from __future__ import annotations

from typing import Protocol

import msgspec


class Fire(msgspec.Struct, frozen=True, gc=False):
    """One nominal time: its UTC instant (microseconds), local wall time, fold, and a note at a clock change."""

    utc: int
    local: str
    fold: int = 0
    note: str | None = None


def noted(fire: Fire, note: str | None) -> Fire:
    """Return a fire with `note` added to what is said of it."""
    if not note:
        return fire
    return Fire(fire.utc, fire.local, fire.fold, f"{fire.note}; {note}" if fire.note else note)


class Calendar(Protocol):
    """Fires on the wall calendar, zones left aside; wall times are seconds since 1970 on the wall clock.

    `fixed` chooses the rule at clock changes: true for a time of day that fires once per local date.
    """

    def __hash__(self) -> int:
        """Return a hash: counts are kept by what they are of."""
        ...

    @property
    def fixed(self) -> bool:
        """Whether the times of day are fixed; otherwise they follow real time."""
        ...

    def next_local(self, wall: int) -> int | None:
        """Return the first matching wall time at or after `wall`, or None if there is none."""
        ...

    def count_local(self, start: int, stop: int) -> int:
        """Return how many wall times in [start, stop) match."""
        ...

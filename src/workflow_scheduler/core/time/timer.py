"""Timers: a time trigger as the scheduler sees it, and when it is due."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec

from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.fire import Fire
from workflow_scheduler.core.time.jitter import jitter


class TimerType(Protocol):
    """What a trigger type of the shape `timer` offers.

    Optional: `count(config, after, until, anchor) -> int`, the number of fires in (after, until] without walking
    through them; without it, long downtimes are settled in portions. `anchored`, True where the anchor moves the times.
    """

    def next_fire(self, config: Any, after: int, anchor: int) -> Fire | None:
        """Return the first fire strictly later than `after`, both in microseconds UTC."""
        ...

    def timezone(self, config: Any) -> str:
        """Return the name of the zone in which local times are shown."""
        ...


class Due(msgspec.Struct, frozen=True, gc=False):
    """When a trigger is due: the nominal time, and `fire_at`, which has the jitter added (microseconds UTC)."""

    nominal: int
    fire_at: int
    fire: Fire


class Timer(NamedTuple):
    """A trigger's type, configuration, logical id and anchor instant (microseconds)."""

    type: TimerType
    config: Any
    trigger_id: str
    anchor: int

    def after(self, nominal: int) -> Fire | None:
        """Return the first fire strictly later than `nominal`."""
        return self.type.next_fire(self.config, nominal, self.anchor)

    def at(self, nominal: int) -> Fire:
        """Return the fire at `nominal`; a row made under other rules keeps its time and gets its local text here."""
        fire = self.type.next_fire(self.config, nominal - 1, self.anchor)
        if fire is not None and fire.utc == nominal:
            return fire
        zone = zones.load(self.type.timezone(self.config))
        return Fire(nominal, zone.local(nominal), zone.fold(nominal))

    def due(self, fire: Fire, spread: int) -> Due:
        """Return when `fire` is due with jitter up to `spread` microseconds, but before the next nominal time."""
        if not spread:
            return Due(fire.utc, fire.utc, fire)
        following = self.after(fire.utc)
        room = spread if following is None else min(spread, following.utc - fire.utc)
        return Due(fire.utc, fire.utc + jitter(self.trigger_id, fire.utc, room), fire)

    @property
    def countable(self) -> bool:
        """Whether the type can count fires without walking through them."""
        return hasattr(self.type, "count")

    def between(self, after: int, until: int) -> int:
        """Return the number of fires in (after, until]."""
        counter: Any = self.type
        return int(counter.count(self.config, after, until, self.anchor))

    def newest(self, first: int, until: int, rank: int) -> int:
        """Return the nominal time of the `rank`-th newest fire in [first, until], by searching on the count.

        It ends as soon as an instant is found with `rank` fires after it: the first of these is the one. Every other
        guess supposes that fires lie evenly, as they mostly do; those between halve the span, as they may not.
        """
        low, high = first, until
        older, newer = 1 + self.between(first, until), 0  # how many fires lie from `low` on, and after `high`
        evenly = True
        while low < high:
            middle = (low + high) // 2
            if evenly and older > newer:
                middle = min(max(high - (high - low) * (rank - newer) // (older - newer), low), high - 1)
            evenly = not evenly
            later = self.between(middle, until)
            if later < rank:
                high, newer = middle, later
            elif later > rank:
                low, older = middle + 1, later
            else:
                fire = self.after(middle)
                assert fire is not None
                return fire.utc
        return low

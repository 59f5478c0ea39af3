"""A time trigger whose times are moved off the days that its calendars do not allow.

A time moves to another local date at the same wall time; where that is missing at a clock change, to the first instant
after the gap; where it is doubled, to the first copy. Its identity is the instant it moves to. Times that land on one
instant are one. A later date never moves before an earlier one, so that the next time is found from the dates around.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from workflow_scheduler.core.time.calendars.ics_times import date_of
from workflow_scheduler.core.time.calendars.rules import Rules
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.core.time.exclusion import excluding
from workflow_scheduler.core.time.fire import Fire, noted
from workflow_scheduler.core.time.timer import TimerType
from workflow_scheduler.core.time.zone import LATEST, wall_text

_DAY_SECONDS = 86_400
_DAY_US = _DAY_SECONDS * SECOND_US
_DAYS_TRIED = 20_000
_FIRES_TRIED = 4_000
_MOST_NOTED = 3


class _Candidate(NamedTuple):
    """A time on the day asked about: its instant, and where it comes from; `fire` where it was not moved."""

    utc: int
    note: str
    fire: Fire | None


class Shifted:
    """A timer type as `rules` move its times. It cannot count them: each is found from the type's own ones."""

    def __init__(self, module: TimerType, rules: Rules) -> None:
        """Move the times of `module`, whose configurations are in the zone of `rules`."""
        self._module: Any = module
        self._rules = rules
        self._zone = rules.zone

    def __getattr__(self, name: str) -> Any:
        """Return what else the type has, but not `count`."""
        if name == "count":
            raise AttributeError(name)
        return getattr(self._module, name)

    def timezone(self, config: Any) -> str:
        """Return the zone of the type's times."""
        return str(self._module.timezone(config))

    def next_fire(self, config: Any, after: int, anchor: int) -> Fire | None:
        """Return the first time strictly later than `after`, both in microseconds UTC."""
        source = self._first_source(self._day(after))
        for _ in range(_DAYS_TRIED):
            fire = self._own(config, self._start(source) - 1, anchor)
            if fire is None or fire.utc >= LATEST * SECOND_US:
                return None
            source = max(source, self._day(fire.utc))
            target = self._rules.target(source)
            last = self._last_source(source, target)
            found = [
                one
                for day in range(source, last + 1)
                if (one := self._first_on(config, anchor, (day, target), after)) is not None
            ]
            if found:
                return self._merged(found)
            source = last + 1
        return None

    def lands(self, config: Any, instant: int, anchor: int) -> int | None:
        """Return where the time moves that the type alone has in the minute of `instant`; None where it does not."""
        minute = instant - instant % (60 * SECOND_US)
        fire = self._own(config, minute - 1, anchor)
        if fire is None or fire.utc >= minute + 60 * SECOND_US:
            return None
        source = self._day(fire.utc)
        target = self._rules.target(source)
        return None if target == source else self._place(target, self._clock(fire.utc, source))[0]

    def _clock(self, instant: int, day: int) -> int:
        offset = self._zone.offset(instant // SECOND_US)
        return max(0, instant + offset * SECOND_US - day * _DAY_US)

    def _own(self, config: Any, after: int, anchor: int) -> Fire | None:
        fire: Fire | None = self._module.next_fire(config, after, anchor)
        return fire

    def _first_source(self, day: int) -> int:
        """Return the first date whose times move to `day` or later."""
        target = self._rules.target
        if target(day) >= day:
            while target(day - 1) >= day:
                day -= 1
            # The dates before may be so far away that they move elsewhere, or nowhere.
            return day
        source = day
        while target(source) < day:
            source += 1
        return source

    def _last_source(self, source: int, target: int) -> int:
        while self._rules.target(source + 1) == target:
            source += 1
        return source

    def _first_on(self, config: Any, anchor: int, move: tuple[int, int], after: int) -> _Candidate | None:
        """Return the first time later than `after` that a date has or that moves from it; `move` is (from, to)."""
        source, target = move
        if source == target:
            fire = self._own(config, max(after, self._start(target) - 1), anchor)
            return None if fire is None or fire.utc >= self._start(target + 1) else _Candidate(fire.utc, "", fire)
        least = self._least(target, after)
        if least is None:
            return None
        found = [
            self._moved(config, anchor, (begin, end, offset), (*move, least, after))
            for begin, end, offset in self._parts(source)
        ]
        return min((one for one in found if one is not None), default=None, key=lambda one: one.utc)

    def _moved(
        self, config: Any, anchor: int, part: tuple[int, int, int], move: tuple[int, int, int, int]
    ) -> _Candidate | None:
        """Return the first time of a part of a day, with one offset, that lands later than `after` on the target."""
        begin, end, offset = part
        source, target, least, after = move
        midnight = source * _DAY_US - offset * SECOND_US
        fire = self._own(config, max(begin, midnight + least) - 1, anchor)
        for _ in range(_FIRES_TRIED):
            if fire is None or fire.utc >= end:
                return None
            clock = max(0, fire.utc - midnight)
            utc, missing = self._place(target, clock)
            if utc > after:
                why = self._rules.blocked(source)
                note = f"moved from {date_of(source).isoformat()}: {why}"
                return _Candidate(utc, f"{note}; {missing}" if missing else note, None)
            fire = self._own(config, fire.utc, anchor)
        return None

    def _least(self, day: int, after: int) -> int | None:
        """Return the first time of day, in microseconds, that may lie later than `after` on `day`; None where none."""
        if after < self._start(day):
            return 0
        if after >= self._start(day + 1):
            return None
        seconds = after // SECOND_US
        segment = self._zone.segment(seconds)
        clock = after + segment.offset * SECOND_US - day * _DAY_US
        if self._zone.fold(after):
            # What moves here takes the first copy of a doubled time, which has passed.
            return max(clock + 1, (segment.start + segment.before) * SECOND_US - day * _DAY_US)
        return clock + 1

    def _place(self, day: int, clock: int) -> tuple[int, str]:
        """Return the instant of a time of day on a date, and a note where it does not exist there."""
        seconds, fraction = divmod(clock, SECOND_US)
        wall = day * _DAY_SECONDS + seconds
        utc, kind = self._zone.resolve(wall)
        if kind != "gap":
            return utc * SECOND_US + fraction, ""
        return utc * SECOND_US, f"{wall_text(wall)[11:16]} does not exist then"

    def _parts(self, day: int) -> Iterator[tuple[int, int, int]]:
        """Yield the parts of a local day with one offset each: begin and end in microseconds, offset in seconds."""
        begin, end = self._start(day), self._start(day + 1)
        while begin < end:
            segment = self._zone.segment(begin // SECOND_US)
            stop = min(end, segment.end * SECOND_US)
            yield begin, stop, segment.offset
            begin = stop

    def _start(self, day: int) -> int:
        """Return the first instant of a local day."""
        return self._zone.resolve(day * _DAY_SECONDS)[0] * SECOND_US

    def _day(self, instant: int) -> int:
        """Return the local day of an instant; a day that has begun has begun, whatever clocks do at midnight."""
        day = self._rules.day(instant)
        return day + 1 if instant >= self._start(day + 1) else day

    def _merged(self, found: list[_Candidate]) -> Fire:
        utc = min(one.utc for one in found)
        there = [one for one in found if one.utc == utc]
        moved = [one.note for one in there if one.fire is None]
        note = "; ".join(moved[:_MOST_NOTED]) + (
            f"; and {len(moved) - _MOST_NOTED} more" if len(moved) > _MOST_NOTED else ""
        )
        own = next((one.fire for one in there if one.fire is not None), None)
        if own is not None:
            return noted(own, f"also {note}" if note else None)
        return Fire(utc, self._zone.local(utc), self._zone.fold(utc), note)


def bound(module: Any, config: Any, rules: Rules) -> tuple[Any, Any]:
    """Return a timer type and its configuration under the calendars of `rules`."""
    return Shifted(module, rules) if rules.shift is not None else module, excluding(config, rules)

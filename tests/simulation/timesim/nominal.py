"""When schedules are due, computed from the words of the law with zoneinfo and plain arithmetic, not by the program.

A Rule is a configuration as a user writes it and a function that lists its nominal times in [start, end), both in
microseconds UTC, given its anchor.
"""

from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import NamedTuple
from zoneinfo import ZoneInfo

SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
FIRST, LAST = datetime(2027, 2, 20, tzinfo=UTC), datetime(2027, 12, 31, tzinfo=UTC)
_STEP = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Rule(NamedTuple):
    """`config` is as in a definition file; `times(anchor, start, end)` are the nominal times in [start, end)."""

    config: dict
    times: Callable[[int, int, int], list[int]]


@cache
def zone_of(name):
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def us(moment):
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _ranged(found):
    """Return a `times` over an endless list that was computed once."""
    return lambda _anchor, start, end: found[bisect_left(found, start) : bisect_left(found, end)]


def real_time(zone, holds):
    """Every instant whose wall time holds: both copies in a fold, nothing in a gap. Times are multiples of 5 min."""
    found, moment = [], FIRST
    while moment < LAST:
        if holds(moment.astimezone(zone_of(zone))):
            found.append(us(moment))
        moment += _STEP
    return _ranged(found)


def fixed(zone, clock_times, holds=lambda _day: True, *, gap="after", overlap="first"):
    """Each clock time (hour, minute) once per local date that holds, with the policies for clock changes."""
    info, found, day = zone_of(zone), set(), FIRST.replace(tzinfo=None)
    while day < LAST.replace(tzinfo=None):
        for hour, minute in clock_times if holds(day) else ():
            wall = day.replace(hour=hour, minute=minute)
            copies = sorted({us(wall.replace(tzinfo=info, fold=fold)) for fold in (0, 1) if _exists(wall, info, fold)})
            if not copies:
                found |= _moved(wall, info, gap)
            else:
                found |= {"first": {copies[0]}, "last": {copies[-1]}, "both": set(copies)}[overlap]
        day += timedelta(days=1)
    return _ranged(sorted(found))


def _exists(wall, info, fold):
    there = wall.replace(tzinfo=info, fold=fold)
    return there.astimezone(UTC).astimezone(info).replace(tzinfo=None, fold=0) == wall


def _moved(wall, info, gap):
    if gap == "skip":
        return set()
    if gap == "shift":
        return {us(wall.replace(tzinfo=info, fold=0))}
    while not _exists(wall, info, 0):
        wall += _STEP
    return {us(wall.replace(tzinfo=info, fold=0))}


def every(seconds, first=None, last=None):
    """Elapsed time from the anchor on, within bounds."""

    def times(anchor, start, end):
        step = seconds * SECOND
        low, high = max(start, anchor, first or start), min(end, (last or end) + 1)
        return list(range(anchor + -(-(low - anchor) // step) * step, high, step))

    return times


def once(moment):
    return lambda _anchor, start, end: [moment] if start <= moment < end else []


def without(times, left_out):
    return lambda anchor, start, end: [one for one in times(anchor, start, end) if one not in left_out]


def since(first, times):
    return lambda anchor, start, end: times(anchor, max(start, first), end)

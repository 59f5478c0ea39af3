"""How robfig/cron 3 goes from one time to the next, step by step as its source does.

It adds hours to an instant and days to a date, so that it follows real time, but for zones whose clocks change at
midnight or by half an hour: there it leaves out days and hours that exist, and now and then takes a day too many.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import partial

from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.core.time.cron import DAY_SECONDS, Cron
from workflow_scheduler.core.time.dialects.entry import Before
from workflow_scheduler.core.time.zone import LATEST, Zone

_EPOCH = date(1970, 1, 1)
_HOUR, _MINUTE, _NOON, _HOURS = 3600, 60, 12, 24
_YEARS = 5
_YEAR = 366 * DAY_SECONDS


def fires(parsed: Cron, place: Zone) -> Before:
    """Return how an expression goes on in a zone."""
    return partial(_next, _Walk(parsed, place))


def _next(walk: _Walk, utc: int) -> int | None:
    """Return the next fire; none after five years without one, or past the end of the tables."""
    start = utc // SECOND_US
    at, limit = start + _MINUTE, min(start + _YEARS * _YEAR, LATEST)
    while at <= limit:
        found, done = walk.on(at)
        if done:
            return found * SECOND_US
        at = found
    return None


class _Walk:
    """The steps of `SpecSchedule.Next`; times are seconds since the epoch."""

    def __init__(self, parsed: Cron, place: Zone) -> None:
        self._parsed = parsed
        self._place = place
        self._minutes, self._hours, _, self._months, _ = (frozenset(field.values()) for field in parsed.fields)

    def on(self, at: int) -> tuple[int, bool]:
        """Go on from `at` until a field wraps around, or to a fire (True)."""
        while self._date(at).month not in self._months:
            today = self._date(at)
            first = date(today.year + today.month // 12, today.month % 12 + 1, 1)
            at = self._instant((first - _EPOCH).days * DAY_SECONDS + self._wall(at) % DAY_SECONDS)
            if first.month == 1:
                return at, False
        while not self._is_day(at):
            at = self._instant(self._wall(at) + DAY_SECONDS)
            hour = self._hour(at)
            if hour:
                at += (_HOURS - hour if hour > _NOON else -hour) * _HOUR
            if self._date(at).day == 1:
                return at, False
        while self._hour(at) not in self._hours:
            at += _HOUR
            if self._hour(at) == 0:
                return at, False
        while self._minute(at) not in self._minutes:
            at += _MINUTE
            if self._minute(at) == 0:
                return at, False
        return at, True

    def _is_day(self, at: int) -> bool:
        wall = self._wall(at)
        begin = wall - wall % DAY_SECONDS
        found = self._parsed.next_local(begin)
        return found is not None and found < begin + DAY_SECONDS

    def _wall(self, at: int) -> int:
        return at + self._place.offset(at)

    def _date(self, at: int) -> date:
        return _EPOCH + timedelta(days=self._wall(at) // DAY_SECONDS)

    def _hour(self, at: int) -> int:
        return self._wall(at) % DAY_SECONDS // _HOUR

    def _minute(self, at: int) -> int:
        return self._wall(at) % _HOUR // _MINUTE

    def _instant(self, wall: int) -> int:
        """Return what Go's `time.Date` makes of a wall time."""
        segment = self._place.segment(wall)
        if segment.offset == 0:
            return wall
        utc = wall - segment.offset
        return utc if segment.start <= utc < segment.end else wall - self._place.offset(utc)

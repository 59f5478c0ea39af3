"""A calendar at one version with the calendars it is made from: which days and instants it holds, and why."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from workflow_scheduler.core.time.calendars.ics_times import date_of
from workflow_scheduler.core.time.calendars.source import Source, Stretches
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.core.time.zone import FIRST_YEAR, LAST_YEAR, Zone

_DAY_SECONDS = 86_400


class Calendar:
    """A named set of days and stretches of time. It never changes: an edit makes another one."""

    def __init__(
        self, name: str, version: int, source: Source, union: tuple[Calendar, ...], without: tuple[Calendar, ...]
    ) -> None:
        """Unite `source` with `union`, less what `without` holds."""
        self.name = name
        self.version = version
        self._source = source
        self._union = union
        self._without = without
        self.label = f"{name} v{version}"
        self.timed: bool = source.timed or any(one.timed for one in (*union, *without))

    def day(self, day: int) -> str | None:
        """Return why it holds a day, counted from 1970-01-01: `Christmas Day (us-holidays v3)`; None where not."""
        found = self._own_day(day)
        return None if found is None or any(one.day(day) is not None for one in self._without) else found

    def at(self, instant: int, day: int, zone: Zone) -> str | None:
        """Return why it holds an instant (microseconds) that lies on the local `day` of `zone`; None where not."""
        found = self._own_day(day) if not self.timed else self._own_at(instant, day, zone)
        if found is None or any(one.at(instant, day, zone) is not None for one in self._without):
            return None
        return found

    def next_edge(self, instant: int, zone: Zone) -> int:
        """Return the first instant after `instant` at which a stretch of it begins or ends, or the year does."""
        table = self._table(instant, zone)
        nearest = table.end
        place = bisect_right(table.starts, instant)
        if place < len(table.items):
            nearest = min(nearest, table.items[place].start)
        if place and table.items[place - 1].end > instant:
            nearest = min(nearest, table.items[place - 1].end)
        return min([nearest, *(one.next_edge(instant, zone) for one in (*self._union, *self._without) if one.timed)])

    def stretches(self, begin: int, end: int, zone: Zone) -> Iterator[tuple[int, int, str]]:
        """Yield the stretches of time that overlap [begin, end): start, end and why, by calendar and year."""
        for year in range(_year(begin), _year(end) + 1):
            for one in self._source.stretches(year, zone).items if self._source.timed else ():
                if one.start < end and one.end > begin:
                    yield one.start, one.end, f"{one.name} ({self.label})"
        for member in self._union:
            for start, stop, why in member.stretches(begin, end, zone):
                yield start, stop, self._within(why)

    def _own_day(self, day: int) -> str | None:
        name = self._source.day(day)
        if name is not None:
            return f"{name} ({self.label})"
        for one in self._union:
            found = one.day(day)
            if found is not None:
                return self._within(found)
        return None

    def _own_at(self, instant: int, day: int, zone: Zone) -> str | None:
        name = self._source.day(day)
        if name is None and self._source.timed:
            table = self._table(instant, zone)
            place = bisect_right(table.starts, instant)
            if place and instant < table.items[place - 1].end:
                name = table.items[place - 1].name
        if name is not None:
            return f"{name} ({self.label})"
        for one in self._union:
            found = one.at(instant, day, zone)
            if found is not None:
                return self._within(found)
        return None

    def _within(self, why: str) -> str:
        return f"{why[:-1]}, in {self.label})"

    def _table(self, instant: int, zone: Zone) -> Stretches:
        return self._source.stretches(_year(instant), zone)


def _year(instant: int) -> int:
    day = instant // SECOND_US // _DAY_SECONDS
    return min(max(date_of(min(max(day, -25_202), 193_592)).year, FIRST_YEAR), LAST_YEAR)

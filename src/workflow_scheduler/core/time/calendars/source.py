"""The own content of one calendar version, compiled: days by year and stretches of time, made when they are asked for.

What is kept is bounded: the days of 64 years, and the stretches of 64 years and zones.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from workflow_scheduler.core.time.calendars import ics
from workflow_scheduler.core.time.calendars.holiday_days import holidays_of
from workflow_scheduler.core.time.calendars.ics_times import DAY_SECONDS, Moment, date_of, day_of
from workflow_scheduler.core.time.calendars.spec import CalendarSpec
from workflow_scheduler.core.time.zone import FIRST_YEAR, LAST_YEAR, Zone

_KEPT = 64
_WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_THURSDAY = 3
"""The weekday of 1970-01-01, 0 being Monday."""
_SECOND_US = 1_000_000


class Stretch(NamedTuple):
    """A stretch of time [start, end) in microseconds UTC, and its name."""

    start: int
    end: int
    name: str


class Stretches(NamedTuple):
    """The disjoint stretches within [begin, end), in order, and their starts for bisection."""

    begin: int
    end: int
    starts: list[int]
    items: list[Stretch]


class Source:
    """The days and stretches of a specification, without those of the calendars it names."""

    def __init__(self, spec: CalendarSpec) -> None:
        """Read the specification, which is valid; its iCalendar text is read again here."""
        self._spec = spec
        self._weekdays = spec.weekday_numbers
        events = ics.parse(spec.ics) if spec.ics is not None else ()
        self._whole = [event for event in events if event.start.whole]
        self._timed = [event for event in events if not event.start.whole]
        self._listed = dict(self._single_days())
        self._years: dict[int, dict[int, str]] = {}
        self._stretches: dict[tuple[int, str], Stretches] = {}

    @property
    def timed(self) -> bool:
        """Whether it has stretches of time beside days."""
        return bool(self._timed)

    def day(self, day: int) -> str | None:
        """Return the name of a day, counted from 1970-01-01, or None where the calendar does not have it."""
        found = self._listed.get(day)
        if found is None:
            found = self._year(date_of(day).year).get(day)
        if found is None and self._weekdays:
            weekday = (day + _THURSDAY) % 7
            return _WEEKDAY_NAMES[weekday] if weekday in self._weekdays else None
        return found

    def stretches(self, year: int, zone: Zone) -> Stretches:
        """Return the stretches of a UTC year; floating times are those of `zone`."""
        key = (year, zone.name)
        known = self._stretches.get(key)
        if known is None:
            if len(self._stretches) >= _KEPT:
                self._stretches.clear()
            known = self._stretches[key] = self._make_stretches(year, zone)
        return known

    def warm(self, year: int) -> None:
        """Make the days of a year and its neighbours, so that nobody waits for them later."""
        for number in range(max(FIRST_YEAR, year - 1), min(LAST_YEAR, year + 1) + 1):
            self._year(number)

    def _single_days(self) -> Iterator[tuple[int, str]]:
        for event in self._whole:
            if event.recurrence is None:
                starts = {event.start.wall} - event.excluded
                for wall in sorted(starts | {one.wall for one in event.dates}):
                    yield from _days(wall, event)
            else:
                for one in event.dates:
                    yield from _days(one.wall, event)
        for entry in self._spec.dates:
            last = entry.until or entry.date
            for day in range(day_of(entry.date), day_of(last) + 1):
                yield day, entry.name or date_of(day).isoformat()

    def _year(self, year: int) -> dict[int, str]:
        known = self._years.get(year)
        if known is None:
            if len(self._years) >= _KEPT:
                self._years.clear()
            known = self._years[year] = self._make_year(year)
        return known

    def _make_year(self, year: int) -> dict[int, str]:
        first, last = day_of(date(year, 1, 1)), day_of(date(year, 12, 31))
        found: dict[int, str] = {}
        for event in self._whole:
            for wall in _walls(event, first * DAY_SECONDS - event.seconds + 1, last * DAY_SECONDS):
                found |= {day: name for day, name in _days(wall, event) if first <= day <= last}
        if self._spec.country is not None:
            spec = self._spec
            found |= holidays_of(self._spec.country, spec.subdivision, year, observed=spec.observed)
        return found

    def _make_stretches(self, year: int, zone: Zone) -> Stretches:
        begin = day_of(date(year, 1, 1)) * DAY_SECONDS * _SECOND_US
        end = day_of(date(year, 12, 31)) * DAY_SECONDS * _SECOND_US + DAY_SECONDS * _SECOND_US
        found: list[Stretch] = []
        for event in self._timed:
            margin = event.seconds + 2 * DAY_SECONDS
            for moment in _moments(event, begin // _SECOND_US - margin, end // _SECOND_US + margin):
                start = moment.utc(zone) * _SECOND_US
                found.append(Stretch(start, start + event.seconds * _SECOND_US, event.name))
        items = _disjoint(found, begin, end)
        return Stretches(begin, end, [one.start for one in items], items)


def _walls(event: ics.Event, start: int, stop: int) -> Iterator[int]:
    """Yield the wall times in [start, stop] at which a recurring event begins."""
    if event.recurrence is None:
        return
    rule = event.recurrence.rule(event.start.wall, stop)
    wall = rule.next_local(max(start, event.start.wall))
    while wall is not None:
        yield wall
        wall = rule.next_local(wall + 1)


def _moments(event: ics.Event, start: int, stop: int) -> Iterator[Moment]:
    """Yield the begins of a timed event that are of interest for wall times in [start, stop]."""
    if event.recurrence is None and event.start.wall not in event.excluded:
        yield event.start
    for wall in _walls(event, start, stop):
        yield Moment(wall, whole=False, zone=event.start.zone)
    yield from event.dates


def _days(wall: int, event: ics.Event) -> Iterator[tuple[int, str]]:
    first = wall // DAY_SECONDS
    for day in range(first, first + event.seconds // DAY_SECONDS):
        yield day, event.name


def _disjoint(found: list[Stretch], begin: int, end: int) -> list[Stretch]:
    """Return stretches cut to [begin, end); where two overlap, the one that begins first keeps the time."""
    items: list[Stretch] = []
    reached = begin
    for one in sorted(found):
        start, stop = max(one.start, reached), min(one.end, end)
        if start < stop:
            items.append(Stretch(start, stop, one.name))
            reached = stop
    return items

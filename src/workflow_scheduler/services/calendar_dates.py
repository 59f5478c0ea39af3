"""Which days and stretches of time a calendar holds in a range, and how two of its versions differ."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date
from typing import Any

from workflow_scheduler.core.errors import FieldError, NotFound, ValidationFailed
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.calendars.calendar import Calendar
from workflow_scheduler.core.time.calendars.ics_times import date_of, day_of
from workflow_scheduler.core.time.calendars.spec import CalendarSpec
from workflow_scheduler.core.time.clock import DAY_US, SECOND_US, Clock, to_iso
from workflow_scheduler.core.time.zone import FIRST_YEAR, LAST_YEAR, Zone
from workflow_scheduler.stores.portable.calendar_book import CalendarBook, Draft
from workflow_scheduler.stores.portable.calendars import CalendarRepository

RANGE_DAYS_MAX = 3_660
SHOWN_DAYS = 366
LISTED_MAX = 10_000
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")


class CalendarDates:
    """Looks into calendars."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Read from `store`."""
        self._store = store
        self._clock = clock
        self._repository = CalendarRepository(store)

    async def dates(
        self,
        principal: Principal,
        name: str,
        bounds: tuple[str | None, str | None],
        version: int | None = None,
        timezone: str = "UTC",
    ) -> dict[str, Any]:
        """Return what a calendar holds from a date to another, both inclusive; by default a year from today on.

        `timezone` is the zone in which stretches of time are shown and floating ones are meant.

        Raises:
            NotFound: the tenant has no such calendar, or it had no such version.
            ValidationFailed: a bound is no date, the range is longer than ten years, or the zone is unknown.

        """
        zone = zones.load(timezone)
        first, last = self._range(bounds)
        calendar = await self._calendar(principal, name, version)
        items = await asyncio.to_thread(_listed, calendar, first, last, zone)
        return {
            "name": name,
            "version": calendar.version,
            "from": date_of(first).isoformat(),
            "to": date_of(last).isoformat(),
            "timezone": zone.name,
            "items": items[:LISTED_MAX],
            "complete": len(items) <= LISTED_MAX,
            "next": None,
        }

    async def diff(
        self,
        principal: Principal,
        name: str,
        versions: tuple[int | None, int | None],
        bounds: tuple[str | None, str | None],
    ) -> dict[str, Any]:
        """Return which days one version of a calendar has and another does not; by default the last two, for a year.

        Calendars that it is made from are taken as they stand now, in both.

        Raises:
            NotFound: the tenant has no such calendar, or it had no such version.
            ValidationFailed: a bound is no date, or the range is longer than ten years.

        """
        row = await self._repository.get(principal.tenant_id, name)
        after = row.version if versions[1] is None else versions[1]
        before = max(1, after - 1) if versions[0] is None else versions[0]
        first, last = self._range(bounds)
        old = await self._calendar(principal, name, before)
        new = await self._calendar(principal, name, after)
        was = await asyncio.to_thread(_by_day, old, first, last)
        now = await asyncio.to_thread(_by_day, new, first, last)
        renamed = [day for day in now if day in was and _bare(was[day]) != _bare(now[day])]
        return {
            "name": name,
            "before": before,
            "after": after,
            "from": date_of(first).isoformat(),
            "to": date_of(last).isoformat(),
            "added": [_entry(day, now[day]) for day in now if day not in was],
            "removed": [_entry(day, was[day]) for day in was if day not in now],
            "renamed": [{**_entry(day, now[day]), "was": _bare(was[day])} for day in renamed],
        }

    async def _calendar(self, principal: Principal, name: str, version: int | None) -> Calendar:
        row = await self._repository.get(principal.tenant_id, name)
        wanted = row.version if version is None else version
        specs = await self._repository.specs(principal.tenant_id, [(name, wanted)])
        if not specs:
            raise NotFound(f"the calendar `{name}` has no version {wanted}", fix="list them: GET …/versions")
        spec = CalendarSpec.model_validate_json(specs[name, wanted])
        book = CalendarBook.of(self._store) if wanted == row.version else CalendarBook(self._store)
        draft = None if wanted == row.version else Draft(name, wanted, spec)
        snapshot = await book.load(principal.tenant_id, [name], self._clock.now(), draft=draft)
        return snapshot.calendars[name]

    def _range(self, bounds: tuple[str | None, str | None]) -> tuple[int, int]:
        today = self._clock.now() // DAY_US
        first = today if bounds[0] is None else _day(bounds[0], "from")
        last = first + SHOWN_DAYS - 1 if bounds[1] is None else _day(bounds[1], "to")
        if last < first:
            message = "`to` lies before `from`"
        elif last - first >= RANGE_DAYS_MAX:
            message = f"the range is longer than {RANGE_DAYS_MAX} days; ask for a shorter one"
        else:
            return first, min(last, day_of(date(LAST_YEAR, 12, 31)))
        raise ValidationFailed(message, errors=[FieldError("to", message)])


def _day(text: str, field: str) -> int:
    try:
        found = date.fromisoformat(text.strip()[:10])
    except ValueError:
        message = f"`{field}` is no date; write it as 2027-12-24"
    else:
        if FIRST_YEAR <= found.year <= LAST_YEAR:
            return day_of(found)
        message = f"the year of `{field}` must be {FIRST_YEAR} to {LAST_YEAR}"
    raise ValidationFailed(message, errors=[FieldError(field, message)])


def _listed(calendar: Calendar, first: int, last: int, zone: Zone) -> list[dict[str, Any]]:
    items = [_entry(day, why) | {"start": None, "end": None} for day, why in _by_day(calendar, first, last).items()]
    if calendar.timed:
        begin = zone.resolve(first * 86_400)[0] * SECOND_US
        end = zone.resolve((last + 1) * 86_400)[0] * SECOND_US
        items += [_stretch(start, stop, why, zone) for start, stop, why in _stretches(calendar, begin, end, zone)]
    return sorted(items, key=lambda item: (item["date"], item["start"] or ""))


def _stretches(calendar: Calendar, begin: int, end: int, zone: Zone) -> Iterator[tuple[int, int, str]]:
    """Yield stretches, those that a year cuts in two put together again."""
    waiting: tuple[int, int, str] | None = None
    for start, stop, why in sorted(calendar.stretches(begin, end, zone)):
        if waiting is not None and waiting[1:] == (start, why):
            waiting = (waiting[0], stop, why)
            continue
        if waiting is not None:
            yield waiting
        waiting = (start, stop, why)
    if waiting is not None:
        yield waiting


def _by_day(calendar: Calendar, first: int, last: int) -> dict[int, str]:
    return {day: why for day in range(first, last + 1) if (why := calendar.day(day)) is not None}


def _entry(day: int, why: str) -> dict[str, Any]:
    found = date_of(day)
    return {
        "date": found.isoformat(),
        "weekday": _WEEKDAYS[found.weekday()],
        "name": _bare(why),
        "source": _source(why),
    }


def _stretch(start: int, stop: int, why: str, zone: Zone) -> dict[str, Any]:
    day = (start // SECOND_US + zone.offset(start // SECOND_US)) // 86_400
    return _entry(day, why) | {"start": to_iso(start), "end": to_iso(stop)}


def _bare(why: str) -> str:
    """Return the name without the calendar in brackets."""
    return why.rpartition(" (")[0]


def _source(why: str) -> str:
    """Return the calendar, with its version, that has the day."""
    return why.rpartition(" (")[2].removesuffix(")")

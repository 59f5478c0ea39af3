"""A naive answer to which times a schedule with calendars has: every time, day by day, with the standard library."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

from workflow_scheduler.core.time.calendars.calendar import Calendar
from workflow_scheduler.core.time.calendars.rules import Rules
from workflow_scheduler.core.time.calendars.source import Source
from workflow_scheduler.core.time.calendars.spec import CalendarSpec
from workflow_scheduler.core.time.calendars.use import CalendarUse
from workflow_scheduler.core.time.clock import DAY_US, SECOND_US, from_datetime, to_datetime
from workflow_scheduler.core.time.zone import load


def calendar(name: str, version: int = 1, union: Any = (), without: Any = (), **spec: Any) -> Calendar:
    """Return a calendar made of a specification and of other calendars."""
    names = {"union": [one.name for one in union], "except": [one.name for one in without]}
    checked = CalendarSpec.model_validate({**spec, **{key: value for key, value in names.items() if value}})
    return Calendar(name, version, Source(checked), tuple(union), tuple(without))


def rules(zone: str, shift: str | None = None, exclude: Any = (), only: Any = ()) -> Rules:
    """Return what the calendars say in a zone."""
    use = CalendarUse.model_validate(
        {"exclude": [one.name for one in exclude], "only": [one.name for one in only], "shift": shift}
    )
    return Rules(use, {one.name: one for one in (*exclude, *only)}, load(zone))


def tz(name: str) -> ZoneInfo:
    """Return the zone of the pinned package."""
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def allowed(day: date, blocked: set[date], only: set[date] | None) -> bool:
    return day not in blocked and (only is None or day in only)


def moved(day: date, shift: str, free: Any) -> date:
    """Return the date that a time of `day` moves to, looking at one date after the other."""
    ahead = next((n for n in range(1, 367) if free(day + timedelta(days=n))), None)
    back = next((n for n in range(1, 367) if free(day - timedelta(days=n))), None)
    if shift == "next_business_day":
        back = None
    elif shift == "previous_business_day":
        ahead = None
    if ahead is None and back is None:
        return day
    if ahead is None or (back is not None and back <= ahead):
        assert back is not None
        return day - timedelta(days=back)
    return day + timedelta(days=ahead)


def landed(target: date, clock: datetime, zone: ZoneInfo) -> int:
    """Return the instant of a wall time on a date: after the gap where it is missing, the first copy of two."""
    wall = datetime.combine(target, clock.time(), zone).replace(fold=0)
    utc = wall.astimezone(UTC)
    if utc.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return from_datetime(utc)
    low, high = from_datetime(utc) - DAY_US, from_datetime(utc) + DAY_US
    first = to_datetime(low).astimezone(zone).utcoffset()
    while high - low > SECOND_US:
        middle = (low + high) // 2 // SECOND_US * SECOND_US
        if to_datetime(middle).astimezone(zone).utcoffset() == first:
            low = middle
        else:
            high = middle
    return high


def expected(fires: list[int], zone: str, shift: str | None, free: Any) -> list[int]:
    """Return the instants of the schedule whose own ones are `fires`."""
    place = tz(zone)
    found = set()
    for utc in fires:
        local = to_datetime(utc).astimezone(place)
        if shift is None or free(local.date()):
            found.add(utc)
            continue
        target = moved(local.date(), shift, free)
        found.add(utc if target == local.date() else landed(target, local, place))
    return sorted(found)

"""An independent, slow answer to "when does this expression fire?": look at every minute, with zoneinfo.

Reads only plain fields (`*`, `*/n`, numbers, ranges, lists); both day fields restricted means either.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
LIMITS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))


@cache
def zone_info(name: str) -> ZoneInfo:
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def wall_minutes(name: str, start: datetime, stop: datetime) -> list[tuple[datetime, datetime]]:
    """Every UTC minute of [start, stop) with its wall time."""
    zone = zone_info(name)
    found = []
    moment = start
    while moment < stop:
        found.append((moment, moment.astimezone(zone).replace(tzinfo=None, fold=0)))
        moment += MINUTE
    return found


def values(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for term in text.split(","):
        body, _, step = term.partition("/")
        first, _, last = body.partition("-")
        numbers = range(low, high + 1) if body == "*" else range(int(first), int(last or first) + 1)
        found |= set(numbers[:: int(step or 1)])
    return found


class Expression:
    def __init__(self, text: str) -> None:
        parts = text.split()
        self.minutes, self.hours, self.days, self.months, self.weekdays = (
            values(part, *limit) for part, limit in zip(parts, LIMITS, strict=True)
        )
        self.either_day = not (parts[2].startswith("*") or parts[4].startswith("*"))
        self.fixed = not (parts[0].startswith("*") or parts[1].startswith("*"))

    def holds(self, wall: datetime) -> bool:
        return wall.minute in self.minutes and wall.hour in self.hours and self.holds_day(wall)

    def holds_day(self, wall: datetime) -> bool:
        if wall.month not in self.months:
            return False
        day, weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        return day or weekday if self.either_day else day and weekday


def fires(
    expression: Expression, name: str, minutes: list[tuple[datetime, datetime]], gap: str, overlap: str
) -> list[datetime]:
    """The instants at which the expression fires within `minutes`, sorted and distinct."""
    if not expression.fixed:
        return [utc for utc, wall in minutes if expression.holds(wall)]
    copies: dict[datetime, list[datetime]] = {}
    for utc, wall in minutes:
        copies.setdefault(wall, []).append(utc)
    found: set[datetime] = set()
    wall, last = minutes[0][1], minutes[-1][1]
    while wall <= last:
        if expression.holds(wall):
            there = copies.get(wall, [])
            if not there:
                found |= moved(wall, name, minutes, gap)
            elif overlap == "both":
                found |= set(there)
            else:
                found.add(there[0] if overlap == "first" else there[-1])
        wall += MINUTE
    return sorted(found)


def moved(wall: datetime, name: str, minutes: list[tuple[datetime, datetime]], gap: str) -> set[datetime]:
    if gap == "skip":
        return set()
    if gap == "after":
        return {next(utc for utc, seen in minutes if seen > wall)}
    return {wall.replace(tzinfo=zone_info(name)).astimezone(UTC)}

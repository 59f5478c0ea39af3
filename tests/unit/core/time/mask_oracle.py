"""The same question as `wall_oracle`, for many zone changes: one bit for each minute of a window around the change.

Written from section 4 of the semantics. Offsets come from `zoneinfo`, minute by minute; days from `calendar`.
"""

from __future__ import annotations

import calendar
import io
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib import resources
from typing import NamedTuple
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = 1440
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
NICKNAMES = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}


class Change(NamedTuple):
    """A zone change: its minute since the epoch, and the offsets before and after in minutes."""

    at: int
    before: int
    after: int
    zone: str


def zones() -> Iterator[tuple[str, ZoneInfo]]:
    """Every zone of the pinned package once, with a name for it: links share a file."""
    root = resources.files("tzdata").joinpath("zoneinfo")
    seen: set[bytes] = set()
    for name in resources.files("tzdata").joinpath("zones").read_text().split():
        data = root.joinpath(*name.split("/")).read_bytes()
        if data not in seen:
            seen.add(data)
            yield name, ZoneInfo.from_file(io.BytesIO(data), key=name)


def changes(first: int, last: int) -> list[Change]:
    """The distinct zone changes of the years `first` to `last`, found by asking for the offset of every day."""
    noons = [
        datetime(first, 1, 1, tzinfo=UTC) + timedelta(days=number)
        for number in range((date(last + 1, 1, 1) - date(first, 1, 1)).days + 1)
    ]
    found: dict[tuple[int, int, int], Change] = {}
    for name, zone in zones():
        offsets = [moment.astimezone(zone).utcoffset() for moment in noons]
        for number in range(1, len(noons)):
            if offsets[number] != offsets[number - 1]:
                low, high = minute(noons[number - 1]), minute(noons[number])
                before, after = offset(zone, low), offset(zone, high)
                while high - low > 1:
                    middle = (low + high) // 2
                    low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
                found.setdefault((high, before, after), Change(high, before, after, name))
    return sorted(found.values())


def minute(moment: datetime) -> int:
    return (moment - EPOCH) // MINUTE


def offset(zone: ZoneInfo, at: int) -> int:
    return ((EPOCH + MINUTE * at).astimezone(zone).utcoffset() or timedelta()) // MINUTE


class Expression:
    """An expression as the set of its minutes of a day and a rule for days."""

    def __init__(self, text: str) -> None:
        parts = NICKNAMES.get(text, text).upper().split()
        self.fixed = not (parts[0].startswith("*") or parts[1].startswith("*"))
        self.times = sum(
            1 << hour * 60 + number for hour in numbers(parts[1], 0, 23) for number in numbers(parts[0], 0, 59)
        )
        self.months = numbers(parts[3], 1, 12)
        self.dates, self.weekdays = parts[2], parts[4]
        self.both = parts[2].startswith("*") or parts[4].startswith("*")

    def day(self, day: date) -> bool:
        by_date = any(is_date(term, day) for term in self.dates.split(","))
        by_weekday = any(is_weekday(term, day) for term in self.weekdays.split(","))
        return day.month in self.months and (by_date and by_weekday if self.both else by_date or by_weekday)

    def walls(self, start: int, stop: int) -> int:
        """The wall minutes of [start, stop) that match, bit 0 for `start`."""
        found = 0
        for number in range(start // DAY, stop // DAY + 1):
            if self.day(date(1970, 1, 1) + timedelta(days=number)):
                place = number * DAY - start
                found |= self.times << place if place >= 0 else self.times >> -place
        return found & ((1 << stop - start) - 1)


def value(text: str) -> int:
    for names, low in ((MONTHS, 1), (WEEKDAYS, 0)):
        if text in names:
            return names.index(text) + low
    return int(text)


def numbers(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for term in text.split(","):
        body, slash, step = term.partition("/")
        first, dash, last = body.partition("-")
        if body == "*":
            sequence = list(range(low, high + 1))
        elif not dash:
            sequence = list(range(value(first), high + 1)) if slash else [value(first)]
        elif value(first) <= value(last):
            sequence = list(range(value(first), value(last) + 1))
        else:
            sequence = [*range(value(first), high + 1), *range(low, value(last) + 1)]
        found |= set(sequence[:: int(step or 1)])
    return found


def is_date(term: str, day: date) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if term == "LW":
        return day.day == nearest(day, last)
    if term.startswith("L"):
        return day.day == last - int(term[2:] or 0)
    if term.endswith("W"):
        return int(term[:-1]) <= last and day.day == nearest(day, int(term[:-1]))
    return day.day in numbers(term, 1, 31)


def nearest(day: date, wanted: int) -> int:
    """The weekday of the month of `day` that is nearest to the day `wanted`."""
    last = calendar.monthrange(day.year, day.month)[1]
    workdays = [number for number in range(1, last + 1) if day.replace(day=number).isoweekday() < 6]
    return min(workdays, key=lambda number: abs(number - wanted))


def is_weekday(term: str, day: date) -> bool:
    today = day.isoweekday() % 7
    if term.endswith("L"):
        return today == value(term[:-1]) % 7 and day.month != (day + timedelta(days=7)).month
    if "#" in term:
        name, week = term.split("#")
        return today == value(name) % 7 and (day.day - 1) // 7 + 1 == int(week)
    return today in {number % 7 for number in numbers(term, 0, 7 if term[:1] != "*" else 6)}


class Window:
    """The minutes of UTC within `width` of a change, and what an expression does in them."""

    def __init__(self, change: Change, width: int) -> None:
        zone = ZoneInfo(change.zone) if change.zone == "UTC" else by_name(change.zone)
        self.change, self.width = change, width
        self.start = change.at - width
        self._last: Expression | None = None
        self._walls = 0
        offsets = [offset(zone, at) for at in range(self.start, change.at + width)]
        # Minute by minute: one change stands in the window, at its middle, with the offsets that are said.
        assert offsets == [change.before] * width + [change.after] * width, change

    def fires(self, expression: Expression, gap: str, overlap: str) -> int:
        """The minutes at which the expression fires, bit 0 for the first of the window."""
        change, width = self.change, self.width
        low = self.start + min(change.before, change.after)
        if self._last is not expression:
            self._last = expression
            self._walls = expression.walls(low, change.at + width + max(change.before, change.after))
        walls = self._walls
        before = walls >> (self.start + change.before - low) & ((1 << width) - 1)
        after = walls >> (change.at + change.after - low) & ((1 << width) - 1)
        jump = change.after - change.before
        if expression.fixed and jump > 0:
            missing = walls >> (change.at + change.before - low) & ((1 << jump) - 1)
            if gap == "after":
                after |= bool(missing)
            elif gap == "shift":
                after |= missing
        elif expression.fixed and overlap == "first":
            after = after >> -jump << -jump
        elif expression.fixed and overlap == "last":
            before &= (1 << width + jump) - 1
        return before | after << width

    def instants(self, bits: int) -> list[int]:
        """The minutes since the epoch of the bits that are set."""
        return [self.start + number for number in range(2 * self.width) if bits >> number & 1]


_BY_NAME: dict[str, ZoneInfo] = {}


def by_name(name: str) -> ZoneInfo:
    if not _BY_NAME:
        _BY_NAME.update(zones())
    return _BY_NAME[name]

"""IANA time zones from the pinned `tzdata` package, as tables of segments with one offset each.

The host's own zone files are never read: two instances with the same package version agree on every instant.
"""

from __future__ import annotations

import importlib.metadata
from bisect import bisect_right
from datetime import datetime, timedelta
from functools import cache
from importlib import resources
from typing import Literal, NamedTuple

from workflow_scheduler.core.errors import FieldError, ValidationFailed, did_you_mean
from workflow_scheduler.core.time import tzif
from workflow_scheduler.core.time.clock import SECOND_US

Gap = Literal["after", "shift", "skip"]
Overlap = Literal["first", "last", "both"]

FIRST_YEAR, LAST_YEAR = 1901, 2499
EARLIEST = -2_208_988_800
LATEST = 16_725_225_600
_BEGIN, _END = -(1 << 62), 1 << 62
_TABLE_YEAR = 2100
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- wall times have no zone on purpose
_COMMON_ALIASES = {
    "PST": "America/Los_Angeles", "PDT": "America/Los_Angeles", "MDT": "America/Denver", "CST": "America/Chicago",
    "CDT": "America/Chicago", "EDT": "America/New_York", "BST": "Europe/London", "CEST": "Europe/Berlin",
    "IST": "Asia/Kolkata", "JST": "Asia/Tokyo", "AEST": "Australia/Sydney", "Z": "UTC",
}  # fmt: skip


class Segment(NamedTuple):
    """A stretch of UTC time [start, end) with one offset; all in seconds.

    `before` is the offset of the previous segment and `after` that of the next. Between `calm` and `storm` no wall
    time is missing or doubled, so that no policy is needed there.
    """

    start: int
    end: int
    offset: int
    before: int
    after: int
    calm: int
    storm: int


class Table(NamedTuple):
    """The segments of a zone in order, and their starts for bisection. `complete`: the last one has no end."""

    starts: list[int]
    segments: list[Segment]
    complete: bool


class Zone:
    """One time zone. Instances are shared: get them from `load`."""

    __slots__ = ("_file", "_year", "name", "table")

    def __init__(self, name: str, file: tzif.ZoneFile) -> None:
        """Build the table to the year 2100; `extend` adds to it where the zone goes on by a rule."""
        self.name = name
        self._file = file
        self._year = _TABLE_YEAR
        self.table = _build(file, _TABLE_YEAR)

    def extend(self) -> bool:
        """Add a century to the table. Returns False when nothing can be added."""
        if self.table.complete or self._year >= LAST_YEAR:
            return False
        self._year = min(self._year + 100, LAST_YEAR)
        self.table = _build(self._file, self._year)
        return True

    def index(self, utc: int) -> int:
        """Return the number of the segment that holds the UTC second, with the table extended as far as needed."""
        while utc >= self.table.segments[-1].end and self.extend():
            pass
        return bisect_right(self.table.starts, utc) - 1

    def segment(self, utc: int) -> Segment:
        """Return the segment that holds the UTC second."""
        number = self.index(utc)
        return self.table.segments[number]

    def offset(self, utc: int) -> int:
        """Return the offset from UTC in seconds at the UTC second."""
        return self.segment(utc).offset

    def local(self, instant_us: int) -> str:
        """Return the wall time at an instant, as ISO 8601 without an offset: `2027-03-14T03:00:00`."""
        return wall_text(instant_us // SECOND_US + self.offset(instant_us // SECOND_US))

    def fold(self, instant_us: int) -> int:
        """Return 1 when the wall time at this instant is the second of two copies, else 0."""
        utc = instant_us // SECOND_US
        segment = self.segment(utc)
        return int(utc < segment.start + segment.before - segment.offset)

    def resolve(self, wall: int) -> tuple[int, Literal["plain", "gap", "fold"]]:
        """Map a wall time in seconds to the UTC second and say what kind of wall time it is.

        A wall time that does not exist becomes the first instant after the gap, a doubled one its first copy.
        """
        number = self.index(wall - 2 * tzif.DAY_SECONDS)
        while True:
            if number == len(self.table.segments) - 1:
                self.extend()
            segment = self.table.segments[number]
            if wall < segment.start + segment.offset:
                return segment.start, "gap"
            if wall < segment.end + segment.offset:
                utc = wall - segment.offset
                doubled = wall >= segment.end + segment.after
                return utc, "fold" if doubled else "plain"
            number += 1


@cache
def load(name: str) -> Zone:
    """Return the zone of an IANA name.

    Raises:
        ValidationFailed: there is no such zone; the error proposes the nearest name.

    """
    if name not in names():
        near = _nearest(name)
        message = f"`{name[:80]}` is not an IANA time zone" + (f", did you mean `{near}`?" if near else "")
        raise ValidationFailed(
            message,
            fix="write a name such as `UTC`, `Europe/Berlin` or `America/New_York`",
            errors=[FieldError("timezone", message, suggestion=near)],
        )
    path = resources.files("tzdata").joinpath("zoneinfo", *name.split("/"))
    return Zone(name, tzif.read(path.read_bytes()))


@cache
def names() -> frozenset[str]:
    """Return every zone name that the package knows."""
    text = resources.files("tzdata").joinpath("zones").read_text("utf-8")
    return frozenset(text.split())


@cache
def tzdata_version() -> str:
    """Return the version of the `tzdata` package, for example `2026.1`."""
    return importlib.metadata.version("tzdata")


def wall_text(wall: int) -> str:
    """Return a wall time in seconds as `2027-03-14T03:00:00`."""
    return (_EPOCH + timedelta(seconds=wall)).isoformat()


def instant(text: str, zone: Zone) -> tuple[int, Literal["plain", "gap", "fold"]]:
    """Return the microseconds of an ISO 8601 date-time, taken in `zone` where it names no offset, and its kind.

    Raises:
        ValueError: the text is not an ISO 8601 date-time of the years 1901 to 2499.

    """
    moment = datetime.fromisoformat(text.strip())
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        message = f"the year must be {FIRST_YEAR} to {LAST_YEAR}"
        raise ValueError(message)
    if moment.tzinfo is not None:
        moment = moment.replace(tzinfo=None) - (moment.utcoffset() or timedelta())
        return (moment - _EPOCH) // timedelta(microseconds=1), "plain"
    wall, fraction = divmod((moment - _EPOCH) // timedelta(microseconds=1), SECOND_US)
    utc, kind = zone.resolve(wall)
    return utc * SECOND_US + (0 if kind == "gap" else fraction), kind


def _build(file: tzif.ZoneFile, year: int) -> Table:
    changes = list(file.changes)
    rule = file.rule
    if rule is not None:
        known = changes[-1].at if changes else _BEGIN
        first_year = (_EPOCH + timedelta(seconds=max(known, 0))).year
        for number in range(first_year, year + 1):
            changes += [change for change in rule.changes(number) if change.at > known]
    starts, offsets = [_BEGIN], [file.first_offset]
    for change in changes:
        if change.offset != offsets[-1]:
            starts.append(change.at)
            offsets.append(change.offset)
    finish = _END if rule is None else rule.changes(year + 1)[0].at
    segments = []
    for number, (start, offset) in enumerate(zip(starts, offsets, strict=True)):
        before = offsets[number - 1] if number else offset
        last = number == len(starts) - 1
        end = finish if last else starts[number + 1]
        after = offset if last else offsets[number + 1]
        segments.append(
            Segment(start, end, offset, before, after, start + abs(offset - before), end - max(0, offset - after))
        )
    return Table(starts, segments, rule is None)


def _nearest(name: str) -> str | None:
    if name.upper() in _COMMON_ALIASES:
        return _COMMON_ALIASES[name.upper()]
    folded = {known.casefold(): known for known in sorted(names(), reverse=True)}
    wanted = name[:80].strip().replace(" ", "_").casefold()
    if wanted in folded:
        return folded[wanted]
    cities = {known.rpartition("/")[2]: known for known in sorted(folded, reverse=True)}
    city = did_you_mean(wanted.rpartition("/")[2], cities)
    near = did_you_mean(wanted, folded) or (cities[city] if city else None)
    return folded[near] if near else None

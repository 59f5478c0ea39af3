"""Dates, date-times and durations of iCalendar, each refused with its line and what to write instead."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import NamedTuple

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.calendars.ics_lines import Line, refuse, shown
from workflow_scheduler.core.time.zone import FIRST_YEAR, LAST_YEAR, Zone

DAY_SECONDS = 86_400
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- wall times have no zone on purpose
_DATE = re.compile(r"\d{8}", re.ASCII)
_TIME = re.compile(r"\d{8}T\d{6}Z?", re.ASCII)
_DURATION = re.compile(
    r"\+?P(?:(\d{1,5})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?", re.ASCII
)
_UNITS = (7 * DAY_SECONDS, DAY_SECONDS, 3600, 60, 1)


class Moment(NamedTuple):
    """A wall time in seconds since 1970; `zone` is None for a floating one. `whole`: a date, the time is midnight."""

    wall: int
    whole: bool
    zone: Zone | None

    def utc(self, floating: Zone) -> int:
        """Return the instant in seconds; a floating time is one of the zone given."""
        return (self.zone or floating).resolve(self.wall)[0]


def day_of(text: date) -> int:
    """Return the number of a date, counted from 1970-01-01."""
    return text.toordinal() - EPOCH_ORDINAL


def date_of(day: int) -> date:
    """Return the date with a number counted from 1970-01-01."""
    return date.fromordinal(day + EPOCH_ORDINAL)


def moment(line: Line, value: str | None = None) -> Moment:
    """Return the time of a DTSTART, DTEND, RDATE, EXDATE or RECURRENCE-ID.

    Raises:
        ValidationFailed: it is none, its year is not 1901 to 2499, or its zone is unknown.

    """
    text = (line.value if value is None else value).strip()
    kind = line.parameters.get("VALUE", "").upper()
    if kind not in ("", "DATE", "DATE-TIME"):
        refuse(line.number, f"VALUE={shown(kind)} is not supported for {line.name}; write DATE or DATE-TIME")
    whole = bool(_DATE.fullmatch(text))
    if not whole and not _TIME.fullmatch(text):
        refuse(line.number, f"{line.name} is `{shown(text)}`; write a date as 20271224, or a time as 20271224T090000Z")
    if (kind == "DATE" and not whole) or (kind == "DATE-TIME" and whole):
        refuse(
            line.number, f"{line.name} is `{shown(text)}`, which is not what VALUE={kind} says; change one of the two"
        )
    try:
        parsed = datetime.strptime(text.removesuffix("Z"), "%Y%m%d" if whole else "%Y%m%dT%H%M%S")  # noqa: DTZ007 -- wall times have no zone on purpose
    except ValueError:
        refuse(line.number, f"{line.name} is `{shown(text)}`, and there is no such day or time; correct it")
    if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        refuse(line.number, f"the year of {line.name} must be {FIRST_YEAR} to {LAST_YEAR}")
    return Moment(int((parsed - _EPOCH).total_seconds()), whole, None if whole else _zone(line, text))


def _zone(line: Line, text: str) -> Zone | None:
    if text.endswith("Z"):
        return zones.load("UTC")
    name = line.parameters.get("TZID")
    if not name:
        return None
    parts = name.strip("/").split("/")
    for count in (len(parts), 3, 2, 1):
        candidate = "/".join(parts[-count:])
        if candidate in zones.names():
            return zones.load(candidate)
    try:
        return zones.load(name)
    except ValidationFailed as error:
        refuse(line.number, f"TZID: {error.detail}; write an IANA name such as Europe/Berlin")


def duration(line: Line) -> int:
    """Return the seconds of a DURATION such as P1D or PT1H30M.

    Raises:
        ValidationFailed: it is none, or negative.

    """
    text = line.value.upper()
    found = _DURATION.fullmatch(text)
    if found is None or not any(found.groups()):
        refuse(line.number, f"DURATION is `{shown(text)}`; write it as P1D, P2W or PT1H30M, not negative")
    return sum(int(part or 0) * unit for part, unit in zip(found.groups(), _UNITS, strict=True))

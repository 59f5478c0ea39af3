"""The lines of an iCalendar recurrence: DTSTART, RRULE and EXDATE as calendars export them, and their times."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from workflow_scheduler.core.time.clock import SECOND_US, from_datetime
from workflow_scheduler.core.time.cron import DAY_SECONDS
from workflow_scheduler.core.time.rrule_text import refuse
from workflow_scheduler.core.time.zone import FIRST_YEAR, LAST_YEAR, Zone

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- wall times have no zone on purpose
_DATE_LENGTHS = (len("20270101"), len("2027-01-01"))


class Limit(NamedTuple):
    """The end of a rule: an instant in microseconds where it was written in UTC, else a wall time in seconds."""

    instant: int | None
    wall: int | None


def is_date(text: str) -> bool:
    """Return whether a time is a whole day: `2027-12-24` or `20271224`."""
    return len(text.strip()) in _DATE_LENGTHS and "T" not in text.upper()


def wall(text: str, zone: Zone) -> int:
    """Return the wall time in seconds that ISO 8601 `text` means in `zone`; one with an offset is converted."""
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is not None:
        utc = from_datetime(moment) // SECOND_US
        return utc + zone.offset(utc)
    return _seconds(moment)


def until(text: str) -> Limit:
    """Return the end that UNTIL names; a date lasts to the end of its day.

    Raises:
        ValidationFailed: it is not a time of the years 1901 to 2499.

    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        refuse(f"UNTIL is `{text[:40]}`; write it as 20271231T235959Z, or 20271231")
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        refuse(f"the year of UNTIL must be {FIRST_YEAR} to {LAST_YEAR}")
    if moment.tzinfo is not None:
        return Limit(from_datetime(moment), None)
    return Limit(None, _seconds(moment) + (DAY_SECONDS - 1 if is_date(text) else 0))


def spread(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose `rrule` may hold several calendar lines with each line in its own field.

    Raises:
        ValidationFailed: a line is of another kind, there twice, or also given as a field.

    """
    found = dict(fields)
    lines = [line.strip() for line in str(found["rrule"]).strip().splitlines() if line.strip()]
    if len(lines) == 1:
        return found
    del found["rrule"]
    exceptions: list[str] = list(found.pop("exdate", None) or ())
    for line in lines:
        head, _, value = line.partition(":")
        kind, _, parameters = head.partition(";")
        kind = kind.upper()
        if kind == "EXDATE":
            exceptions += [_extended(one) for one in value.split(",")]
        elif kind == "DTSTART":
            _put(found, "dtstart", _extended(value))
            _put_zone(found, parameters)
        elif kind == "RRULE" or "FREQ=" in line.upper():
            _put(found, "rrule", line)
        else:
            refuse(f"`{kind[:40]}` lines are not supported; known are DTSTART, RRULE and EXDATE")
    return found | ({"exdate": exceptions} if exceptions else {})


def _put(found: dict[str, Any], field: str, value: str) -> None:
    if found.get(field) is not None:
        refuse(f"`{field}` is given twice; keep one", field)
    found[field] = value


def _put_zone(found: dict[str, Any], parameters: str) -> None:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.upper() == "TZID":
            if found.get("timezone") not in (None, value):
                refuse(f"the zone is given twice, as `{found['timezone']}` and as `{value[:80]}`", "timezone")
            found["timezone"] = value


def _extended(text: str) -> str:
    """Return `20270101T090000Z` as `2027-01-01T09:00:00Z`; what is no time is left for the field to refuse."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return text
    if is_date(text):
        return moment.date().isoformat()
    return moment.isoformat().replace("+00:00", "Z")


def _seconds(moment: datetime) -> int:
    return int((moment.replace(microsecond=0) - _EPOCH).total_seconds())

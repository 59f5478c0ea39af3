"""iCalendar texts as days and stretches of time: the part of RFC 5545 that a calendar of free days needs.

VEVENT with DTSTART, DTEND or DURATION, RRULE, RDATE, EXDATE, RECURRENCE-ID, SUMMARY and STATUS is read; all else is
passed over. Work and memory are bounded: a text of at most 512 KiB, 5,000 events, 200 of them recurring by the day or
longer, and no event longer than ten years.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import ical, rrule_text
from workflow_scheduler.core.time.calendars.ics_lines import Line, lines, refuse, shown
from workflow_scheduler.core.time.calendars.ics_times import DAY_SECONDS, Moment, duration, moment
from workflow_scheduler.core.time.rrule import Rule
from workflow_scheduler.core.time.rrule_text import Parts

EVENTS_MAX = 5_000
RECURRING_MAX = 200
COUNTED_MAX = 50
LISTED_MAX = 10_000
SPAN_DAYS_MAX = 3_660
_COUNT_YEARS = 50
_NAME_MAX = 200
_DEPTH_MAX = 10
_ONCE = frozenset({"DTSTART", "DTEND", "DURATION", "RRULE", "RECURRENCE-ID", "UID", "SUMMARY", "STATUS"})
_MANY = frozenset({"RDATE", "EXDATE"})


class Recurrence(NamedTuple):
    """A rule with what it leaves out. `last` is the last wall time, in seconds, that may match."""

    parts: Parts
    last: int | None
    excluded: frozenset[int]

    def rule(self, start: int, last: int) -> Rule:
        """Return the compiled rule from the wall time `start` on, up to `last`, both in seconds."""
        return Rule(self.parts, start, last if self.last is None else min(last, self.last), self.excluded)


class Event(NamedTuple):
    """One event: its name, begin and length in seconds, further begins, and its recurrence, if any.

    `cancelled` events leave nothing out. `excluded` holds wall times that do not count; `line` is where it begins.
    """

    line: int
    name: str
    start: Moment
    seconds: int
    dates: tuple[Moment, ...] = ()
    recurrence: Recurrence | None = None
    excluded: frozenset[int] = frozenset()


class _Raw(NamedTuple):
    line: int
    one: dict[str, Line]
    many: dict[str, list[Line]]


def parse(text: str) -> tuple[Event, ...]:
    """Return the events of an iCalendar text.

    Raises:
        ValidationFailed: the text is no calendar, an event is broken, or there are too many; the error names the line.

    """
    raw = _events(text)
    replaced: dict[str, set[int]] = defaultdict(set)
    for one in raw:
        if "RECURRENCE-ID" in one.one and "UID" in one.one:
            replaced[one.one["UID"].value].add(moment(one.one["RECURRENCE-ID"]).wall)
    found = [_event(one, replaced) for one in raw if not _cancelled(one)]
    _check_totals(found)
    return tuple(found)


def _cancelled(raw: _Raw) -> bool:
    status = raw.one.get("STATUS")
    return status is not None and status.value.upper() == "CANCELLED"


def _check_totals(found: list[Event]) -> None:
    recurring = [one for one in found if one.recurrence is not None]
    if len(recurring) > RECURRING_MAX:
        refuse(
            recurring[RECURRING_MAX].line, f"more than {RECURRING_MAX} events recur; split the calendar and unite it"
        )
    counted = [one for one in recurring if one.recurrence is not None and one.recurrence.parts.count is not None]
    if len(counted) > COUNTED_MAX:
        refuse(counted[COUNTED_MAX].line, f"more than {COUNTED_MAX} rules have COUNT; write UNTIL instead")


def _events(text: str) -> list[_Raw]:
    """Return the properties of every VEVENT; components within it, such as VALARM, are passed over."""
    open_: list[Line] = []
    found: list[_Raw] = []
    total = 0
    for line in lines(text):
        if line.name == "BEGIN":
            _begin(line, open_, found)
            continue
        if not open_:
            refuse(line.number, "the text does not begin with BEGIN:VCALENDAR; give the whole iCalendar file")
        if line.name == "END":
            if open_.pop().value.upper() != line.value.upper():
                refuse(
                    line.number, f"END:{shown(line.value)} does not close what is open; write the END lines in order"
                )
        elif open_[-1].value.upper() == "VEVENT":
            total += _keep(found[-1], line)
            if total > LISTED_MAX:
                refuse(line.number, f"more than {LISTED_MAX} dates in RDATE and EXDATE; write rules instead")
    if open_:
        refuse(open_[-1].number, f"BEGIN:{shown(open_[-1].value)} has no END; the file is cut off, give it whole")
    if not text.strip():
        refuse(1, "the text is empty; give a whole iCalendar file, which begins with BEGIN:VCALENDAR")
    return found


def _begin(line: Line, open_: list[Line], found: list[_Raw]) -> None:
    kind = line.value.upper()
    if not open_ and kind != "VCALENDAR":
        refuse(line.number, "the text does not begin with BEGIN:VCALENDAR; give the whole iCalendar file")
    if len(open_) >= _DEPTH_MAX:
        refuse(line.number, f"components are nested more than {_DEPTH_MAX} deep; this is no calendar")
    open_.append(line)
    if kind == "VEVENT":
        if len(open_) != 2:  # noqa: PLR2004 -- directly within the VCALENDAR
            refuse(line.number, "VEVENT must stand directly within VCALENDAR; close the component before it")
        if len(found) == EVENTS_MAX:
            refuse(line.number, f"more than {EVENTS_MAX} events; split the file into several calendars and unite them")
        found.append(_Raw(line.number, {}, defaultdict(list)))


def _keep(raw: _Raw, line: Line) -> int:
    """Keep a property that matters; return how many times it lists."""
    if line.name in _MANY:
        raw.many[line.name].append(line)
        return line.value.count(",") + 1
    if line.name in _ONCE:
        if line.name in raw.one:
            refuse(line.number, f"{line.name} is given twice in one event; keep one (of several RRULEs make events)")
        raw.one[line.name] = line
    return 0


def _event(raw: _Raw, replaced: dict[str, set[int]]) -> Event:
    if "DTSTART" not in raw.one:
        refuse(raw.line, "the event has no DTSTART; write DTSTART;VALUE=DATE:20271224")
    start = moment(raw.one["DTSTART"])
    seconds = _length(raw, start)
    excluded = {one.wall for one in _listed(raw, "EXDATE", start)}
    if "UID" in raw.one and "RECURRENCE-ID" not in raw.one:
        excluded |= replaced.get(raw.one["UID"].value, set())
    left_out = frozenset(excluded)
    summary = raw.one["SUMMARY"].value if "SUMMARY" in raw.one else "Event"
    return Event(
        raw.line,
        _text(summary),
        start,
        seconds,
        tuple(_listed(raw, "RDATE", start)),
        _recurrence(raw.one["RRULE"], start, left_out) if "RRULE" in raw.one else None,
        left_out,
    )


def _length(raw: _Raw, start: Moment) -> int:
    if "DTEND" in raw.one:
        line = raw.one["DTEND"]
        end = moment(line)
        if end.whole != start.whole:
            refuse(line.number, "DTEND is a date where DTSTART has a time, or the other way round; write both alike")
        utc = end.zone or start.zone
        seconds = end.wall - start.wall if utc is None else end.utc(utc) - start.utc(utc)
        if seconds < 0:
            refuse(line.number, "DTEND lies before DTSTART; correct one of the two")
        seconds = max(seconds, DAY_SECONDS) if start.whole else max(seconds, 1)
    elif "DURATION" in raw.one:
        line = raw.one["DURATION"]
        seconds = duration(line)
        if start.whole and seconds % DAY_SECONDS:
            refuse(line.number, "the DURATION of a whole day is no number of days; write P1D, or a time in DTSTART")
        seconds = max(seconds, DAY_SECONDS) if start.whole else max(seconds, 1)
    else:
        line, seconds = raw.one["DTSTART"], DAY_SECONDS if start.whole else 1
    if seconds > SPAN_DAYS_MAX * DAY_SECONDS:
        refuse(line.number, f"the event is longer than {SPAN_DAYS_MAX} days; split it")
    if "RRULE" in raw.one and seconds > 366 * DAY_SECONDS:
        refuse(line.number, "a recurring event must not be longer than 366 days; shorten it")
    return seconds


def _listed(raw: _Raw, name: str, start: Moment) -> list[Moment]:
    found = []
    for line in raw.many.get(name, ()):
        if line.parameters.get("VALUE", "").upper() == "PERIOD":
            refuse(line.number, "VALUE=PERIOD is not supported; write an event for each period")
        for value in line.value.split(","):
            one = moment(line, value)
            # An EXDATE may be written in another zone than DTSTART, and as a date where DTSTART has a time.
            found.append(_like(one, start))
    return found


def _like(one: Moment, start: Moment) -> Moment:
    if one.whole and not start.whole:
        return Moment(one.wall + start.wall % DAY_SECONDS, whole=False, zone=start.zone)
    if start.whole:
        return Moment(one.wall - one.wall % DAY_SECONDS, whole=True, zone=None)
    if one.zone is not None and start.zone is not None and one.zone is not start.zone:
        utc = one.utc(start.zone)
        return Moment(utc + start.zone.offset(utc), whole=False, zone=start.zone)
    return one


def _recurrence(line: Line, start: Moment, excluded: frozenset[int]) -> Recurrence:
    try:
        parts = rrule_text.parse(line.value)
        last = None if parts.until is None else _until(parts.until, start)
    except ValidationFailed as error:
        refuse(line.number, f"RRULE: {error.detail}")
    if parts.freq not in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY"):
        refuse(line.number, f"FREQ={parts.freq} is too fine for a calendar; write DAILY or longer")
    if parts.hour or parts.minute or parts.second:
        refuse(
            line.number, "BYHOUR, BYMINUTE and BYSECOND are not supported in calendars; write an event for each time"
        )
    if parts.count is not None:
        horizon = start.wall + _COUNT_YEARS * 366 * DAY_SECONDS
        bounded = Rule(parts, start.wall, horizon)
        final = start.wall
        for _ in range(min(parts.count, _COUNT_YEARS * 366)):
            following = bounded.next_local(final + 1)
            if following is None:
                break
            final = following
        last = max(final, start.wall)
        parts = rrule_text.endless(parts)
    return Recurrence(parts, last, excluded)


def _until(text: str, start: Moment) -> int | None:
    limit = ical.until(text)
    if limit.instant is None:
        return limit.wall
    seconds = limit.instant // 1_000_000
    return seconds if start.zone is None else seconds + start.zone.offset(seconds)


def _text(value: str) -> str:
    plain = value.replace("\\n", " ").replace("\\N", " ").replace("\\,", ",").replace("\\;", ";").replace("\\\\", "\\")
    kept = "".join(character for character in plain if character.isprintable()).strip()
    return kept[:_NAME_MAX] or "Event"

"""The clock-change laboratory: every unusual fire of a schedule in a zone over some years (pure)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import msgspec

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.time import cron as crons
from workflow_scheduler.core.time import dst
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.clock import DAY_US, SECOND_US, to_iso
from workflow_scheduler.core.time.fire import Calendar
from workflow_scheduler.core.time.zone import Gap, Overlap, Segment, Zone, wall_text

YEARS_MAX = 100
LISTED_MAX = 5_000
_DAY = 86_400
_YEAR_US = 365 * DAY_US + DAY_US * 97 // 400


class Setting(NamedTuple):
    """What is put to the test: a calendar in a zone under the two policies for clock changes."""

    calendar: Calendar
    zone: Zone
    gap: Gap = "after"
    overlap: Overlap = "first"


class Unusual(msgspec.Struct, frozen=True):
    """One wall time that a clock change removes or doubles. `utc` is None where nothing runs for it."""

    kind: Literal["gap", "fold"]
    local: str
    utc: str | None
    fold: int
    note: str


class ChangeDay(msgspec.Struct, frozen=True):
    """A local date with a clock change on which the schedule does not do what it does on other days.

    `shift_seconds` is positive where clocks go forward; `planned` is what the calendar says, `fires` what happens.
    """

    date: str
    at: str
    shift_seconds: int
    planned: int
    fires: int
    note: str


class Findings(msgspec.Struct, frozen=True):
    """What the laboratory found. `complete` is false where more than 5,000 fires are unusual."""

    items: list[Unusual]
    days: list[ChangeDay]
    changes: int
    complete: bool


class Report(msgspec.Struct, frozen=True):
    """The findings about a cron expression, with the terms they hold under."""

    cron: str
    timezone: str
    description: str
    rule: str
    tzdata: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    changes: int = 0
    items: list[Unusual] = []
    days: list[ChangeDay] = []
    complete: bool = True
    next: None = None


def examine(
    cron: str, timezone: str, start: int, years: int, policy: tuple[Gap, Overlap] = ("after", "first")
) -> Report:
    """Return every unusual fire of a cron expression from `start` (microseconds) on.

    Raises:
        ValidationFailed: the expression, the zone or the number of years is wrong.

    """
    if not 1 <= years <= YEARS_MAX:
        message = f"`years` must be 1 to {YEARS_MAX}"
        raise ValidationFailed(message, errors=[FieldError("years", message)])
    try:
        parsed = crons.parse(cron)
    except ValidationFailed as error:
        lines = [FieldError("cron", one.message) for one in error.errors] or [FieldError("cron", error.detail)]
        raise ValidationFailed(error.detail, errors=lines, fix=error.fix) from None
    zone = zones.load(timezone)
    stop = start + years * _YEAR_US
    if start // SECOND_US < zones.EARLIEST or stop // SECOND_US > zones.LATEST:
        message = f"the range must lie in the years {zones.FIRST_YEAR} to {zones.LAST_YEAR}"
        raise ValidationFailed(message, errors=[FieldError("from", message)])
    found = unusual(Setting(parsed, zone, *policy), start, stop)
    return Report(
        cron=parsed.expression,
        timezone=zone.name,
        description=crons.describe(parsed),
        rule=_rule(parsed, policy),
        tzdata=zones.tzdata_version(),
        start=to_iso(start),
        end=to_iso(stop),
        changes=found.changes,
        items=found.items,
        days=found.days,
        complete=found.complete,
    )


def unusual(setting: Setting, start: int, stop: int) -> Findings:
    """Return the wall times that clock changes in [start, stop) (microseconds) remove or double, and those days."""
    zone = setting.zone
    first, last = zone.index(start // SECOND_US), zone.index((stop - 1) // SECOND_US)
    items: list[Unusual] = []
    days: list[ChangeDay] = []
    complete = True
    for number in range(first + 1, last + 1):
        for one in _around(setting, zone.table.segments[number]):
            if len(items) == LISTED_MAX:
                complete = False
                break
            items.append(one)
        day = _day(setting, zone.table.segments[number])
        days += [day] if day else []
    return Findings(items, days, last - first, complete)


def _rule(parsed: crons.Cron, policy: tuple[Gap, Overlap]) -> str:
    if not parsed.fixed:
        return "real time: both copies of a doubled time run, nothing is invented for a missing one"
    gap = {"after": "runs at the first instant after the gap", "shift": "runs later by the gap", "skip": "does not run"}
    overlap = {"first": "runs the first time", "last": "runs the second time", "both": "runs both times"}
    return f"fixed time: a missing one {gap[policy[0]]}, a doubled one {overlap[policy[1]]}"


def _around(setting: Setting, segment: Segment) -> Iterator[Unusual]:
    """Yield what happens to the wall times that the change at the start of `segment` concerns."""
    old, new = segment.start + segment.before, segment.start + segment.offset
    wall = setting.calendar.next_local(min(old, new))
    while wall is not None and wall < max(old, new):
        yield from _missing(setting, segment, wall) if old < new else _doubled(setting, segment, wall)
        wall = setting.calendar.next_local(wall + 1)


def _missing(setting: Setting, segment: Segment, wall: int) -> Iterator[Unusual]:
    text = f"{_clock(wall)} does not exist on {_date(wall)}"
    if not setting.calendar.fixed:
        yield Unusual("gap", wall_text(wall), None, 0, f"{text}; the schedule follows real time, nothing is lost")
        return
    if setting.gap == "skip":
        yield Unusual("gap", wall_text(wall), None, 0, f"{text}; it does not run (dst_gap: skip)")
        return
    utc = segment.start if setting.gap == "after" else wall - segment.before
    yield Unusual("gap", wall_text(wall), _iso(utc), 0, f"{text}; runs {_at(setting.zone, utc, wall)}")


def _doubled(setting: Setting, segment: Segment, wall: int) -> Iterator[Unusual]:
    text = f"{_clock(wall)} happens twice on {_date(wall)}"
    both = not setting.calendar.fixed or setting.overlap == "both"
    for fold, offset, word in ((0, segment.before, "first"), (1, segment.offset, "second")):
        if both:
            note = f"{text}; runs both times, this is the {word}"
        elif (setting.overlap == "last") == bool(fold):
            note = f"{text}; runs the {word} time only"
        else:
            continue
        yield Unusual("fold", wall_text(wall), _iso(wall - offset), fold, note)


def _day(setting: Setting, segment: Segment) -> ChangeDay | None:
    """Return the day of a clock change where its number of fires is not the calendar's."""
    width = segment.offset - segment.before
    wall = segment.start + min(segment.before, segment.offset)
    begin = wall - wall % _DAY
    utc = setting.zone.resolve(begin)[0], setting.zone.resolve(begin + _DAY)[0]
    planned = setting.calendar.count_local(begin, begin + _DAY)
    between = (utc[0] * SECOND_US - 1, utc[1] * SECOND_US - 1)
    fires = dst.count(setting.calendar, setting.zone, between, setting.gap, setting.overlap)
    if fires == planned:
        return None
    way = "forward" if width > 0 else "back"
    note = f"clocks go {way} by {_span(abs(width))}: {fires} instead of {planned} fires"
    return ChangeDay(_date(wall), _iso(segment.start), width, planned, fires, note)


def _at(zone: Zone, utc: int, wall: int) -> str:
    local = utc + zone.offset(utc)
    return _clock(local) + ("" if _date(local) == _date(wall) else f" on {_date(local)}")


def _span(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    parts = [f"{hours} h"] * bool(hours) + [f"{minutes} min"] * bool(minutes)
    return " ".join(parts) or f"{seconds} s"


def _iso(utc: int) -> str:
    return to_iso(utc * SECOND_US)


def _date(wall: int) -> str:
    return wall_text(wall).split("T")[0]


def _clock(wall: int) -> str:
    return wall_text(wall).split("T")[1].removesuffix(":00")

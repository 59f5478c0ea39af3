"""When a DAG of Airflow runs: its schedule and timetables as triggers, with the data intervals they mean.

With data intervals (Airflow 2 by default) a run starts when the interval before it ends: its logical date is the time
before the one at which it runs, and the first run is at the second time after `start_date`.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple

from workflow_scheduler.core.time import cron, dst, zone
from workflow_scheduler.core.time.clock import SECOND_US, to_iso
from workflow_scheduler.core.time.dialects.airflow_values import UNKNOWN, Made, Moment
from workflow_scheduler.core.time.dialects.entry import Before, Rules, refuse
from workflow_scheduler.core.time.dialects.kubernetes import translated
from workflow_scheduler.core.time.zone import Zone

_PRESETS = {"@quarterly": "0 0 1 */3 *"}
_TRIGGERED = frozenset({"CronTriggerTimetable", "MultipleCronTriggerTimetable", "DeltaTriggerTimetable"})
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 -- wall times have no zone on purpose
_HOURS = 24
_INTERVALS = (
    "Airflow gave each run the data interval before it: the logical date (`ds`) of a run was the time before; here "
    "`scheduledFor` is the time at which it runs"
)


class Terms(NamedTuple):
    """What bounds a schedule: the zone, and start and end in microseconds where they are known."""

    timezone: str
    start: int | None
    end: int | None
    catchup: bool | None


class Timed(NamedTuple):
    """A trigger, what the old system did at clock changes, and what to know about it."""

    trigger: dict[str, Any]
    rules: Rules
    before: Before | None
    notes: list[str]


def triggers(schedule: Any, terms: Terms) -> list[Timed]:
    """Return the triggers that a DAG's schedule means.

    Raises:
        ValidationFailed: it cannot be taken over; the text says why.

    """
    if schedule is None or schedule == "@once":
        note = "it ran once, at its start: start it by hand" if schedule else "it ran when it was started by hand"
        return [Timed({"type": "manual"}, Rules(), None, [note])]
    if isinstance(schedule, str):
        return [_cron(schedule, terms, intervals=True)]
    if isinstance(schedule, timedelta):
        return [_span(schedule, terms, intervals=True)]
    if isinstance(schedule, Made):
        return _timetable(schedule, terms)
    if schedule is UNKNOWN:
        refuse("its schedule can only be known by running the file: write it as a text")
    return refuse("it runs after datasets: write a `workflow` trigger on the workflows that make them")


def instant(moment: Moment, default: str) -> int:
    """Return the microseconds of a moment of a DAG file."""
    return zone.instant(moment.wall.isoformat(), zone.load(moment.timezone or default))[0]


def fires(parsed: cron.Cron, place: Zone) -> Before:
    """Return how Airflow goes from one time of an expression to the next."""
    return partial(_next, parsed, place)


def covers_every_hour(parsed: cron.Cron) -> bool:
    """Return whether Airflow lets an expression follow real time: its hours are all hours."""
    return len(parsed.fields[1].values()) == _HOURS


def expression(text: str) -> str:
    """Return an expression of croniter as ours: `L5` is `5L`, and steps of the day fields are no stars."""
    parts = translated(_PRESETS.get(text, text)).split()
    if len(parts) == 6:  # noqa: PLR2004 -- five fields and seconds
        refuse(f"`{text[:80]}` has seconds behind its five fields: schedules have none here")
    if len(parts) == 5:  # noqa: PLR2004 -- not a nickname
        pieces = parts[4].split(",")
        parts[4] = ",".join(f"{one[1:]}L" if one[:1] in "Ll" and one[1:].isalnum() else one for one in pieces)
    return " ".join(parts)


def _next(parsed: cron.Cron, place: Zone, utc: int) -> int | None:
    second = utc // SECOND_US
    wall = second + place.offset(second)
    later = parsed.next_local(wall + 1)
    if later is None:
        return None
    if covers_every_hour(parsed):
        return (second + later - wall) * SECOND_US
    found, kind = place.resolve(later)
    if kind == "gap":
        found = later - place.segment(found).before
    elif kind == "fold":
        found = later - place.segment(found).after
    return found * SECOND_US if found > second else None


def _cron(text: str, terms: Terms, *, intervals: bool) -> Timed:
    parsed, place = cron.parse(expression(text.strip())), zone.load(terms.timezone)
    trigger: dict[str, Any] = {"type": "cron", "cron": parsed.expression, "timezone": terms.timezone}
    notes = [f"`{text}` is written `{parsed.expression}` here"] if parsed.expression != text.strip() else []
    if terms.start is not None:
        first = dst.next_utc(parsed, place, terms.start - 1)
        second = dst.next_utc(parsed, place, first) if first is not None and intervals else first
        trigger["start_at"] = to_iso(terms.start if second is None else second)
    if terms.end is not None:
        last = dst.next_utc(parsed, place, terms.end) if intervals else terms.end
        trigger["end_at"] = to_iso(terms.end if last is None else last)
    real_time = covers_every_hour(parsed)
    rules = Rules("skip", "both") if real_time else Rules("shift", "last", always=True)
    return _with_catchup(Timed(trigger, rules, fires(parsed, place), notes), terms, intervals=intervals)


def _span(span: timedelta, terms: Terms, *, intervals: bool) -> Timed:
    seconds = span.total_seconds()
    if seconds < 1 or seconds % 1:
        refuse(f"its interval of {seconds} seconds is not a whole number of seconds")
    trigger: dict[str, Any] = {"type": "interval", "every": f"{int(seconds)}s", "timezone": terms.timezone}
    notes: list[str] = []
    if terms.start is not None:
        width = int(seconds) * SECOND_US
        trigger["anchor"] = to_iso(terms.start)
        trigger["start_at"] = to_iso(terms.start + width if intervals else terms.start)
        if terms.catchup is not True:
            notes.append("without catchup Airflow counted from when the DAG was switched on; here from its start_date")
    if terms.end is not None:
        trigger["end_at"] = to_iso(terms.end)
    return _with_catchup(Timed(trigger, Rules(), None, notes), terms, intervals=intervals)


def _with_catchup(timed: Timed, terms: Terms, *, intervals: bool) -> Timed:
    notes = [*timed.notes, _INTERVALS] if intervals else timed.notes
    timed.trigger["catchup"] = "all" if terms.catchup else "latest"
    if terms.catchup:
        notes = [*notes, "catchup ran all times since start_date: here `catchup_window` bounds it, and `wfs backfill`"]
    elif terms.catchup is None:
        notes = [*notes, "it does not set `catchup`: Airflow 2 took True, Airflow 3 False; here the latest time runs"]
    return timed._replace(notes=notes)


def _timetable(made: Made, terms: Terms) -> list[Timed]:
    named = made.named.get("timezone")
    terms = terms._replace(timezone=named) if isinstance(named, str) else terms
    intervals = made.name not in _TRIGGERED
    given = [one for one in made.args if isinstance(one, (str, timedelta))]
    given += [made.named[name] for name in ("cron", "delta") if isinstance(made.named.get(name), (str, timedelta))]
    if made.name in {"CronTriggerTimetable", "CronDataIntervalTimetable"} and given and isinstance(given[0], str):
        return [_cron(given[0], terms, intervals=intervals)]
    if made.name == "MultipleCronTriggerTimetable" and given:
        return [_cron(one, terms, intervals=False) for one in given if isinstance(one, str)]
    if made.name in {"DeltaTriggerTimetable", "DeltaDataIntervalTimetable"} and given:
        return [_span(one, terms, intervals=intervals) for one in given[:1] if isinstance(one, timedelta)]
    return refuse(f"`{made.name[:60]}` is not known here: write a `cron`, `interval` or `rrule` trigger")

"""Flows of Kestra with triggers of type Schedule, which cron-utils evaluates.

A time in a gap does not run. A doubled one runs twice, unless the time after its second copy is two hours away or more.
Without `timezone` the zone is that of the server. `recoverMissedSchedules` is ALL unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import re2

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron, dst, zone
from workflow_scheduler.core.time.clock import HOUR_US, SECOND_US
from workflow_scheduler.core.time.dialects.entry import Before, Imported, Names, Rules, Unread, because, literal, single
from workflow_scheduler.core.time.dialects.kubernetes import translated
from workflow_scheduler.core.time.fire import Calendar
from workflow_scheduler.core.time.zone import Zone

Located = tuple[Any, Any]
_RULES = Rules("skip", "first")
_TYPES = frozenset({"io.kestra.plugin.core.trigger.Schedule", "io.kestra.core.models.triggers.types.Schedule"})
_SHELL = re2.compile(r"(?:^|\.)(?:shell\.Commands|scripts\.shell\.Script|tasks\.scripts\.Bash)$")
_CATCHUP = {"ALL": "all", "LAST": "latest", "NONE": "none"}
_NOT_TAKEN = ("conditions", "lateMaximumDelay", "stopAfter", "backfill", "when", "labels")


def entries(documents: Iterable[tuple[Any, Any]], timezone: str) -> Iterator[Imported | Unread]:
    """Yield the Schedule triggers of flows; `timezone` is that of the server.

    Each document comes with a function that gives the line of the value at a path.

    Raises:
        ValidationFailed: `timezone` is not an IANA name.

    """
    zone.load(timezone)
    names = Names()
    for flow, line_of in documents:
        triggers = flow.get("triggers") if isinstance(flow, Mapping) else None
        for number, one in enumerate(triggers if isinstance(triggers, list) else ()):
            if isinstance(one, Mapping):
                yield _entry(flow, one, (timezone, line_of(("triggers", number))), names)


def fires(calendar: Calendar, place: Zone) -> Before:
    """Return how cron-utils goes from one time to the next."""
    return partial(_next, calendar, place)


def _next(calendar: Calendar, place: Zone, utc: int) -> int | None:
    found = dst.next_utc(_RealTime(calendar), place, utc)
    if found is None or place.offset(found // SECOND_US) >= place.offset(utc // SECOND_US):
        return found
    later = dst.next_utc(_RealTime(calendar), place, found)
    if later is not None and later - found >= 2 * HOUR_US:
        return dst.next_utc(_RealTime(calendar), place, utc + HOUR_US)
    return found


class _RealTime:
    """A calendar whose wall times follow real time, whatever its expression."""

    fixed = False

    def __init__(self, calendar: Calendar) -> None:
        self.next_local = calendar.next_local
        self.count_local = calendar.count_local


def _entry(
    flow: Mapping[str, Any], one: Mapping[str, Any], terms: tuple[str, int | None], names: Names
) -> Imported | Unread:
    timezone, line = terms
    title = f"{flow.get('id') or 'flow'}-{one.get('id') or 'schedule'}"
    if one.get("type") not in _TYPES:
        return Unread(title, f"its trigger is of type `{str(one.get('type'))[:80]}`, not Schedule", line)
    expression, place = str(one.get("cron") or "").strip(), str(one.get("timezone") or timezone)
    source = f"{title}: {expression}"
    if one.get("withSeconds") is True:
        parts = expression.split()
        if not parts or parts[0] != "0":
            return Unread(source, "it has seconds: schedules have none here; write 0, or use an `interval`", line)
        expression = " ".join(parts[1:])
    try:
        there, parsed = zone.load(place), cron.parse(translated(expression))
    except ValidationFailed as error:
        return Unread(source, because(error), line)
    trigger: dict[str, Any] = {"type": "cron", "cron": parsed.expression, "timezone": place}
    trigger["catchup"] = _CATCHUP.get(str(one.get("recoverMissedSchedules") or "ALL"), "all")
    if isinstance(one.get("inputs"), Mapping):
        trigger["input"] = dict(one["inputs"])
    if one.get("disabled") is True or flow.get("disabled") is True:
        trigger["enabled"] = False
    notes = _notes(one, timezone)
    jobs = _jobs(flow, notes)
    before = fires(parsed, there)
    return Imported(names.of(title), source, trigger, jobs, _RULES, notes, line, before=before)


def _notes(one: Mapping[str, Any], timezone: str) -> list[str]:
    found = [] if one.get("timezone") else [f"it names no `timezone`: the server's is taken to be {timezone}"]
    if not one.get("recoverMissedSchedules"):
        found.append("Kestra recovers all missed times unless its configuration says otherwise: `catchup: all`")
    if "{{" in str(one.get("inputs") or ""):
        found.append("its inputs hold `{{ … }}`, which is plain text here")
    return found + [f"`{name}` is not taken over" for name in _NOT_TAKEN if one.get(name)]


def _jobs(flow: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return the tasks as jobs that run one after the other: shell commands as they are, others to be filled in."""
    tasks = flow.get("tasks")
    jobs: dict[str, Any] = {}
    names = Names()
    last: str | None = None
    for task in tasks if isinstance(tasks, list) else ():
        if not isinstance(task, Mapping):
            continue
        name = names.of(f"t-{task.get('id')}" if str(task.get("id"))[:1].isdigit() else str(task.get("id") or "task"))
        kind = str(task.get("type") or "")
        job = _shell(task) if _SHELL.search(kind) else None
        if job is None:
            notes.append(f"write the work of its task `{name}` ({kind[:80]}) into the job")
        jobs[name] = (job or {"uses": "noop"}) | ({"needs": [last]} if last else {})
        last = name
    return jobs or single({"uses": "noop"})


def _shell(task: Mapping[str, Any]) -> dict[str, Any] | None:
    commands = task.get("commands") or task.get("script")
    text = "\n".join(map(str, commands)) if isinstance(commands, list) else commands
    return {"run": literal(text)} if isinstance(text, str) and "{{" not in text else None

"""Rules and schedules of Amazon EventBridge, as its command line prints them (`list-rules`, `get-schedule`).

Expressions have six fields; days of the week are 1 (Sunday) to 7, and one day field is `?`. Rules run in UTC.
EventBridge Scheduler knows zones: a time in a gap does not run, a doubled one runs once, whatever the expression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import re2

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron, zone
from workflow_scheduler.core.time.dialects import sunday
from workflow_scheduler.core.time.dialects.entry import Imported, Names, Rules, Unread, because, refuse, single

_RULES = Rules("skip", "first", always=True)
_FORM = re2.compile(r"^(cron|rate|at)\((.*)\)$")
_RATE = re2.compile(r"^([0-9]{1,9}) (minute|hour|day)s?$")
_UNITS = {"minute": "m", "hour": "h", "day": "d"}
_FIELDS = 6


def entries(document: Any) -> Iterator[Imported | Unread]:
    """Yield the scheduled entries of a JSON document: one rule or schedule, a list, or the answer of a list command."""
    names = Names()
    for one in _listed(document):
        expression = one.get("ScheduleExpression")
        if isinstance(expression, str) and expression:
            yield _entry(one, expression, names)


def _listed(document: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(document, Mapping):
        for name in ("Rules", "Schedules"):
            yield from (one for one in document.get(name) or () if isinstance(one, Mapping))
        yield document
    elif isinstance(document, list):
        for one in document:
            yield from _listed(one)


def _entry(one: Mapping[str, Any], expression: str, names: Names) -> Imported | Unread:
    title = str(one.get("Name") or "rule")
    place = str(one.get("ScheduleExpressionTimezone") or "UTC")
    try:
        zone.load(place)
        trigger = _trigger(expression.strip(), place)
    except ValidationFailed as error:
        return Unread(f"{title}: {expression}", because(error))
    if one.get("State") == "DISABLED":
        trigger["enabled"] = False
    notes = ["`rate` counts from the deployment here"] if trigger["type"] == "interval" else []
    if trigger["type"] == "cron":
        notes.append(f"`{expression}` is written `{trigger['cron']}` here")
    target = one.get("Target")
    if isinstance(target, Mapping):
        notes.append(f"its target was {target.get('Arn', 'unknown')}")
        if isinstance(target.get("Input"), str):
            trigger["input"] = _value(target["Input"])
    notes.append("write the work into the job")
    return Imported(names.of(title), expression, trigger, single({"uses": "noop"}), _RULES, notes)


def _trigger(expression: str, place: str) -> dict[str, Any]:
    form = _FORM.match(expression)
    if form is None:
        refuse(f"`{expression[:60]}` is neither cron(…), rate(…) nor at(…)")
    kind, inner = form.group(1), form.group(2).strip()
    if kind == "at":
        try:
            zone.instant(inner, zone.load(place))
        except ValueError:
            refuse(f"`{inner[:60]}` is no time such as 2027-03-14T09:30:00")
        return {"type": "once", "run_at": inner, "timezone": place}
    if kind == "rate":
        rate = _RATE.match(inner)
        if rate is None:
            refuse(f"`{inner[:60]}` is no rate; known are minutes, hours and days")
        return {"type": "interval", "every": f"{rate.group(1)}{_UNITS[rate.group(2)]}"}
    expression, years = translated(inner)
    return {"type": "cron", "cron": cron.parse(expression).expression, "timezone": place, **years}


def translated(expression: str) -> tuple[str, dict[str, str]]:
    """Return an expression of six fields as ours, and the bounds that its years mean.

    Raises:
        ValidationFailed: it has not six fields, or its years are neither `*`, one year nor a range.

    """
    parts = expression.split()
    if len(parts) != _FIELDS:
        refuse(f"`{expression[:80]}` has {len(parts)} fields; EventBridge has six")
    minute, hour, day, month, weekday, year = parts
    if "?" not in {day, weekday}:
        refuse(f"`{expression[:80]}` sets both day fields; EventBridge wants `?` in one")
    fields = (minute, hour, _star(day), month, _star(sunday.weekdays(weekday)))
    return " ".join(fields), sunday.bounds(year)


def _star(field: str) -> str:
    return "*" if field == "?" else field


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text

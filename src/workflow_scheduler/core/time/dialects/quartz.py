"""Schedules of Quartz: its cron expressions in a list, the triggers of a `quartz_jobs.xml`, and Spring's `@Scheduled`.

Expressions have a field for seconds before and may have one for years behind; days of the week are 1 (Sunday) to 7, and
one day field is `?`. Quartz computes with wall times only: one in a gap does not run, a doubled one runs once, at its
second copy, whatever the expression.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import re2

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron, zone
from workflow_scheduler.core.time.dialects import quartz_xml, spring, sunday
from workflow_scheduler.core.time.dialects.entry import Imported, Names, Rules, Unread, because, refuse, single

RULES = Rules("skip", "last", always=True)
_NAMED = re2.compile(r"^([A-Za-z0-9_.-]+)\s*[=:]\s*(.*)$")
_FIELDS = (6, 7)
_EVERY_SECONDS = re2.compile(r"^(?:\*|0)/([0-9]{1,2})$")
_MINUTE_SECONDS = 60


def entries(text: str, timezone: str) -> Iterator[Imported | Unread]:
    """Yield the schedules of a file, whose form is seen from its text; `timezone` is that of the JVM.

    Raises:
        ValidationFailed: `timezone` is not an IANA name, or the XML cannot be read.

    """
    zone.load(timezone)
    names = Names()
    if text.lstrip().startswith("<"):
        for found in quartz_xml.triggers(text):
            yield _of_xml(found, timezone, names)
    elif "@Scheduled" in text:
        yield from spring.entries(text, timezone, names)
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and line.strip()[0] not in "#!":
                yield _of_line(line.strip(), number, timezone, names)


def trigger_of(expression: str, place: str) -> dict[str, Any]:
    """Return the trigger for an expression of Quartz.

    Raises:
        ValidationFailed: the expression cannot be taken over; the text says why.

    """
    every = _seconds_only(expression)
    if every is not None:
        return {"type": "interval", "every": f"{every}s"}
    text, years = translated(expression)
    return {"type": "cron", "cron": cron.parse(text).expression, "timezone": place, **years}


def translated(expression: str) -> tuple[str, dict[str, str]]:
    """Return an expression of six or seven fields as ours, and the bounds that its years mean.

    Raises:
        ValidationFailed: it has another number of fields, fires within minutes, or sets both day fields.

    """
    parts = expression.split()
    if len(parts) not in _FIELDS:
        refuse(f"`{expression[:80]}` has {len(parts)} fields; Quartz has six, or seven with the year")
    second, minute, hour, day, month, weekday, year = [*parts, "*"][:7]
    check_second(second)
    if "?" not in {day, weekday} or day == weekday:
        refuse(f"`{expression[:80]}` needs `?` in one of its day fields: Quartz refuses it")
    fields = (minute, hour, "*" if day == "?" else day, month, "*" if weekday == "?" else sunday.weekdays(weekday))
    return " ".join(fields), sunday.bounds(year)


def check_second(second: str) -> None:
    """Refuse seconds other than 0.

    Raises:
        ValidationFailed: the schedule does not fire on full minutes only.

    """
    if not second.isdigit() or int(second) != 0:
        refuse(f"it fires at second `{second[:40]}`; schedules have no seconds here: write 0, or use an `interval`")


def _seconds_only(expression: str) -> int | None:
    """Return n for an expression that means "every n seconds", with an n that divides the minute."""
    second, *rest = expression.split() or [""]
    found = _EVERY_SECONDS.match("*/1" if second == "*" else second)
    if found is None or not rest or any(field not in {"*", "?", "0/1", "*/1"} for field in rest):
        return None
    every = int(found.group(1))
    return every if every and _MINUTE_SECONDS % every == 0 else None


def _of_line(line: str, number: int, place: str, names: Names) -> Imported | Unread:
    """Read one line of a list: an expression, with `name =` before it or a name behind it."""
    named = _NAMED.match(line)
    title, text = (named.group(1), named.group(2)) if named else ("", line)
    parts = text.strip().strip("\"'").split()
    fields = 7 if len(parts) > 6 and parts[6][0] in "*0123456789" else 6  # noqa: PLR2004 -- the year is the seventh
    expression = " ".join(parts[:fields])
    title = title or " ".join(parts[fields:]).strip("# ") or "quartz"
    notes = [f"it names no zone: that of the JVM is taken to be {place}"]
    return _entry((title, line, number), expression, (place, notes), names)


def _of_xml(found: quartz_xml.Found, place: str, names: Names) -> Imported | Unread:
    title = found.name or found.job or "quartz"
    notes = list(found.notes)
    if found.problem:
        return Unread(title, found.problem, found.line)
    if found.timezone is None:
        notes.append(f"it names no zone: that of the JVM is taken to be {place}")
    if found.every is not None:
        trigger = {"type": "interval", "every": found.every, **found.bounds}
        return Imported(names.of(title), title, trigger, single({"uses": "noop"}), RULES, notes, found.line)
    where = (title, f"{title}: {found.cron}", found.line)
    one = _entry(where, found.cron or "", (found.timezone or place, notes), names)
    if isinstance(one, Imported):
        one.trigger.update(found.settings)
        one.trigger.update({name: value for name, value in found.bounds.items() if name not in one.trigger})
    return one


def _entry(
    where: tuple[str, str, int], expression: str, terms: tuple[str, list[str]], names: Names
) -> Imported | Unread:
    title, source, line = where
    place, notes = terms
    try:
        zone.load(place)
        trigger = trigger_of(expression, place)
    except ValidationFailed as error:
        return Unread(source, because(error), line)
    written = f"`{trigger['cron']}`" if "cron" in trigger else f"every {trigger['every']}, counted from the deployment,"
    notes = [f"`{expression}` is written {written} here", *notes, "write the work into the job"]
    return Imported(names.of(title), source, trigger, single({"uses": "noop"}), RULES, notes, line)

"""`@Scheduled` of Spring, read from source files of Java or Kotlin.

Expressions have six fields, the first for seconds; days of the week are 0 or 7 (Sunday) to 6. Where both day fields are
set, both must hold. A time in a gap does not run, a doubled one runs twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import re2

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron, zone
from workflow_scheduler.core.time.cron_field import DAY, Field, parse_field
from workflow_scheduler.core.time.dialects.entry import Imported, Names, Rules, Unread, because, refuse, single

RULES = Rules("skip", "both")
_BEGIN = re2.compile(r"@Scheduled\s*\(")
_ARGUMENT = re2.compile(r'(\w+)\s*=\s*("(?:[^"\\]|\\.)*"|[\w.]+)')
_METHOD = re2.compile(r"(\w+)\s*\([^)]*\)\s*(?:throws [\w., ]+)?[{:=]")
_UNITS = {"NANOSECONDS": 0, "MICROSECONDS": 0, "MILLISECONDS": 1, "SECONDS": 1000, "MINUTES": 60_000,
          "HOURS": 3_600_000, "DAYS": 86_400_000}  # fmt: skip
_WEEK = 7
_FIELDS = 6
_METHOD_CHARS = 400


def entries(text: str, timezone: str, names: Names) -> Iterator[Imported | Unread]:
    """Yield the annotations of a source file; `timezone` is that of the JVM."""
    place = 0
    while (found := _BEGIN.search(text, place)) is not None:
        place = _closing(text, found.end())
        line = text.count("\n", 0, found.start()) + 1
        inner = text[found.end() : place]
        method = _METHOD.search(text[place : place + _METHOD_CHARS])
        title = str(method.group(1)) if method else "scheduled"
        yield _entry((title, f"@Scheduled({' '.join(inner.split())[:200]})", line), inner, timezone, names)


def translated(expression: str) -> str:
    """Return an expression of Spring as ours.

    Raises:
        ValidationFailed: it has not six fields, fires within minutes, or needs both day fields to hold.

    """
    if expression.startswith("@"):
        return expression
    parts = expression.split()
    if len(parts) != _FIELDS:
        refuse(f"`{expression[:80]}` has {len(parts)} fields; Spring has six")
    second, minute, hour, day, month, weekday = (part.replace("?", "*") for part in parts)
    if not second.isdigit() or int(second) != 0:
        refuse(f"it fires at second `{second[:40]}`; schedules have no seconds here: write 0, or use an `interval`")
    if not day.startswith("*") and not weekday.startswith("*"):
        day, weekday = "*", _nth(day, weekday)
    return f"{minute} {hour} {day} {month} {weekday}"


def _nth(day: str, weekday: str) -> str:
    """Return a weekday field that means "these days of the month, where they are these weekdays".

    Raises:
        ValidationFailed: five fields cannot say it.

    """
    parsed = parse_field(DAY, day.upper())
    values = parsed.values() if isinstance(parsed, Field) and not parsed.special else []
    weeks = sorted({(value - 1) // _WEEK + 1 for value in values})
    whole = [value for week in weeks for value in range(week * _WEEK - _WEEK + 1, week * _WEEK + 1)]
    if not values or values != whole or not weekday.replace(",", "").isalnum():
        refuse(
            f"day of month `{day[:40]}` and day of week `{weekday[:40]}` must both hold in Spring, here either "
            "suffices; write an `rrule` with BYMONTHDAY and BYDAY"
        )
    return ",".join(f"{name}#{week}" for name in weekday.split(",") for week in weeks)


def _entry(where: tuple[str, str, int], inner: str, timezone: str, names: Names) -> Imported | Unread:
    title, source, line = where
    given = {found[0]: found[1].strip('"') for found in _ARGUMENT.findall(inner)}
    place = given.get("zone") or timezone
    notes = [] if given.get("zone") else [f"it names no zone: that of the JVM is taken to be {timezone}"]
    try:
        if any("${" in value or "#{" in value for value in given.values()):
            refuse("it holds a placeholder: write the value of the property in its place")
        zone.load(place)
        trigger = _trigger(given, place, notes)
    except ValidationFailed as error:
        return Unread(source, because(error), line)
    notes.append("write the work of the method into the job")
    return Imported(names.of(title), source, trigger, single({"uses": "noop"}), RULES, notes, line)


def _trigger(given: dict[str, str], place: str, notes: list[str]) -> dict[str, Any]:
    expression = given.get("cron", "").strip()
    if expression == "-":
        refuse("its cron is `-`: it was switched off")
    if expression:
        ours = cron.parse(translated(expression)).expression
        if ours != expression:
            notes.append(f"`{expression}` is written `{ours}` here")
        return {"type": "cron", "cron": ours, "timezone": place}
    for name in ("fixedRate", "fixedRateString", "fixedDelay", "fixedDelayString"):
        if name in given:
            return _interval(name, given, notes)
    return refuse("it has neither cron, fixedRate nor fixedDelay")


def _interval(name: str, given: dict[str, str], notes: list[str]) -> dict[str, Any]:
    number = given[name].rstrip("lL").replace("_", "")
    unit = _UNITS.get(given.get("timeUnit", "MILLISECONDS").rpartition(".")[2], 0)
    milliseconds = int(number) * unit if number.isdigit() else 0
    if milliseconds == 0 or milliseconds % 1000:
        refuse(f"`{name} = {given[name][:40]}` is not a whole number of seconds")
    if name.startswith("fixedDelay"):
        notes.append("fixedDelay counted from the end of the last run; here it counts from start to start")
    if "initialDelay" in given or "initialDelayString" in given:
        notes.append("its initial delay is not taken over")
    notes.append("it counts from the deployment here, not from the start of the application")
    return {"type": "interval", "every": f"{milliseconds // 1000}s"}


def _closing(text: str, place: int) -> int:
    """Return where the parenthesis that was opened before `place` closes; texts between quotes do not count."""
    depth, quoted = 1, False
    while place < len(text):
        character = text[place]
        if quoted and character == "\\":
            place += 1
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0:
                return place
        place += 1
    return place

"""The lines of an iCalendar text (RFC 5545, section 3.1): unfolded, and split into name, parameters and value."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, NoReturn

from workflow_scheduler.core.errors import FieldError, ValidationFailed

ICS_BYTES_MAX = 512 * 1024
_LINES_MAX = 60_000
_LENGTH_MAX = 10_000
_SHOWN = 60


class Line(NamedTuple):
    """One property: where it begins in the text, its name, its parameters by upper-case name, and its value."""

    number: int
    name: str
    parameters: dict[str, str]
    value: str


def refuse(number: int, message: str) -> NoReturn:
    """Refuse an iCalendar text for what stands at a line.

    Raises:
        ValidationFailed: always.

    """
    text = f"line {number}: {message}"
    raise ValidationFailed(text, errors=[FieldError("ics", text, line=number)])


def shown(value: str) -> str:
    """Return a value as errors quote it."""
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"


def lines(text: str) -> Iterator[Line]:
    """Yield the properties of a text.

    Raises:
        ValidationFailed: the text is too large, or a line is no property.

    """
    if len(text) > ICS_BYTES_MAX or len(text.encode("utf-8", "replace")) > ICS_BYTES_MAX:
        refuse(
            1, f"the text is larger than {ICS_BYTES_MAX // 1024} KiB; split it into several calendars and unite them"
        )
    for number, line in _unfolded(text):
        if len(line) > _LENGTH_MAX:
            refuse(number, f"the line is longer than {_LENGTH_MAX} characters; shorten it")
        yield _property(number, line)


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    parts: list[str] = []
    begin = 1
    raw = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(raw) > _LINES_MAX:
        refuse(_LINES_MAX, f"the text has more than {_LINES_MAX} lines; split it into several calendars and unite them")
    for number, line in enumerate(raw, 1):
        if line[:1] in (" ", "\t") and parts:
            parts.append(line[1:])
            continue
        if parts:
            yield begin, "".join(parts)
        parts, begin = ([line], number) if line.strip() else ([], number)
    if parts:
        yield begin, "".join(parts)


def _property(number: int, line: str) -> Line:
    quoted, cuts = False, []
    end = None
    for place, character in enumerate(line):
        if character == '"':
            quoted = not quoted
        elif not quoted and character == ";":
            cuts.append(place)
        elif not quoted and character == ":":
            end = place
            break
    if end is None:
        refuse(number, f"`{shown(line)}` is no property; write NAME:VALUE, such as DTSTART;VALUE=DATE:20271224")
    bounds = [*cuts, end]
    name = line[: bounds[0]].strip().upper()
    if not name or not name.replace("-", "").isalnum() or not name.isascii():
        refuse(number, f"`{shown(line)}` is no property; write NAME:VALUE, such as DTSTART;VALUE=DATE:20271224")
    parameters = {}
    for start, stop in pairwise(bounds):
        key, _, value = line[start + 1 : stop].partition("=")
        parameters[key.strip().upper()] = value.strip().strip('"')
    return Line(number, name, parameters, line[end + 1 :].strip())

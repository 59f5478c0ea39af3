"""Times on the command line: ISO 8601, or a span such as `2h` counted from now."""

from __future__ import annotations

import re

import typer

from workflow_scheduler.core.time.clock import SECOND_US, SystemClock, from_iso, to_iso

_SPAN = re.compile(r"\d+(?:\.\d+)?(?:ms|s|m|h|d|w)")


def past(text: str | None) -> str | None:
    """Return ISO 8601 of a time; `2h` is two hours ago."""
    return _moment(text, -1)


def future(text: str | None) -> str | None:
    """Return ISO 8601 of a time; `2h` is in two hours."""
    return _moment(text, 1)


def seconds(text: str) -> float:
    """Return the seconds of `90s`, `15m`, or a plain number."""
    from workflow_scheduler.core.model.workflow import duration_seconds

    try:
        return float(str(duration_seconds(text) if _SPAN.fullmatch(text) else float(text)))
    except ValueError:
        raise typer.BadParameter(f"`{text}` is not a duration; write 90s, 15m or 2h") from None


def short(text: object) -> str:
    """Return an ISO time for people: to the second, in UTC."""
    if not isinstance(text, str) or "T" not in text:
        return "-" if text is None else str(text)
    return text.replace("T", " ")[:19] + "Z"


def _moment(text: str | None, direction: int) -> str | None:
    if text is None:
        return None
    if _SPAN.fullmatch(text):
        return to_iso(SystemClock().now() + int(direction * seconds(text) * SECOND_US))
    try:
        return to_iso(from_iso(text))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"`{text}` is not a time; write 2027-03-14T07:30:00Z, or a span such as 2h") from None

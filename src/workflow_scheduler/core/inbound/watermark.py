"""Watermarks: how far a source has read, as a time that can be moved back a little, or as any value that only grows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from workflow_scheduler.core.time.clock import SECOND_US, from_datetime, to_datetime

Kind = Literal["auto", "iso", "unix", "unix_ms", "value"]
_MILLISECONDS_LEAST = 100_000_000_000
_SECONDS_LEAST = 100_000_000
_LATEST_US = 253_402_300_799 * SECOND_US


def kind_of(value: Any) -> Kind:
    """Return what a value looks like: an ISO 8601 time, seconds or milliseconds since 1970, or a value as it is."""
    if isinstance(value, bool):
        return "value"
    if isinstance(value, (int, float)):
        return "unix_ms" if value >= _MILLISECONDS_LEAST else "unix" if value >= _SECONDS_LEAST else "value"
    if isinstance(value, str) and _moment(value) is not None:
        return "iso"
    return "value"


def instant(value: Any, kind: Kind) -> int | None:
    """Return the microseconds UTC that a watermark stands for; None for one that is no time."""
    if kind == "auto":
        kind = kind_of(value)
    if kind == "iso" and isinstance(value, str):
        moment = _moment(value)
        return None if moment is None else from_datetime(moment)
    if kind in ("unix", "unix_ms") and isinstance(value, (int, float)) and not isinstance(value, bool):
        at = value * (SECOND_US if kind == "unix" else 1_000)
        return round(at) if 0 <= at <= _LATEST_US else None
    return None


def text_of(at: int, kind: Kind) -> str:
    """Return how an instant (microseconds) is written in a request: ISO 8601 UTC unless it is a number of some kind."""
    if kind == "unix":
        return str(at // SECOND_US)
    if kind == "unix_ms":
        return str(at // 1_000)
    moment = to_datetime(at)
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{moment.microsecond:06d}" if moment.microsecond else "") + "Z"


def _moment(text: str) -> datetime | None:
    if not (text[:4].isdigit() and text[4:5] in ("-", "") and "-" in text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment if moment.tzinfo is UTC else moment.astimezone(timezone(timedelta()))

"""Calendars as the API shows them."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.time.calendars.holiday_days import package_version
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.stores.portable.calendars import CalendarRow, VersionRow

UNREADABLE = "cannot be read; replace all that it holds"


def calendar_shape(row: CalendarRow, spec: str, *, whole: bool = False) -> dict[str, Any]:
    """Return a calendar; `whole` with all that it holds, otherwise without its lists and texts."""
    held, words = _held(spec)
    held.pop("description", None)
    return {
        "name": row.name,
        "version": row.version,
        "description": row.description,
        "holds": words,
        "created_at": to_iso(row.created_at),
        "updated_at": to_iso(row.updated_at),
        "updated_by": row.updated_by,
        **({"spec": held, "holidays": package_version() if "country" in held else None} if whole else {}),
    }


def version_shape(row: VersionRow) -> dict[str, Any]:
    """Return one version of a calendar with all that it held."""
    held, _ = _held(row.spec)
    return {
        "version": row.version,
        "description": held.pop("description", ""),
        "spec": held,
        "created_at": to_iso(row.created_at),
        "created_by": row.created_by,
    }


def _held(spec: str) -> tuple[dict[str, Any], str]:
    """Return what is stored of a calendar, and the same in words; nothing of what cannot be read."""
    try:
        held: dict[str, Any] = msgspec.convert(msgspec.json.decode(spec), dict[str, Any])
        return held, _parts(held)
    except (msgspec.MsgspecError, TypeError, AttributeError):
        return {}, UNREADABLE


def _parts(held: dict[str, Any]) -> str:
    """Return what a calendar is made of in a few words: `holidays of US; 3 dates; less company-days`."""
    words = []
    if "country" in held:
        place = "-".join(part for part in (held["country"], held.get("subdivision")) if part)
        words.append(f"holidays of {place}")
    if held.get("weekdays"):
        words.append(", ".join(held["weekdays"]))
    if held.get("weekend") is not None:
        words.append(f"all weekdays but {', '.join(held['weekend'])}" if held["weekend"] else "every day")
    if held.get("dates"):
        words.append(f"{len(held['dates'])} dates")
    if held.get("ics"):
        words.append("an iCalendar file")
    words += list(held.get("union", ()))
    less = f"; less {', '.join(held['except'])}" if held.get("except") else ""
    return "; ".join(words) + less

"""What Quartz and EventBridge share: days of the week from 1 (Sunday) to 7, and a field for the year."""

from __future__ import annotations

from typing import Any

import re2

from workflow_scheduler.core.time.dialects.entry import refuse

_YEARS = re2.compile(r"^[0-9]{4}(?:-[0-9]{4})?$")
_NUMBER = re2.compile(r"[0-9]+")
_WEEK = 7
_YEARS_MAX = 500


def weekdays(field: str) -> str:
    """Return a weekday field whose numbers begin with 1 for Sunday as one that begins with 0; `L` alone is Saturday.

    Raises:
        ValidationFailed: a number is not 1 to 7.

    """
    if field.upper() == "L":
        return "6"
    return ",".join(_weekday(piece) for piece in field.split(","))


def bounds(field: str) -> dict[str, str]:
    """Return a year field as the bounds of a trigger: none for `*`, else those of consecutive years.

    Raises:
        ValidationFailed: the years are not consecutive, or written with a step.

    """
    if field == "*":
        return {}
    years: set[int] = set()
    for piece in field.split(","):
        if _YEARS.match(piece) is None:
            refuse(f"the years `{field[:40]}` are neither `*`, years nor a range; split the schedule")
        first, _, last = piece.partition("-")
        years.update(range(int(first), int(last or first) + 1))
    if not years or max(years) - min(years) != len(years) - 1 or len(years) > _YEARS_MAX:
        refuse(f"the years `{field[:40]}` are not consecutive; split the schedule")
    return {"start_at": f"{min(years)}-01-01T00:00:00", "end_at": f"{max(years)}-12-31T23:59:59"}


def _weekday(piece: str) -> str:
    head, mark, rest = piece.partition("#") if "#" in piece else piece.partition("/")
    return str(_NUMBER.sub(_one_less, head)) + mark + rest


def _one_less(found: Any) -> str:
    number = int(found.group(0)[:9])
    if not 1 <= number <= _WEEK:
        refuse(f"`{number}` is no day of the week of a system that counts them from 1 (Sunday) to 7")
    return str(number - 1)

"""The times that a schedule which is not saved yet would have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.core.time.fire import noted
from workflow_scheduler.services.explain_time import fire_shape
from workflow_scheduler.services.nominal import Timetable
from workflow_scheduler.services.schedule_config import parse

PREVIEW_MAX = 1_000
Bind = Callable[[Any, Any], tuple[Any, Any]]


def moment(text: object, field: str) -> int:
    """Return the microseconds of an ISO 8601 time that a caller gave for `field`.

    Raises:
        ValidationFailed: it is none.

    """
    try:
        return from_iso(str(text))
    except (ValueError, OverflowError):
        raise ValidationFailed(f"`{field}` is not an ISO 8601 time; write it as 2027-03-14T07:30:00Z.") from None


def preview(
    types: Mapping[str, ModuleType], body: Mapping[str, Any], now: int, bind: Bind | None = None
) -> dict[str, Any]:
    """Return the times of a schedule's body from its `from` (now) on, as many as its `count` (10).

    `bind` puts it under the calendars it names. Times that they leave out are listed with `outcome: skipped`.

    Raises:
        ValidationFailed: the expression, the zone, `from` or `count` is wrong.

    """
    fields = dict(body)
    count = fields.pop("count", None)
    start = fields.pop("from", None)
    count = 10 if count is None else count
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= PREVIEW_MAX:
        raise ValidationFailed(f"`count` must be a number from 1 to {PREVIEW_MAX}.")
    since = now if start is None else moment(start, "from") - 1
    module, config = parse(types, fields)
    if bind is not None:
        module, config = bind(module, config)
    table = Timetable(module, config, since + (start is not None))
    fires: list[dict[str, Any] | None] = []
    fire = table.after(since)
    while fire is not None and len(fires) < count:
        excluded = table.excluded(fire.utc)
        if excluded is None:
            fires.append(fire_shape(fire))
        else:
            word = {"outcome": excluded.outcome.value, "reason": excluded.reason.value}
            fires.append({**(fire_shape(noted(fire, excluded.note)) or {}), **word})
        fire = table.after(fire.utc)
    describe = getattr(module, "describe", None)
    return {
        "fires": fires,
        "timezone": table.timezone,
        "description": describe(config) if describe else None,
    }

"""The times that a schedule which is not saved yet would have."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.blackout import Window
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.core.time.fire import Fire, noted
from workflow_scheduler.services.explain_time import shape_of
from workflow_scheduler.services.nominal import Timetable
from workflow_scheduler.services.restraints import Restraints
from workflow_scheduler.services.schedule_config import parse

PREVIEW_MAX = 1_000


def moment(text: object, field: str) -> int:
    """Return the microseconds of an ISO 8601 time that a caller gave for `field`.

    Raises:
        ValidationFailed: it is none.

    """
    try:
        return from_iso(str(text))
    except (ValueError, OverflowError):
        message = f"`{field}` is not an ISO 8601 time; write it as 2027-03-14T07:30:00Z."
        raise ValidationFailed(message, errors=[FieldError(field, message)]) from None


def preview(
    types: Mapping[str, ModuleType], body: Mapping[str, Any], now: int, held: Restraints | None = None
) -> dict[str, Any]:
    """Return the times of a schedule's body from its `from` (now) on, as many as its `count` (10).

    `held` has the calendars it names and the blackout windows of its tenant; those that concern its `workflow` hold,
    without one those of all workflows. Times that they leave out are listed with `outcome: skipped`.

    Raises:
        ValidationFailed: the expression, the zone, `from` or `count` is wrong.

    """
    fields = dict(body)
    count = fields.pop("count", None)
    start = fields.pop("from", None)
    count = 10 if count is None else count
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= PREVIEW_MAX:
        message = f"`count` must be a number from 1 to {PREVIEW_MAX}."
        raise ValidationFailed(message, errors=[FieldError("count", message)])
    since = now if start is None else moment(start, "from") - 1
    module, config = parse(types, fields)
    windows: tuple[Window, ...] = ()
    if held is not None:
        workflow = str(fields.get("workflow") or "")
        windows = held.of(workflow)
        module, config = held.bind(workflow, module, config)
    table = Timetable(module, config, since + (start is not None), windows)
    fires: list[dict[str, Any]] = []
    fire = table.after(since)
    left = count if table.max_fires is None else table.max_fires
    while fire is not None and len(fires) < count and left > 0:
        fires.append(_foretold(table, fire))
        left -= fires[-1].get("outcome") != "skipped"
        fire = table.after(fire.utc)
    describe = getattr(module, "describe", None)
    return {
        "fires": fires,
        "timezone": table.timezone,
        "description": describe(config) if describe else None,
    }


def _foretold(table: Timetable, fire: Fire) -> dict[str, Any]:
    """Return a time to come, with what keeps it from running where something does."""
    if fire.utc in table.skipped:
        return {**shape_of(fire), "outcome": "skipped", "reason": Reason.SKIPPED_BY_HAND.value}
    excluded = table.excluded(fire.utc)
    if excluded is not None:
        shown = shape_of(noted(fire, excluded.note))
        return {**shown, "outcome": excluded.outcome.value, "reason": excluded.reason.value}
    deferred = table.deferred(fire.utc)
    if deferred is not None:
        return {**shape_of(noted(fire, deferred)), "outcome": "planned", "reason": Reason.BLACKOUT.value}
    return shape_of(fire)

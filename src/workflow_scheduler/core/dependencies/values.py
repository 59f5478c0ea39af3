"""The value that ends have in common: what `correlate_by` makes of an event."""

from __future__ import annotations

import hashlib

from workflow_scheduler.core.dependencies.rounds import Rule
from workflow_scheduler.core.match.condition import EVENT_VARIABLES, NO_VALUE, compile_expression, json_value
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.trigger import Trigger

_KEPT_WHOLE = 200


def value_of(rule: Rule, view: EventView, trigger: Trigger, now: int) -> tuple[str | None, str | None]:
    """Return what an end has in common with others, as JSON (None where nothing is asked), or why it has no value."""
    if rule.correlate_by is None:
        return None, None
    try:
        return json_value(compile_expression(rule.correlate_by, EVENT_VARIABLES), view, trigger, now), None
    except NO_VALUE as error:
        return None, str(error) or "it has no value"


def correlation_of(value: str | None) -> str:
    """Return the name of the rounds whose ends have `value` (JSON) in common."""
    if value is None:
        return ""
    return value if len(value) <= _KEPT_WHOLE else "sha256:" + hashlib.sha256(value.encode()).hexdigest()

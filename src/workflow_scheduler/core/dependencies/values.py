"""The value that ends have in common: what `correlate_by` makes of an event."""

from __future__ import annotations

import hashlib

import msgspec

from workflow_scheduler.core.dependencies.rounds import Rule
from workflow_scheduler.core.match.condition import EVENT_VARIABLES, Undefined, compile_expression, event_variables
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.trigger import Trigger

_KEPT_WHOLE = 200


def value_of(rule: Rule, view: EventView, trigger: Trigger, now: int) -> tuple[str | None, str | None]:
    """Return what an end has in common with others, as JSON (None where nothing is asked), or why it has no value."""
    if rule.correlate_by is None:
        return None, None
    try:
        value = compile_expression(rule.correlate_by, EVENT_VARIABLES).value(event_variables(view, trigger, now))
        return msgspec.json.encode(value, order="deterministic").decode(), None
    except (Undefined, msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        return None, str(error) or "it has no value"


def correlation_of(value: str | None) -> str:
    """Return the name of the rounds whose ends have `value` (JSON) in common."""
    if value is None:
        return ""
    return value if len(value) <= _KEPT_WHOLE else "sha256:" + hashlib.sha256(value.encode()).hexdigest()

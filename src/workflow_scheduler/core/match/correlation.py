"""Correlation values: what a wait and the event that answers it have in common."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.match.condition import EVENT_VARIABLES, Undefined, compile_expression, event_variables
from workflow_scheduler.core.model.event import EventView

CHARACTERS_MAX = 1_000


def correlation_text(value: Any) -> str | None:
    """Return the text by which values are compared: 17 and "17" are the same; None for no value."""
    if value is None:
        return None
    text = value if isinstance(value, str) else msgspec.json.encode(value, order="sorted").decode()
    return text[:CHARACTERS_MAX]


def correlation_of(view: EventView, expression: str, now: int) -> str | None:
    """Return the value of an event for `correlate_by`, None where it has none."""
    try:
        compiled = compile_expression(expression, EVENT_VARIABLES)
        return correlation_text(compiled.value(event_variables(view, None, now)))
    except (Undefined, msgspec.MsgspecError, ValueError, RecursionError):
        return None

"""The expressions by which a trigger with a shape tells its events apart."""

from __future__ import annotations

from workflow_scheduler.core.match.condition import EVENT_VARIABLES, NO_VALUE, compile_expression, json_value
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.trigger import Trigger


class ShapeKeys:
    """The compiled keys of one trigger."""

    __slots__ = ("_keys", "_trigger")

    def __init__(self, trigger: Trigger) -> None:
        """Compile the keys of the shape of `trigger`, if it has one.

        Raises:
            ValidationFailed: one of them is no valid expression.

        """
        self._trigger = trigger
        keys = {} if trigger.shape is None else trigger.shape.keys()
        self._keys = {kind: compile_expression(text, EVENT_VARIABLES) for kind, text in keys.items()}

    def value(self, kind: str, view: EventView, now: int) -> str | None:
        """Return the value, as JSON, by which one part of the shape tells an event from others; None for no key.

        An event for which the expression has no value has the value null.
        """
        key = self._keys.get(kind)
        if key is None:
            return None
        try:
            return json_value(key, view, self._trigger, now)
        except NO_VALUE:
            return "null"

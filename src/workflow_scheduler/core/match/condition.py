"""Conditions: CEL expressions that are true, false, or unknown with a reason.

A missing field makes a condition unknown, never false and never an error; `&&` and `||` follow three-valued logic, so
`has(event.data.x) && event.data.x > 1` and `event.data.missing || true` mean what they say. Common shapes are decided
by plain Python closures (`core.match.fast`); all else by the CEL runtime.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.match import fast
from workflow_scheduler.core.match.expression import (
    EVENT_VARIABLES,
    JOB_VARIABLES,
    Absent,
    Expression,
    Undefined,
    compile_expression,
    evaluate,
)
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.time.clock import to_datetime, to_iso

__all__ = [
    "EVENT_VARIABLES", "JOB_VARIABLES", "NO_VALUE", "Answer", "Condition", "Undefined", "compile_condition",
    "compile_expression", "evaluate", "event_variables", "json_value",
]  # fmt: skip

NO_VALUE = (Undefined, msgspec.MsgspecError, ValueError, TypeError, RecursionError)
"""What an expression raises that has no value for an event, or none that JSON knows."""

_CACHED_CONDITIONS = 20_000
_SHOWN_CHARS = 200
_SHOWN_PATHS = 20
_BOOLEAN_KINDS = frozenset({"BOOL", "DYN"})


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The result of a condition; `reason` says why it is unknown (None).

    `failed` tells what is wrong with the condition (operands of the wrong type) from a field that is missing.
    """

    result: bool | None
    reason: str | None = None
    failed: bool = False


_TRUE, _FALSE = Answer(result=True), Answer(result=False)


class Condition:
    """A compiled condition."""

    __slots__ = ("expression", "test", "text")

    def __init__(self, text: str, variables: tuple[str, ...]) -> None:
        """Compile `text` over `variables`.

        Raises:
            ValidationFailed: not a valid expression, or its value can never be true or false.

        """
        self.text = text
        self.expression: Expression = compile_expression(text, variables)
        if self.expression.kind not in _BOOLEAN_KINDS:
            problem = f"the condition gives {self.expression.kind.lower()}, but it must give true or false"
            raise ValidationFailed(
                f"{problem[0].upper()}{problem[1:]}.", errors=[FieldError("condition", problem, line=1, column=1)]
            )
        self.test = fast.compile_test(self.expression.tree)

    def judge(self, variables: Mapping[str, Any]) -> Answer:
        """Return whether the condition holds for `variables`; never raises."""
        if self.test is not None:
            quick = self.test(variables)
            if quick is not None:
                return _TRUE if quick else _FALSE
        return self.judge_slowly(variables)

    def judge_slowly(self, variables: Mapping[str, Any]) -> Answer:
        """Return what the CEL runtime says, without the closures."""
        try:
            value = self.expression.run(variables)
        except Absent as error:
            return Answer(None, str(error))
        except Undefined as error:
            return Answer(None, str(error), failed=True)
        if isinstance(value, bool):
            return _TRUE if value else _FALSE
        return Answer(None, f"the condition gives {_kind(value)}, not true or false", failed=True)

    def evaluate(self, view: EventView, trigger: Trigger, now: int) -> tuple[Predicate, bool]:
        """Judge an event for a trigger at the instant `now` (microseconds).

        Returns the line of its explanation, and whether the condition failed.
        """
        variables = event_variables(view, trigger, now)
        answer = self.judge(variables)
        line = Predicate("condition", self.text, self.shown(variables), answer.result, answer.reason)
        return line, answer.failed

    def shown(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that the condition reads, shortened for people; containers are named, not copied."""
        found: dict[str, Any] = {}
        for path in self.expression.paths[:_SHOWN_PATHS]:
            value = fast.fetch(variables, path)
            if value is not fast.MISSING:
                found[".".join(path)] = _short(value)
        return found


@lru_cache(_CACHED_CONDITIONS)
def compile_condition(text: str, variables: tuple[str, ...] = EVENT_VARIABLES) -> Condition:
    """Return the compiled condition, from a bounded cache.

    Raises:
        ValidationFailed: not a valid expression; the field error carries line and column.

    """
    return Condition(text, variables)


def event_variables(view: EventView, trigger: Trigger | None, now: int) -> dict[str, Any]:
    """Return what a trigger's condition sees: `event`, `headers`, `trigger` (name, config) and `now`.

    `event.time` is ISO 8601 text, as in an event's JSON (`timestamp(event.time)` makes it a time); `now` is a time.
    """
    event = event_fields(view)
    variables = {"event": event, "headers": event["headers"], "now": to_datetime(now)}
    if trigger is not None:
        variables["trigger"] = {"name": trigger.name, "config": trigger.config}
    return variables


def json_value(expression: Expression, view: EventView, trigger: Trigger, now: int) -> str:
    """Return the value of an expression over an event as JSON, the same text for the same value.

    Raises any of NO_VALUE: the expression has no value for this event, or none that JSON knows.
    """
    value = expression.value(event_variables(view, trigger, now))
    return msgspec.json.encode(value, order="deterministic").decode()


def event_fields(view: EventView) -> dict[str, Any]:
    """Return the event as expressions see it; made once per event."""
    found: dict[str, Any] | None = view.__dict__.get("expression_fields")
    if found is None:
        event, attributes = view.event, view.attributes
        found = {
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": to_iso(event.time),
            "data": view.data,
            "headers": attributes.get("headers") or {},
            "method": attributes.get("method"),
            "path": attributes.get("path"),
            "query": attributes.get("query") or {},
        }
        view.__dict__["expression_fields"] = found
    return found


def _short(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= _SHOWN_CHARS else value[:_SHOWN_CHARS] + "…"
    if isinstance(value, dict):
        return f"an object of {len(value)} fields"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", int: "a number", float: "a number", type(None): "null"}
    return names.get(type(value), type(value).__name__)

"""Definitions inside the request for a schedule or a trigger: which workflow they are, and whether it is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.definition.load import digest
from workflow_scheduler.core.errors import Conflict, FieldError, ValidationFailed
from workflow_scheduler.services.definitions import Text, plain_value

NAMES = ("definition", "workflow_definition")


class Inline(msgspec.Struct, frozen=True):
    """A definition in a request: the name of its workflow, and its value with the trigger that was asked for."""

    workflow: str
    value: dict[str, Any]

    def agrees(self, stored: Mapping[str, Any]) -> bool:
        """Return whether a stored definition is the same one, triggers left aside."""
        return digest(_alone(stored)) == digest(_alone(self.value))

    def with_trigger(self, name: str, trigger: Mapping[str, Any]) -> dict[str, Any]:
        """Return the definition with one more trigger.

        Raises:
            Conflict: it has one of that name.

        """
        triggers = dict(self.value.get("triggers") or {})
        if name in triggers:
            raise Conflict(f"the definition has a trigger `{name}` already", fix="choose another name")
        return {**self.value, "triggers": {**triggers, name: dict(trigger)}}


def inline(body: Mapping[str, Any]) -> Inline | None:
    """Return the definition that a request brings along, None when it names a workflow.

    A definition without a name gets that of the schedule or trigger.

    Raises:
        ValidationFailed: it names a workflow as well, or the definition cannot be read or has no name.

    """
    field = next((name for name in NAMES if body.get(name) is not None), None)
    if field is None:
        return None
    if body.get("workflow") is not None:
        message = f"give either `workflow` or `{field}`, not both"
        raise ValidationFailed(message, errors=[FieldError("workflow", message)])
    given = body[field]
    if not isinstance(given, Mapping | str):
        message = f"`{field}` must be a definition: an object, or YAML as a text"
        raise ValidationFailed(message, errors=[FieldError(field, message)])
    value = plain_value(Text(given) if isinstance(given, str) else given)
    name = value.get("name", body.get("name"))
    if not isinstance(name, str) or not name:
        message = f"`{field}` needs a `name`, or the request does"
        raise ValidationFailed(message, errors=[FieldError(f"{field}.name", message)])
    return Inline(name, {**value, "name": name})


def without_inline(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request without the definition in it."""
    return {name: value for name, value in body.items() if name not in NAMES}


def refuse_inline(body: Mapping[str, Any]) -> None:
    """Refuse a definition where none can be brought along.

    Raises:
        ValidationFailed: there is one.

    """
    for name in NAMES:
        if body.get(name) is not None:
            message = f"`{name}` goes with the creation only"
            fix = "change the workflow instead: PUT /api/v1/workflows/{workflow_id}"
            raise ValidationFailed(message, fix=fix, errors=[FieldError(name, message)])


def differs(name: str) -> Conflict:
    """Return the error for a workflow of that name with other jobs."""
    return Conflict(
        f"there is a workflow `{name}` with another definition",
        fix="give the definition another name, or change that workflow and name it in `workflow`",
    )


def _alone(value: Mapping[str, Any]) -> dict[str, Any]:
    return {part: kept for part, kept in value.items() if part != "triggers"}

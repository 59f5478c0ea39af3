"""From the short form of a schedule to the configuration of a trigger type."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import msgspec
from pydantic import ValidationError

from workflow_scheduler.core.errors import FieldError, SchedulerError, ValidationFailed, unknown_field

_KINDS = {
    "cron": "cron", "cron_expression": "cron", "every": "interval", "run_at": "once", "at": "once", "rrule": "rrule",
}  # fmt: skip
_SHARED = ("input", "condition", "on_unknown", "enabled", "overlap", "priority", "description")
_OWN = ("workflow", "name")


def trigger_type(body: Mapping[str, Any]) -> str:
    """Return the trigger type that a schedule's body means: `cron`, `interval`, `once` or `rrule`.

    Raises:
        ValidationFailed: it names none of `cron`, `every`, `run_at` and `rrule`, or several.

    """
    kinds = {kind for field, kind in _KINDS.items() if body.get(field) is not None}
    if len(kinds) != 1:
        said = "none of them" if not kinds else "more than one"
        message = f"a schedule has exactly one of `cron`, `every`, `run_at` and `rrule`, not {said}"
        raise ValidationFailed(message, errors=[FieldError("cron", message)])
    return kinds.pop()


def trigger_config(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a schedule as it would stand under `triggers:` in a definition file.

    Raises:
        ValidationFailed: see `trigger_type`.

    """
    rest = {name: value for name, value in body.items() if name not in _OWN and value is not None}
    return {"type": trigger_type(body), **rest}


def parse(types: Mapping[str, ModuleType], body: Mapping[str, Any], now: int | None = None) -> tuple[ModuleType, Any]:
    """Return the trigger type and the validated configuration that a schedule's body means.

    With `now`, what can never fire (a past `run_at`) is refused as well.

    Raises:
        ValidationFailed: a field is missing, unknown or wrong; the errors name each.

    """
    kind = trigger_type(body)
    module: Any = types.get(kind)
    if module is None:
        raise ValidationFailed(f"The trigger type `{kind}` is not installed.")
    own = {name: value for name, value in body.items() if name not in (*_OWN, *_SHARED) and value is not None}
    try:
        config = module.Config.model_validate(own)
    except ValidationError as error:
        raise _refused(module, error) from None
    except SchedulerError as error:
        raise ValidationFailed(error.detail, errors=error.errors, fix=error.fix) from None
    problems = list(module.check(config, now)) if now is not None and hasattr(module, "check") else []
    if problems:
        raise ValidationFailed(problems[0].message, errors=problems)
    return module, config


def stored(types: Mapping[str, ModuleType], kind: str, config: bytes | str) -> tuple[ModuleType, Any]:
    """Return the timer type and the validated configuration of a stored trigger.

    Raises:
        ValidationFailed: the type is not installed, or the stored configuration cannot be read.

    """
    module: Any = types.get(kind)
    if module is None or module.shape != "timer":
        raise ValidationFailed(f"`{kind}` is no installed timer type.")
    try:
        return module, module.Config.model_validate(msgspec.json.decode(config))
    except (msgspec.MsgspecError, ValueError, SchedulerError) as error:
        raise ValidationFailed(f"The stored configuration cannot be read: {error}") from error


def _refused(module: Any, error: ValidationError) -> ValidationFailed:
    errors = []
    for line in error.errors(include_url=False):
        field = ".".join(str(part) for part in line["loc"])
        message = line["msg"].removeprefix("Value error, ")
        if line["type"] == "extra_forbidden":
            message = unknown_field(field, module.Config.model_fields)
        errors.append(FieldError(field, message))
    return ValidationFailed(f"{errors[0].field}: {errors[0].message}", errors=errors)

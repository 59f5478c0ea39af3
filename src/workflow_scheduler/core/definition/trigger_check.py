"""Checking the triggers of a definition against their types."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Literal

import msgspec
from pydantic import Field, ValidationError, field_validator

from workflow_scheduler.core.definition.absent import TRIGGER_TYPES, type_problem
from workflow_scheduler.core.definition.document import Document, Path
from workflow_scheduler.core.definition.problems import explain
from workflow_scheduler.core.errors import FieldError, SchedulerError
from workflow_scheduler.core.match.condition import compile_condition
from workflow_scheduler.core.match.event_pattern import Pattern
from workflow_scheduler.core.match.expression import EVENT_VARIABLES, compile_expression
from workflow_scheduler.core.model.priority import Priority
from workflow_scheduler.core.model.workflow import NAME_PATTERN, Concurrency, OverlapField, OverlapRule
from workflow_scheduler.core.registry import Config
from workflow_scheduler.core.shaping.fields import ShapeFields, shape_of

TRIGGERS_MAX = 1_000
_NAME = re.compile(NAME_PATTERN)


class SharedKeys(ShapeFields):
    """What every trigger may have beside the configuration of its type."""

    type: str = Field(description="The trigger type.")
    condition: str | None = Field(default=None, description="CEL; the trigger fires only for events it is true for.")
    pattern: dict[str, Any] | None = Field(
        default=None,
        description="An event pattern as in Amazon EventBridge, beside the condition or in its place.",
    )
    on_unknown: Literal["skip", "hold", "fire"] = Field(
        default="skip", description="What to do when a filter or the condition cannot be decided."
    )
    enabled: bool = Field(default=True, description="Whether the trigger fires once the workflow is deployed.")
    input: Any = Field(default=None, description="The input of the runs this trigger starts.")
    overlap: OverlapField | None = Field(
        default=None, description="What becomes of a fire while an earlier run is still under way."
    )
    resume: bool = Field(
        default=False,
        description="Whether events of a clock, of polling, of other workflows or a start by hand answer paused runs.",
    )
    priority: Priority | None = Field(
        default=None, description="The priority of the runs this trigger starts; the workflow's where there is none."
    )
    description: str = Field(default="", description="For people.")

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        if value is not None:
            Pattern(value)
        return value


SHARED_NAMES = tuple(SharedKeys.model_fields)


class CheckedTrigger(msgspec.Struct, frozen=True):
    """A trigger whose configuration is valid. `plain` is the configuration as JSON values, without shared keys."""

    name: str
    type: str
    module: ModuleType
    config: Config
    plain: dict[str, Any]
    shared: SharedKeys


class TriggerRules(msgspec.Struct, frozen=True):
    """What the check of a trigger depends on besides the file. `now` is in microseconds.

    `accepted` are triggers as they stood in a version that was accepted before, by name. What has become wrong with
    one of them only because time went by (a one-time schedule that has fired) is a warning: it must not keep a later
    version from being deployed, or an earlier one from being rolled back to.
    """

    types: Mapping[str, ModuleType]
    now: int
    timezone: str
    accepted: Mapping[str, Any] = {}


def check_triggers(
    document: Document, rules: TriggerRules, warnings: list[str], errors: list[FieldError]
) -> dict[str, CheckedTrigger]:
    """Return the triggers that are valid; add to `errors` what is wrong with the others."""
    found: dict[str, CheckedTrigger] = {}
    triggers = document.value.get("triggers")
    if not isinstance(triggers, dict):
        return found
    if len(triggers) > TRIGGERS_MAX:
        errors.append(document.issue(("triggers",), f"a workflow has at most {TRIGGERS_MAX:,} triggers", key=True))
        return found
    for name, value in triggers.items():
        if isinstance(value, dict):
            trigger = _Check(document, ("triggers", name), rules, warnings, errors).run(value)
            if trigger is not None:
                found[name] = trigger
                warnings += [f"{name}: {line}" for line in _hook(trigger, "warnings", rules.now)]
                if _holds_template(trigger.shared.input):
                    warnings.append(f"{name}: `input` is handed on as it is; fill `${{…}}` in where a job uses it")
    return found


def _holds_template(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(_holds_template(part) for part in (value.values() if isinstance(value, dict) else value))
    return isinstance(value, str) and "${" in value


def _hook(trigger: CheckedTrigger, name: str, now: int) -> list[Any]:
    hook = getattr(trigger.module, name, None)
    return list(hook(trigger.config, now)) if hook is not None else []


class _Check:
    """The check of one trigger."""

    def __init__(
        self, document: Document, path: Path, rules: TriggerRules, warnings: list[str], errors: list[FieldError]
    ) -> None:
        self._document = document
        self._path = path
        self._rules = rules
        self._warnings = warnings
        self._errors = errors

    def _complain(self, below: Path, message: str, *, key: bool = False, suggestion: str | None = None) -> None:
        self._errors.append(self._document.issue((*self._path, *below), message, key=key, suggestion=suggestion))

    def run(self, value: dict[str, Any]) -> CheckedTrigger | None:
        """Return the trigger, or None when it is broken."""
        before = len(self._errors)
        self._check_name()
        known = self._rules.accepted.get(str(self._path[-1])) == value
        module = self._module(value)
        normalize = getattr(module, "normalize", None)
        if normalize is not None:
            value = normalize(value)
        shared = self._shared({key: value[key] for key in SHARED_NAMES if key in value})
        if module is None:
            return None
        config = self._config(module, {key: part for key, part in value.items() if key not in SHARED_NAMES})
        if shared is None or config is None:
            return None
        if shape_of(shared) is not None and not _hears(module):
            self._complain((), f"`{shared.type}` hears no events; their shape goes with triggers that do", key=True)
        plain = config.model_dump(mode="json", by_alias=True, exclude_unset=True)
        trigger = CheckedTrigger(str(self._path[-1]), shared.type, module, config, plain, shared)
        for error in _hook(trigger, "check", self._rules.now):
            if known:
                self._warnings.append(f"{trigger.name}: {error.message}")
            else:
                self._complain(_below(error), error.message, suggestion=error.suggestion)
        return trigger if len(self._errors) == before else None

    def _check_name(self) -> None:
        name = str(self._path[-1])
        if _NAME.fullmatch(name) is None:
            self._complain((), f"`{name}` is not a name; use letters, digits, `_`, `.` and `-`", key=True)

    def _module(self, value: dict[str, Any]) -> ModuleType | None:
        kind = value.get("type")
        if not isinstance(kind, str):
            known = ", ".join(sorted(self._rules.types))
            self._complain(("type",), f"`type` is required; the trigger types are {known}")
            return None
        module = self._rules.types.get(kind)
        absent = [] if module is None else [one for one in getattr(module, "libraries", ()) if find_spec(one) is None]
        if absent and module is not None:
            self._complain(
                ("type",),
                f"`{kind}` needs a library that is not installed (`{absent[0]}`);"
                f" install it where the service runs: pip install 'workflow-scheduler[{module.extras}]'",
            )
        if module is None:
            message, near = type_problem("trigger", kind, self._rules.types, TRIGGER_TYPES)
            self._complain(("type",), message, suggestion=near)
        return module

    def _shared(self, value: dict[str, Any]) -> SharedKeys | None:
        shared = None
        try:
            shared = SharedKeys.model_validate({**value, "type": value.get("type") or "-"})
        except ValidationError as error:
            self._errors += [e for e in explain(error, SharedKeys, self._document, self._path) if _unlike_type(e)]
        condition = value.get("condition")
        if isinstance(condition, str):
            try:
                compile_condition(condition)
            except SchedulerError as error:
                self._complain(("condition",), error.detail)
        problem = None if shared is None else key_problem(shared.overlap)
        if problem is not None:
            self._complain(("overlap", "key"), problem)
        return shared

    def _config(self, module: ModuleType, value: dict[str, Any]) -> Config | None:
        if "timezone" in module.Config.model_fields and "timezone" not in value:
            value = {**value, "timezone": self._rules.timezone}
        kind: type[Config] = module.Config
        try:
            return kind.model_validate(value)
        except ValidationError as error:
            self._errors += explain(error, kind, self._document, self._path, also_known=SHARED_NAMES)
        except SchedulerError as error:
            self._take(error)
        return None

    def _take(self, error: SchedulerError) -> None:
        for part in error.errors:
            self._complain(_below(part), part.message, suggestion=part.suggestion)
        if not error.errors:
            self._complain((), error.detail)


def _hears(module: ModuleType) -> bool:
    """Return whether the events of a type come by themselves, so that there may be too many or too few of them."""
    return bool(module.shape != "timer" and module.name != "manual")


def key_problem(rule: OverlapRule | Concurrency | None) -> str | None:
    """Return what is wrong with the expression by which runs are told apart, or None."""
    if rule is None or rule.key is None:
        return None
    try:
        compile_expression(rule.key, EVENT_VARIABLES)
    except SchedulerError as error:
        return error.detail
    return None


def _unlike_type(error: FieldError) -> bool:
    return not error.field.endswith(".type")


def _below(error: FieldError) -> Path:
    return tuple(error.field.split(".")) if error.field else ()

"""The end of another workflow's run, or the ends of several.

`any` starts a run at each end that qualifies. `all` waits until every required member has ended as asked, `at_least: 2`
until that many of `of` have, and `when: "sales and (stock or costs)"` until that holds; then one run starts, what it
used is consumed, and the next round begins empty. `window` says which ends belong together, `on_miss` what happens when
it is over, and `correlate_by` keeps apart what does not belong together. Short forms: `workflow: sales-etl` with
`condition: on_success | on_failure | on_completion`, `after: [a, b]` for all of them, and `after: "a or b"`. A
cancelled run counts as completion, never as success or failure.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

import re2
from pydantic import BeforeValidator, Field, field_validator, model_validator

from workflow_scheduler.core.dependencies import need as needs
from workflow_scheduler.core.dependencies.rounds import MISSED, Rule
from workflow_scheduler.core.dependencies.window import Kind, Window
from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.match.condition import EVENT_VARIABLES, compile_expression
from workflow_scheduler.core.match.verdict import Predicate, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.model.workflow import NAME_PATTERN, Duration
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example
from workflow_scheduler.core.time import cron as crons
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.clock import SECOND_US

name = "workflow"
title = "After another workflow"
icon = "sitemap"
shape = "internal"
since = "0.1"
extras = ""

short_fields: dict[str, Any] = {
    "workflow": {"type": "string", "title": "Workflow", "description": "Short for `any` with one member."},
    "after": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": ["string", "object"]}}],
        "title": "After",
        "description": "Short for `all`; a text with `and` or `or` is short for `when`.",
    },
}
_MEMBERS_MAX = 100
_LENGTH_MAX = 3_660 * 86_400.0
_WANTED = {
    "on_success": (RunStatus.SUCCEEDED.value,),
    "on_failure": (RunStatus.FAILED.value,),
    "on_completion": (RunStatus.SUCCEEDED.value, RunStatus.FAILED.value, RunStatus.CANCELLED.value),
}


class Member(BaseConfig):
    """One workflow that is waited for."""

    workflow: str = Field(
        pattern=NAME_PATTERN,
        title="Workflow",
        description="Its name.",
        json_schema_extra={"ui": {"widget": "workflow"}},
    )
    condition: Literal["on_success", "on_failure", "on_completion"] = Field(
        default="on_success", title="Counts when", description="How its run must end.",
    )  # fmt: skip
    required: bool = Field(
        default=True, title="Required", description="Whether it is waited for; if not, its end is only handed on."
    )
    name: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        title="Name",
        description="What `when` and the input of the run call it, if not by its workflow.",
    )

    @property
    def key(self) -> str:
        """What it is called among the members."""
        return self.name or self.workflow


def _members(value: object) -> object:
    values = [value] if isinstance(value, (str, dict)) else value
    if not isinstance(values, (list, tuple)):
        return value
    return tuple({"workflow": one} if isinstance(one, str) else one for one in values)


Members = Annotated[
    tuple[Member, ...],
    BeforeValidator(_members, json_schema_input_type=list[str | Member]),
    Field(min_length=1, max_length=_MEMBERS_MAX),
]


_CLOCK = r"^([01]?\d|2[0-3]):([0-5]\d)$"


class WindowConfig(BaseConfig):
    """Which ends belong together."""

    kind: Kind = Field(
        default=Kind.SLIDING,
        title="Kind",
        description="sliding: no end is older than `length` when the newest comes. tumbling: one window after the "
        "other. deadline: all by a time, or within `length` of the first. session: each within `length` of the last.",
    )
    length: Annotated[Duration, Field(gt=0, le=_LENGTH_MAX)] | None = Field(
        default=None, title="Length", description="For example 6h; windows of whole days begin at midnight."
    )
    by: str | None = Field(
        default=None, max_length=200, title="By", description="deadline: a time of day, `08:00`, or a cron expression."
    )
    timezone: str = Field(default="UTC", title="Time zone", description="Of `by`, and of windows of whole days.")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> WindowConfig:
        if (self.length is None) == (self.by is None):
            raise ValueError("write `length`, or for a deadline `by`")
        if self.by is not None and self.kind is not Kind.DEADLINE:
            raise ValueError("`by` belongs to `kind: deadline`")
        try:
            zones.load(self.timezone)
            _ = self.by is None or crons.parse(_expression(self.by))
        except ValidationFailed as error:
            raise ValueError(error.detail) from None
        return self

    @property
    def window(self) -> Window:
        """The window as rounds are measured by it."""
        by = None if self.by is None else _expression(self.by)
        return Window(self.kind, round((self.length or 0) * SECOND_US), by, self.timezone)


def _expression(by: str) -> str:
    found = re2.match(_CLOCK, by.strip())
    return f"{int(found[2])} {int(found[1])} * * *" if found else by


def _window(value: object) -> object:
    return {"length": value} if isinstance(value, (str, int, float)) else value


class Config(BaseConfig):
    """Which workflows' ends start this one: `any`, `all`, `at_least` or `when`, or a short form."""

    any: Members | None = Field(
        default=None,
        title="Any of",
        description="Each qualifying end starts a run.",
        json_schema_extra={"ui": {"widget": "members"}},
    )
    all: Members | None = Field(
        default=None,
        title="All of",
        description="One run when all required members have ended as asked.",
        json_schema_extra={"ui": {"widget": "members"}},
    )
    of: Members | None = Field(
        default=None,
        title="Of",
        description="The members of `at_least`; for `when`, those that are not waited for by default.",
        json_schema_extra={"ui": {"widget": "members"}},
    )
    at_least: int | None = Field(
        default=None, ge=1, le=_MEMBERS_MAX, title="At least", description="How many members of `of` must have ended."
    )
    when: str | None = Field(
        default=None,
        min_length=1,
        max_length=needs.TEXT_MAX,
        title="When",
        description="Members joined by `and`, `or`, parentheses and `at_least(2, a, b, c)`.",
    )
    correlate_by: str | None = Field(
        default=None,
        max_length=2_000,
        title="Correlate by",
        description="CEL over `event`: only ends with the same value come together; `event.data.output.day`, say.",
        json_schema_extra={"ui": {"widget": "expression"}},
    )
    window: (
        Annotated[WindowConfig, BeforeValidator(_window, json_schema_input_type=str | float | WindowConfig)] | None
    ) = Field(default=None, title="Window", description="Which ends belong together; `6h` is a sliding window.")
    on_miss: Literal["forget", "run", "tell"] = Field(
        default="forget",
        title="When missed",
        description="A window is over and members are missing: forget what came, run with it, or tell it by the event "
        "`dependency_missed`.",
    )

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, value: Any) -> Any:
        return normalize(value) if isinstance(value, dict) else value

    @field_validator("correlate_by")
    @classmethod
    def _compiles(cls, text: str | None) -> str | None:
        try:
            _ = text is None or compile_expression(text, EVENT_VARIABLES)
        except ValidationFailed as error:
            raise ValueError(error.detail) from None
        return text

    @model_validator(mode="after")
    def _is_one_rule(self) -> Config:
        if sum(part is not None for part in (self.any, self.all, self.at_least, self.when)) != 1:
            raise ValueError("write one of `any`, `all`, `at_least` and `when`, or `workflow: NAME`")
        if (self.of is None) == (self.at_least is not None) and self.when is None:
            raise ValueError("`at_least` and `when` take their members from `of`")
        joins = self.any is None
        for field in ("window", "correlate_by"):
            if getattr(self, field) is not None and not joins:
                raise ValueError(f"`{field}` belongs to `all`, `at_least` and `when`")
        if self.on_miss != "forget" and self.window is None:
            raise ValueError("`on_miss` needs a `window`")
        keys = [member.key for member in self.members]
        if joins and len(set(keys)) != len(keys):
            raise ValueError("a workflow can be a member only once; give one of the two a `name`")
        if joins and not any(member.required for member in self.members):
            raise ValueError("at least one member must be required")
        if joins and len(keys) > _MEMBERS_MAX:
            raise ValueError(f"at most {_MEMBERS_MAX} members can be waited for")
        if joins and self.rule.need.count > len(self.rule.need.parts):
            raise ValueError("`at_least` is more than the number of required members in `of`")
        return self

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Every member, also those that only `when` names."""
        listed = self.any or self.all or self.of or ()
        if self.when is None:
            return listed
        known = {member.key for member in listed}
        return (*listed, *(Member(workflow=name) for name in needs.read(self.when).names if name not in known))

    @property
    def mode(self) -> str:
        """`any`, `all`, `at_least` or `when`."""
        return next(name for name in ("any", "all", "at_least", "when") if getattr(self, name) is not None)

    @cached_property
    def rule(self) -> Rule:
        """What a round must hold."""
        waited = tuple(member.key for member in self.members if member.required)
        if self.when is not None:
            need = needs.read(self.when)
            waited = need.names
        else:
            need = needs.Need(len(waited) if self.at_least is None else self.at_least, waited)
        return Rule(
            need=need,
            label=self.mode,
            handed=tuple(member.key for member in self.members if member.key not in waited),
            window=None if self.window is None else self.window.window,
            on_miss=self.on_miss,
            correlate_by=self.correlate_by,
        )


def normalize(value: dict[str, Any]) -> dict[str, Any]:
    """Return the long form of a configuration; what is no short form stays as it is.

    `condition` is a key that every trigger has (CEL); a word that begins with `on_` belongs to the short form.
    """
    short, long = ("workflow", "any") if "workflow" in value else ("after", "all")
    if short not in value or long in value:
        return value
    if short == "after" and isinstance(value[short], str) and re2.search(r"[\s(]", value[short]):
        return {"when" if key == short else key: part for key, part in value.items()}
    rest = {key: part for key, part in value.items() if key != short}
    shared: dict[str, Any] = {}
    condition = rest.get("condition")
    if isinstance(condition, str) and condition.startswith("on_") and condition.isidentifier():
        shared["condition"] = rest.pop("condition")
    members = _members(value[short])
    if isinstance(members, tuple):
        members = tuple({**shared, **one} if isinstance(one, dict) else one for one in members)
    return {**rest, long: members}


_END = {
    "workflow_id": "0197f0c2-7d3a-7000-8000-000000000001",
    "workflow_name": "sales-etl",
    "workflow_version": 3,
    "run_id": "0197f0c2-7d3a-7000-8000-000000000002",
    "status": "SUCCEEDED",
    "trigger_type": "cron",
    "started_at": "2027-03-14T07:30:00Z",
    "ended_at": "2027-03-14T07:31:00Z",
    "output": {"rows": 1042},
    "error": None,
}
_SUCCESS = {"type": "workflow_completed", "subject": _END["workflow_id"], "data": _END}
examples = (
    Example(title="After one workflow", config={"workflow": "sales-etl", "condition": "on_success"}, event=_SUCCESS),
    Example(
        title="After both, within six hours",
        config={
            "window": "6h",
            "all": [{"workflow": "sales-etl"}, {"workflow": "customer-etl", "condition": "on_completion"}],
        },
        event=_SUCCESS,
    ),
    Example(
        title="After two of three of the same day, by eight in the morning, and then with what is there",
        config={
            "at_least": 2,
            "of": ["sales-etl", "customer-etl", "stock-etl"],
            "correlate_by": "event.data.output.day",
            "window": {"kind": "deadline", "by": "08:00", "timezone": "Europe/Berlin"},
            "on_miss": "run",
        },
        event={**_SUCCESS, "data": {**_END, "output": {"day": "2027-03-14"}}},
    ),
    Example(
        title="After an expression over several",
        config={"when": "sales-etl and (customer-etl or stock-etl)", "window": "6h"},
        event=_SUCCESS,
    ),
    Example(
        title="When any of two fails",
        config={
            "any": [
                {"workflow": "sales-etl", "condition": "on_failure"},
                {"workflow": "customer-etl", "condition": "on_failure"},
            ]
        },
        event={"type": "workflow_failed", "data": {**_END, "status": "FAILED", "output": None}},
    ),
)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the names of the workflows that are waited for."""
    return tuple(dict.fromkeys(member.workflow for member in config.members))


def rule(config: Config) -> Rule | None:
    """Return what a round must hold; None where each end starts a run of its own."""
    return None if config.any is not None else config.rule


def arrives(config: Config, event: EventView) -> tuple[str, ...]:
    """Return the members that an event is the end of, and that it counts for."""
    data = event.data if isinstance(event.data, dict) else {}
    ended, status = _text(data, "workflow_name"), _text(data, "status")
    return tuple(
        member.key for member in config.members if member.workflow == ended and status in _WANTED[member.condition]
    )


def matches(config: Config, event: EventView) -> Verdict:
    """Return whether the event is the end of a member that counts; completing a round is the pipeline's part."""
    data = event.data if isinstance(event.data, dict) else {}
    if event.event.type == MISSED:
        return Verdict(result=True, predicates=(Predicate("window", "over", "over", verdict=True),))
    ended, status = _text(data, "workflow_name"), _text(data, "status")
    members = [member for member in config.members if member.workflow == ended]
    wanted = [member.workflow for member in config.members]
    known = None if ended is None else bool(members)
    lines = [Predicate("workflow", wanted, ended, known, None if ended else "`workflow_name` is missing")]
    if not members:
        return Verdict(result=known, predicates=tuple(lines))
    conditions = list(dict.fromkeys(member.condition for member in members))
    fits = None if status is None else any(status in _WANTED[condition] for condition in conditions)
    expected = conditions[0] if len(conditions) == 1 else conditions
    lines.append(Predicate("condition", expected, status, fits, None if status else "`status` is missing"))
    return Verdict(result=fits, predicates=tuple(lines))


def _text(data: dict[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None

"""The end of another workflow's run, or the ends of several.

`any` starts a run at each end that qualifies. `all` waits until every required member has ended as asked, inside
`window` if one is given, starts one run, and begins anew. Short forms: `workflow: sales-etl` with `condition:
on_success | on_failure | on_completion`, and `after: [a, b]` for all of them. A cancelled run counts as completion,
never as success or failure.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from workflow_scheduler.core.match.verdict import Predicate, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.model.workflow import NAME_PATTERN, Duration
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example

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
        "description": "Short for `all`.",
    },
}
_MEMBERS_MAX = 100
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
        default=True, title="Required", description="Whether `all` waits for it; if not, its end is only handed on."
    )


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


class Config(BaseConfig):
    """Which workflows' ends start this one; exactly one of `any` and `all`, or a short form."""

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
    window: Duration | None = Field(
        default=None, gt=0, title="Window", description="`all`: how far apart the ends may be, for example 6h."
    )

    @model_validator(mode="before")
    @classmethod
    def _long_form(cls, value: Any) -> Any:
        return normalize(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _is_one_rule(self) -> Config:
        if (self.any is None) == (self.all is None):
            raise ValueError("write either `any` or `all` with a list of workflows, or `workflow: NAME`")
        if self.window is not None and self.all is None:
            raise ValueError("`window` belongs to `all`")
        names = [member.workflow for member in self.members]
        if self.all is not None and len(set(names)) != len(names):
            raise ValueError("a workflow can be a member of `all` only once")
        if self.all is not None and not any(member.required for member in self.all):
            raise ValueError("at least one member of `all` must be required")
        return self

    @property
    def members(self) -> tuple[Member, ...]:
        """The members of whichever list is there."""
        return self.any or self.all or ()

    @property
    def mode(self) -> str:
        """`any` or `all`."""
        return "any" if self.any is not None else "all"


def normalize(value: dict[str, Any]) -> dict[str, Any]:
    """Return the long form of a configuration; what is no short form stays as it is.

    `condition` is a key that every trigger has (CEL); a word that begins with `on_` belongs to the short form.
    """
    short, long = ("workflow", "any") if "workflow" in value else ("after", "all")
    if short not in value or long in value:
        return value
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


def matches(config: Config, event: EventView) -> Verdict:
    """Return whether the event is the end of a member that counts; completing an `all` is the pipeline's part."""
    data = event.data if isinstance(event.data, dict) else {}
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

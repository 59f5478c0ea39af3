"""Started by a person or a program, by name. The caller's identity is kept with the run.

A workflow needs no manual trigger to be started by hand; one that it has sets the rules, for example that the caller
must confirm. `POST /api/v1/triggers/workflows/{workflow}/manual` starts it, as `workflow-scheduler run` does.
"""

from __future__ import annotations

from pydantic import Field

from workflow_scheduler.core.match.verdict import TRUE, Predicate, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example

name = "manual"
title = "By hand"
icon = "hand-pointer"
shape = "internal"
since = "0.1"
extras = ""


class Config(BaseConfig):
    """When a person or a program starts the workflow."""

    require_confirmation: bool = Field(
        default=False,
        title="Ask for a confirmation",
        description="Start only when the caller says that it is meant (`confirm: true`, or `--yes`).",
        json_schema_extra={"ui": {"widget": "switch"}},
    )


_EVENT = {
    "type": "manual",
    "data": {
        "trigger_type": "MANUAL",
        "user_id": "ada",
        "trigger_time": "2027-03-14T07:30:00Z",
        "input": {"region": "eu"},
    },
    "attributes": {"user_id": "ada", "role": "owner", "confirmed": True, "method": "api_key"},
}
examples = (
    Example(title="Anyone may start it", config={}, event=_EVENT),
    Example(title="The caller must confirm", config={"require_confirmation": True}, event=_EVENT),
)


def index_keys(config: Config) -> tuple[str, ...]:  # noqa: ARG001 - the contract of trigger types
    """Return no key: a manual start names its workflow."""
    return ()


def matches(config: Config, event: EventView) -> Verdict:
    """Return true, unless a confirmation is wanted and was not given."""
    if not config.require_confirmation:
        return TRUE
    attributes = event.attributes
    confirmed = attributes.get("confirmed") is True if isinstance(attributes, dict) else False
    line = Predicate("confirmation", expected=True, actual=confirmed, verdict=confirmed)
    return Verdict(result=confirmed, predicates=(line,))

"""An internal event of this system, or a CloudEvent that was posted to `/api/v1/events`.

Internal events are `workflow_completed`, `workflow_failed`, `workflow_cancelled`, `workflow_deployed`,
`run_paused`, `approval_pending`, `trigger_failed`, `source_down`, `source_up`, `credentials_expiring`,
`dependency_missed`, `dead_letter`, `user_created` and `api_key_created`; `event` names one, several, or a pattern such
as `order.*`. `filter` looks into the data: each key is a path (`customer.country`), each value the wanted value, a
pattern for text (`critical_*`), or a list of which one must fit.
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field, field_validator

from workflow_scheduler.core.match.fast import MISSING, fetch
from workflow_scheduler.core.match.fields import as_tuple
from workflow_scheduler.core.match.name import compile_name, is_pattern
from workflow_scheduler.core.match.verdict import Predicate, Verdict, conjunction
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.system_event import SYSTEM_EVENTS
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example

name = "event"
title = "Event"
icon = "bolt"
shape = "internal"
since = "0.1"
extras = ""

ANY = "*"
_NEAR = 0.85
_FILTERS_MAX = 50


def _flat(value: object, prefix: str = "") -> object:
    """Turn nested mappings of a filter into dotted paths."""
    if not isinstance(value, dict):
        return value
    flat: dict[str, Any] = {}
    for key, part in value.items():
        path = f"{prefix}{key}"
        below = _flat(part, path + ".") if isinstance(part, dict) and part else {path: part}
        assert isinstance(below, dict)
        flat.update(below)
    return flat


Names = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
    BeforeValidator(as_tuple, json_schema_input_type=str | list[str]),
]


class Config(BaseConfig):
    """Which events start the workflow."""

    event: Names = Field(
        validation_alias=AliasChoices("event", "event_type", "event_types", "events"),
        min_length=1,
        title="Event types",
        description="A type, a pattern such as `order.*`, or a list of them.",
        json_schema_extra={"ui": {"widget": "tags", "placeholder": "workflow_failed"}},
    )
    source: Names = Field(
        default=(),
        title="Sources",
        description="Where the event comes from; a name, a pattern, or a list of them. None: anywhere.",
        json_schema_extra={"ui": {"widget": "tags"}},
    )
    filter: Annotated[dict[str, Any], BeforeValidator(_flat)] = Field(
        default_factory=dict,
        max_length=_FILTERS_MAX,
        title="Filter",
        description="Path in the data: wanted value, pattern, or a list of which one must fit.",
        json_schema_extra={"ui": {"widget": "key-value"}},
    )

    @field_validator("event", "source")
    @classmethod
    def _compiles(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for one in names:
            compile_name(one)
        return names

    @field_validator("filter")
    @classmethod
    def _filters_compile(cls, wanted: dict[str, Any]) -> dict[str, Any]:
        for value in wanted.values():
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str):
                    compile_name(one)
        return wanted


_FAILED: dict[str, Any] = {
    "type": "workflow_failed",
    "source": "/system/workflows",
    "subject": "0197f0c2-7d3a-7000-8000-000000000001",
    "data": {
        "workflow_id": "0197f0c2-7d3a-7000-8000-000000000001",
        "workflow_name": "critical_billing",
        "workflow_version": 3,
        "run_id": "0197f0c2-7d3a-7000-8000-000000000002",
        "status": "FAILED",
        "trigger_type": "cron",
        "started_at": "2027-03-14T07:30:00Z",
        "ended_at": "2027-03-14T07:31:00Z",
        "error": {"code": "exit", "message": "the command ended with status 1"},
        "output": None,
    },
}
_ORDER = {
    "type": "order.paid",
    "source": "/shop/eu",
    "subject": "order/1042",
    "data": {"id": 1042, "amount": 99.5, "customer": {"country": "DE", "tier": "gold"}},
}
examples = (
    Example(
        title="A critical workflow has failed",
        config={"event": "workflow_failed", "filter": {"workflow_name": "critical_*"}},
        event=_FAILED,
    ),
    Example(
        title="A large order from two countries",
        config={
            "event": "order.*",
            "source": "/shop/*",
            "filter": {"customer.country": ["DE", "AT"], "customer": {"tier": "gold"}},
        },
        event=_ORDER,
    ),
)


def warnings(config: Config, now: int) -> list[str]:  # noqa: ARG001 -- the contract of trigger types
    """Return what would never be heard: types that look like misspelt internal ones, fields these do not have."""
    found = []
    for one in config.event:
        near = difflib.get_close_matches(one, SYSTEM_EVENTS, 1, _NEAR)
        if near and one != near[0] and not is_pattern(one):
            found.append(f"`{one}` is no event of this system, did you mean `{near[0]}`?")
    if set(config.event) <= set(SYSTEM_EVENTS):
        known = dict.fromkeys(field for one in config.event for field in SYSTEM_EVENTS[one])
        roots = {path.removeprefix("event.").removeprefix("data.").split(".")[0] for path in config.filter}
        listed = ", ".join(known)
        found += [
            f"these events have no `{one}` to filter by; they have {listed}" for one in sorted(roots - set(known))
        ]
    return found


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the exact types, and `*` where one is a pattern."""
    return tuple(dict.fromkeys(ANY if is_pattern(one) else one for one in config.event))


def event_index_keys(event_type: str) -> tuple[str, ...]:
    """Return where the triggers of an event of this type are found."""
    return (event_type, ANY)


def matches(config: Config, event: EventView) -> Verdict:
    """Compare type, source and data; a path that is not in the data is unknown."""
    lines = [_name_line("type", config.event, event.event.type)]
    if config.source:
        lines.append(_name_line("source", config.source, event.event.source))
    if config.filter and lines[0].verdict:
        data = event.data
        lines += [_filter_line(path, wanted, data) for path, wanted in config.filter.items()]
    return conjunction(lines)


def _name_line(what: str, wanted: tuple[str, ...], actual: str) -> Predicate:
    fits = any(compile_name(one)(actual) for one in wanted)
    return Predicate(what, expected=wanted[0] if len(wanted) == 1 else list(wanted), actual=actual, verdict=fits)


def _filter_line(path: str, wanted: Any, data: Any) -> Predicate:
    whole = {"data": data}
    parts = tuple(path.removeprefix("event.").removeprefix("data.").split("."))
    value = fetch(whole, ("data", *parts))
    if value is MISSING and isinstance(data, dict):
        value = data.get(path, MISSING)
    line = f"filter {path}"
    if value is MISSING:
        return Predicate(line, expected=wanted, actual=None, verdict=None, note=f"`{path}` is missing in the data")
    options = wanted if isinstance(wanted, list) else [wanted]
    shown = value if isinstance(value, (str, int, float, bool, type(None))) else f"a {type(value).__name__}"
    return Predicate(line, expected=wanted, actual=shown, verdict=any(_fits(one, value) for one in options))


def _fits(wanted: Any, value: Any) -> bool:
    if isinstance(value, list) and not isinstance(wanted, list):
        return any(_fits(wanted, one) for one in value if not isinstance(one, list))
    if isinstance(wanted, str):
        return isinstance(value, str) and compile_name(wanted)(value)
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    return bool(wanted == value)

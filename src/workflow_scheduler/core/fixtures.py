"""Fixtures: stored events without their secrets, with what each trigger is to make of them.

They are files beside the definitions: `trigger check` judges them without a service. What is expected is whether the
filters and the condition of a trigger let an event through; what the state of a service adds to that (an earlier run
that is under way, members that are missing) is no matter of the definition.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.inbound.scrub import Scrubbed
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.reasons import Outcome
from workflow_scheduler.core.time.clock import from_iso

MARK = "fixture"
VERSION = 1
_KEPT = ("provider", "source", "type", "subject", "time", "received_at", "data", "attributes", "index_keys", "sub_keys")
_LET_THROUGH = frozenset(Outcome) - {Outcome.FILTERED, Outcome.HELD, Outcome.DUPLICATE}


class Fixture(msgspec.Struct, frozen=True):
    """An event and what is expected: `WORKFLOW/TRIGGER` -> whether it lets the event through; None: nothing is."""

    event: Event
    expect: Mapping[str, bool] | None


def made(
    event: Mapping[str, Any], decisions: Collection[Mapping[str, Any]], hidden: Collection[str] = ()
) -> tuple[dict[str, Any], list[str]]:
    """Return the fixture of an event as the API shows it with its decisions, and where secrets were taken out.

    `hidden` are further paths in the event, such as `data.customer.email`.
    """
    kept = {name: event[name] for name in _KEPT if event.get(name) not in (None, {}, [])}
    clean = Scrubbed(kept, hidden)
    expect = {
        f"{one['workflow']}/{one['trigger']}": lets_through(one["outcome"])
        for one in decisions
        if one.get("workflow") and one.get("trigger") and one["outcome"] != Outcome.DUPLICATE
    }
    return {MARK: VERSION, "event": clean.value, "expect": dict(sorted(expect.items()))}, clean.paths


def lets_through(outcome: str) -> bool:
    """Return whether an outcome says that filters and condition let the event through."""
    return outcome in _LET_THROUGH


def is_fixture(value: Any) -> bool:
    """Return whether the content of a file is a fixture."""
    return isinstance(value, dict) and MARK in value


def read(value: Mapping[str, Any]) -> Fixture:
    """Return the fixture that a file holds.

    Raises:
        ValidationFailed: it is none, or of a later version.

    """
    event, expect = value.get("event"), value.get("expect")
    if value.get(MARK) != VERSION:
        raise _wrong(MARK, f"`{MARK}` must be {VERSION}")
    if not isinstance(event, dict) or not isinstance(event.get("provider"), str):
        raise _wrong("event", "`event` must be an object with `provider`, `type` and `data`")
    if expect is not None and not (isinstance(expect, dict) and all(isinstance(one, bool) for one in expect.values())):
        raise _wrong("expect", "`expect` must be an object: WORKFLOW/TRIGGER to true or false")
    at = _instant(event.get("time"))
    found = Event(
        id="fixture",
        tenant_id="local",
        provider=event["provider"],
        source=str(event.get("source") or "fixture"),
        type=str(event.get("type") or event["provider"]),
        subject=None if event.get("subject") is None else str(event["subject"]),
        event_key="fixture",
        time=at,
        received_at=_instant(event.get("received_at")) or at,
        data=msgspec.json.encode(event.get("data")),
        attributes=msgspec.json.encode(event.get("attributes") or {}),
        index_keys=_texts(event, "index_keys"),
        sub_keys=_texts(event, "sub_keys") or ("",),
    )
    return Fixture(found, expect)


def _texts(event: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = event.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong(f"event.{name}", f"`{name}` must be a list of texts")
    return tuple(value)


def _instant(given: Any) -> int:
    if given is None:
        return 0
    try:
        return from_iso(str(given))
    except (ValueError, OverflowError):
        raise _wrong("event.time", "times must be ISO 8601, for example 2027-03-14T07:30:00Z") from None


def _wrong(field: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(field, message)])

"""Triggers on events: types, sources and filters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.testing.hearing import plain_event
from workflow_scheduler.triggers import event as events
from workflow_scheduler.triggers import manual

DATA = {
    "workflow_name": "critical_billing", "attempt": 3, "final": True, "tags": ["eu", "night"], "user": {"plan": "pro"},
    "none": None, "a.b": 1,
}  # fmt: skip


def view(kind: str = "workflow_failed", source: str = "/system/workflows", data: Any = DATA) -> EventView:
    return EventView(plain_event("event", type=kind, source=source, data=json.dumps(data).encode()))


def judge(config: dict[str, Any], **given: Any) -> bool | None:
    return events.matches(events.Config.model_validate(config), view(**given)).result


@pytest.mark.parametrize(
    ("wanted", "kind", "expected"),
    [
        ("workflow_failed", "workflow_failed", True),
        ("workflow_failed", "workflow_completed", False),
        ("workflow_*", "workflow_completed", True),
        (["a", "workflow_failed"], "workflow_failed", True),
        (["a", "b"], "workflow_failed", False),
    ],
)
def test_types(wanted: Any, kind: str, expected: bool) -> None:
    assert judge({"event": wanted}, kind=kind) is expected
    assert judge({"event_type": wanted}, kind=kind) is expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"workflow_name": "critical_*"}, True),
        ({"workflow_name": "minor_*"}, False),
        ({"workflow_name": ["x", "critical_*"]}, True),
        ({"workflow_name": []}, False),
        ({"attempt": 3}, True),
        ({"attempt": [1, 2]}, False),
        ({"attempt": "3"}, False),
        ({"attempt": True}, False),
        ({"final": True}, True),
        ({"final": 1}, False),
        ({"none": None}, True),
        ({"tags": "eu"}, True),
        ({"tags": "us"}, False),
        ({"user.plan": "pro"}, True),
        ({"user": {"plan": "pro"}}, True),
        ({"data.user.plan": "p*"}, True),
        ({"event.data.user.plan": "p*"}, True),
        ({"a.b": 1}, True),
        ({"missing": "x"}, None),
        ({"workflow_name.deeper": "x"}, None),
        ({"missing": "x", "attempt": 4}, False),
    ],
)
def test_filters(filters: dict[str, Any], expected: bool | None) -> None:
    assert judge({"event": "workflow_failed", "filter": filters}) is expected


def test_sources() -> None:
    assert judge({"event": "*", "source": "/system/*"}) is True
    assert judge({"event": "*", "source": ["/x", "/y"]}) is False


def test_a_missing_path_says_so() -> None:
    verdict = events.matches(events.Config.model_validate({"event": "*", "filter": {"x.y": 1}}), view())
    assert verdict.predicates[-1].note == "`x.y` is missing in the data"


def test_keys() -> None:
    keys = events.index_keys(events.Config.model_validate({"event": ["a", "b.*", "c?", "a"]}))
    assert keys == ("a", "*")
    assert set(events.event_index_keys("b.x")) & set(keys)


@pytest.mark.parametrize(
    "bad",
    [{}, {"event": []}, {"event": ""}, {"event": "x", "filtre": {}}, {"event": "x" * 201}, {"event": "x", "filter": 7},
     {"event": "x", "filter": {"a": "*" * 2_000 + "?"}}],
)  # fmt: skip
def test_configurations_that_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        events.Config.model_validate(bad)


@pytest.mark.parametrize(
    ("attributes", "expected"), [(b'{"confirmed":true}', True), (b'{"confirmed":1}', False), (b"{}", False)]
)
def test_a_manual_start_may_want_a_confirmation(attributes: bytes, expected: bool) -> None:
    start = EventView(plain_event("manual", attributes=attributes))
    verdict = manual.matches(manual.Config(require_confirmation=True), start)
    assert verdict.result is expected
    assert verdict.predicates[0].name == "confirmation"
    assert manual.matches(manual.Config(), start).result is True
    assert manual.index_keys(manual.Config()) == ()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"event": "workflow_faild"}, "did you mean `workflow_failed`?"),
        ({"event": "workflow_failed", "filter": {"nope": "x"}}, "have no `nope` to filter by; they have workflow_id"),
        ({"event": ["workflow_failed"], "filter": {"workflow_name": "x", "error.code": "x"}}, None),
        ({"event": ["order.paid", "workflow_failed"], "filter": {"amount": 1}}, None),
        ({"event": "workflow_*"}, None),
    ],
)
def test_what_would_never_be_heard_is_warned_of(given: dict[str, Any], words: str | None) -> None:
    found = events.warnings(events.Config.model_validate(given), 0)
    assert found == [] if words is None else words in found[0]

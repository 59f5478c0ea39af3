"""Triggers on the end of other workflows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.triggers import workflow


def end(name: Any, status: Any) -> EventView:
    data = json.dumps({"workflow_name": name, "status": status}).encode()
    return EventView(
        Event(
            id="e",
            tenant_id="t",
            provider="workflow",
            source="s",
            type="x",
            event_key="k",
            time=0,
            received_at=0,
            data=data,
        )
    )


def config(**values: Any) -> workflow.Config:
    return workflow.Config.model_validate(values)


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ("on_success", {"SUCCEEDED"}),
        ("on_failure", {"FAILED"}),
        ("on_completion", {"SUCCEEDED", "FAILED", "CANCELLED"}),
    ],
)
def test_how_a_run_must_end(condition: str, fits: set[str]) -> None:
    rule = config(workflow="a", condition=condition)
    for status in ("SUCCEEDED", "FAILED", "CANCELLED", "RUNNING"):
        assert workflow.matches(rule, end("a", status)).result is (status in fits)
    assert workflow.matches(rule, end("b", "SUCCEEDED")).result is False
    assert workflow.matches(rule, end("a", None)).result is None
    assert workflow.matches(rule, end(None, "FAILED")).result is None


def test_members_of_all_qualify_one_by_one() -> None:
    rule = config(all=["a", {"workflow": "b", "condition": "on_failure", "required": False}], window="6h")
    assert rule.window is not None
    assert rule.window.length == 21_600
    assert workflow.matches(rule, end("a", "SUCCEEDED")).result is True
    assert workflow.matches(rule, end("b", "FAILED")).result is True
    assert workflow.matches(rule, end("b", "SUCCEEDED")).result is False
    assert workflow.index_keys(rule) == ("a", "b")
    assert [member.required for member in rule.all or ()] == [True, False]


def test_the_same_workflow_twice_in_any() -> None:
    rule = config(any=[{"workflow": "a"}, {"workflow": "a", "condition": "on_failure"}])
    assert workflow.matches(rule, end("a", "FAILED")).result is True
    assert workflow.matches(rule, end("a", "CANCELLED")).result is False
    assert workflow.index_keys(rule) == ("a",)


def test_short_forms() -> None:
    assert config(workflow="a", condition="on_failure") == config(any=[{"workflow": "a", "condition": "on_failure"}])
    assert config(after="a") == config(all=["a"])
    assert config(after=["a", "b"], condition="on_completion").members[1].condition == "on_completion"
    assert workflow.normalize({"workflow": "a", "condition": "event.data.x"}) == {
        "any": ({"workflow": "a"},),
        "condition": "event.data.x",
    }


def test_the_stored_form_reads_back() -> None:
    rule = config(workflow="a", condition="on_failure")
    stored = rule.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert stored == {"any": [{"workflow": "a", "condition": "on_failure"}]}
    assert workflow.Config.model_validate(stored) == rule


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"any": []},
        {"any": ["a"], "all": ["b"]},
        {"any": ["a"], "window": "1h"},
        {"all": ["a", "a"]},
        {"all": [{"workflow": "a", "required": False}]},
        {"workflow": "a", "condition": "on_sucess"},
        {"after": []},
        {"any": ["a"], "workflow": "b"},
        {"any": 7},
        {"any": [7]},
        {"workflow": "a b"},
    ],
)
def test_configurations_that_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        workflow.Config.model_validate(bad)

"""Every trigger type that is found passes the suite of trigger types."""

from __future__ import annotations

from typing import Any

import pytest

from workflow_scheduler.core.definition.trigger_check import SHARED_NAMES
from workflow_scheduler.core.registry import discover
from workflow_scheduler.testing.conformance.trigger_type import TriggerTypeConformance

FOUND = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")


@pytest.fixture(params=sorted(FOUND))
def trigger_type(request: Any) -> Any:
    return FOUND[request.param]


class TestTriggerTypes(TriggerTypeConformance):
    """The suite over every member."""


def test_the_types_of_the_spine_are_there() -> None:
    assert {"manual", "cron", "interval", "once", "rrule", "webhook", "github", "workflow", "event"} <= set(FOUND)


def test_no_type_has_a_field_that_every_trigger_has() -> None:
    ours = {name: set(module.Config.model_fields) & set(SHARED_NAMES) for name, module in FOUND.items()}
    assert {name: fields for name, fields in ours.items() if fields} == {}

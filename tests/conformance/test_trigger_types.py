"""Every trigger type that is found passes the suite of trigger types."""

from __future__ import annotations

from typing import Any

import pytest

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

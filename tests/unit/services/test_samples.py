"""Sample events."""

import pytest

from workflow_scheduler.app import trigger_types
from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.model.system_event import SYSTEM_EVENTS
from workflow_scheduler.services.samples import sample_of, samples


def test_there_is_a_sample_of_every_event_that_the_system_tells_and_of_every_trigger_type():
    found = samples(trigger_types())
    assert set(SYSTEM_EVENTS) | set(trigger_types()) <= set(found)
    for name, fields in SYSTEM_EVENTS.items():
        assert set(found[name]["data"]) >= set(fields) or name == "workflow_failed"
        assert found[name]["type"] == name


def test_a_sample_that_does_not_exist_is_told_with_the_nearest():
    with pytest.raises(NotFound, match="did you mean `workflow_failed`"):
        sample_of("workflow_faild", trigger_types())

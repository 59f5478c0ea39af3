"""What a file may say about the shape of a trigger, and what is said about what it may not."""

import pytest

from workflow_scheduler.core.definition.check import inspect
from workflow_scheduler.core.definition.load import read
from workflow_scheduler.core.errors import DefinitionInvalid
from workflow_scheduler.core.registry import discover
from workflow_scheduler.core.shaping.fields import ShapeFields, shape_of
from workflow_scheduler.core.shaping.shape import Gather, Rate, Shape, Unique

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("written", "shape"),
    [
        ({}, None),
        ({"debounce": "30s"}, Shape(gather=Gather("debounce", 30 * SECOND))),
        ({"batch": 50}, Shape(gather=Gather("batch", 60 * SECOND, size=50))),
        ({"absence": "1h"}, Shape(gather=Gather("absence", 3600 * SECOND))),
        ({"threshold": {"count": 3, "window": "1m"}}, Shape(gather=Gather("threshold", 60 * SECOND, size=3))),
        ({"throttle": "10/m"}, Shape(throttle=Rate(10, 60 * SECOND))),
        (
            {"rate_limit": {"rate": "5/10s", "scope": "workflow"}},
            Shape(rate_limit=Rate(5, 10 * SECOND, scope="workflow")),
        ),
        ({"unique": "event.data.id"}, Shape(unique=Unique("event.data.id", 600 * SECOND))),
        ({"ttl": "1h"}, Shape(ttl=3600 * SECOND)),
    ],
)
def test_short_and_long_forms_are_read(written, shape):
    assert shape_of(ShapeFields.model_validate(written)) == shape


TYPES = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


@pytest.mark.parametrize(
    ("shape", "field", "words"),
    [
        ("debounce: 30s, batch: 5", "t", "exclude each other"),
        ("throttle: often", "throttle", "10/m"),
        ("rate_limit: 0/m", "rate_limit", "10/m"),
        ("debounce: 0s", "debounce", "more than 0"),
        ("batch: 1", "batch", "at least 2"),
        ("unique: 'event.data.('", "unique", ""),
        ("threshold: {count: 3}", "threshold", "required"),
        ("debounce: {quite: 3s}", "debounce", "did you mean `quiet`"),
    ],
)
def test_what_cannot_be_names_its_field(shape, field, words):
    errors = errors_of(f"t: {{type: event, event: a, {shape}}}")
    assert any(field in one.field and words in one.message for one in errors), errors


def test_a_schedule_has_no_events_to_shape():
    (error,) = errors_of("t: {type: cron, cron: '0 9 * * *', debounce: 30s}")
    assert "hears no events" in error.message


def errors_of(trigger):
    text = f"name: x\ntriggers:\n  {trigger}\njobs: {{a: {{uses: noop}}}}\n"
    with pytest.raises(DefinitionInvalid) as caught:
        inspect(read(text)[0], TYPES, JOBS, 0)
    return caught.value.errors

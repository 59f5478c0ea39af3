"""What no database could keep is refused with the same words on each."""

import pytest

from workflow_scheduler.core.errors import BadRequest
from workflow_scheduler.core.inbound.storable import KEY_BYTES_MAX, check_storable
from workflow_scheduler.testing.factories import make_event


@pytest.mark.parametrize("field", ["source", "event_key", "type", "subject"])
@pytest.mark.parametrize("value", ["a\0b", "half \ud800", "x" * 9_000])
def test_texts_that_cannot_be_kept(field, value):
    with pytest.raises(BadRequest):
        check_storable(make_event(**{field: value}))


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"subject": None},
        {"subject": "snow ☃ \U0001f600"},
        {"subject": "x" * 7_000},
        {"event_key": "k" * 1_500},
        {"source": "/" + "s" * 900, "event_key": "ü" * 500},
    ],
)
def test_texts_that_can(given):
    check_storable(make_event(**given))


def test_source_and_key_share_one_index():
    with pytest.raises(BadRequest):
        check_storable(make_event(source="s" * 1_200, event_key="k" * (KEY_BYTES_MAX - 1_199)))
    with pytest.raises(BadRequest):
        check_storable(make_event(source="/", event_key="☃" * 700))

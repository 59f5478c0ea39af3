"""Every polled and streaming trigger type passes the suite of sources."""

import pytest

from workflow_scheduler.core.registry import SOURCE_SHAPES, discover
from workflow_scheduler.testing.conformance.source_type import SourceTypeConformance

FOUND = {
    name: module
    for name, module in discover("workflow_scheduler.triggers", "workflow_scheduler.triggers").items()
    if module.shape in SOURCE_SHAPES
}


@pytest.fixture(params=sorted(FOUND))
def trigger_type(request):
    return FOUND[request.param]


class TestSourceTypes(SourceTypeConformance):
    """The suite over every member."""


def test_the_promised_types_are_there():
    assert {"http_poll", "kafka", "redis_stream", "sql_poll", "sse", "websocket"} <= set(FOUND)

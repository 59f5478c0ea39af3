"""W3C trace context."""

from __future__ import annotations

import pytest

from workflow_scheduler.telemetry import tracing

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_traceparent_is_read_and_written_alike():
    context = tracing.parse(GOOD)
    assert context.sampled
    assert context.header() == GOOD
    assert not tracing.parse(GOOD[:-2] + "00").sampled


@pytest.mark.parametrize(
    "text",
    [
        None, "", "nonsense", GOOD.upper(), GOOD + "-more", GOOD[:-1], "ff" + GOOD[2:], " " + GOOD, GOOD + "\n",
        "00-" + "0" * 32 + "-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-" + "0" * 16 + "-01",
    ],
)  # fmt: skip
def test_what_breaks_the_rules_is_no_context(text):
    assert tracing.parse(text) is None


def test_a_later_version_may_carry_more():
    assert tracing.parse("01" + GOOD[2:] + "-more") is not None


def test_a_child_stays_in_the_trace_and_has_a_span_of_its_own():
    child = tracing.child(GOOD)
    assert child.trace_id == tracing.parse(GOOD).trace_id
    assert child.span_id != tracing.parse(GOOD).span_id
    assert tracing.parse(tracing.child(None).header()) is not None


def test_without_an_endpoint_a_span_costs_nothing():
    with tracing.connect("", "s", "e").span("work", GOOD, size=1):
        pass

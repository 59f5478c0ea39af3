"""W3C trace context."""

from __future__ import annotations

import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from workflow_scheduler.api.traced import Traced
from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.telemetry import tracing
from workflow_scheduler.testing.asgi import AsgiClient

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


def test_an_endpoint_without_the_exporter_is_refused_with_the_remedy(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ValidationFailed) as refused:
        tracing.connect("http://127.0.0.1:4318", "s", "e")
    assert "pip install" in refused.value.fix


@pytest.fixture
def recorded():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return tracing.Tracer(provider.get_tracer("test")), exporter


def test_a_span_continues_the_trace_and_yields_the_context_for_what_it_causes(recorded):
    tracer, exporter = recorded
    with tracer.span("work", GOOD, size=1) as own:
        pass
    (span,) = exporter.get_finished_spans()
    assert tracing.parse(own).trace_id == tracing.parse(GOOD).trace_id == f"{span.context.trace_id:032x}"
    assert tracing.parse(own).span_id == f"{span.context.span_id:016x}"
    assert span.attributes["size"] == 1


async def test_a_request_gets_a_span_of_its_own_and_hands_it_on(recorded):
    tracer, exporter = recorded
    heard = []

    async def app(scope, receive, send):
        heard.append(dict(scope["headers"]).get(b"traceparent", b"").decode())
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    client = AsgiClient(Traced(app, tracer))
    await client.post("/api/v1/events", headers={"traceparent": GOOD})
    await client.get("/health", headers={"traceparent": "nonsense"})
    first, second = exporter.get_finished_spans()
    assert tracing.parse(heard[0]).trace_id == tracing.parse(GOOD).trace_id
    assert tracing.parse(heard[0]).span_id == f"{first.context.span_id:016x}"
    assert tracing.parse(heard[1]).trace_id == f"{second.context.trace_id:032x}"
    assert first.attributes["http.response.status_code"] == 204

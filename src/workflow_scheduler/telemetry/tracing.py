"""W3C trace context: read it, make it, and hand spans to OpenTelemetry where its SDK is installed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from workflow_scheduler.core.errors import ValidationFailed

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?\Z", re.ASCII)
_LENGTH_V0 = 55
_NO_TRACE = "0" * 32
_NO_SPAN = "0" * 16


class TraceContext(msgspec.Struct, frozen=True, gc=False):
    """Where something belongs: the trace, the span that caused it, and whether the trace is recorded."""

    trace_id: str
    span_id: str
    sampled: bool

    def header(self) -> str:
        """Return the `traceparent` header."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse(traceparent: str | None) -> TraceContext | None:
    """Return the context inside a `traceparent` header, or None when there is none or it breaks the rules."""
    if not traceparent:
        return None
    match = _TRACEPARENT.match(traceparent)
    if match is None or match[1] == "ff" or (match[1] == "00" and len(traceparent) != _LENGTH_V0):
        return None
    if match[2] == _NO_TRACE or match[3] == _NO_SPAN:
        return None
    return TraceContext(match[2], match[3], bool(int(match[4], 16) & 1))


def valid_traceparent(text: str) -> bool:
    """Return whether `text` is a usable `traceparent`."""
    return parse(text) is not None


def begin(*, sampled: bool = True) -> TraceContext:
    """Return the context of a new trace."""
    return TraceContext(os.urandom(16).hex(), os.urandom(8).hex(), sampled)


def child(traceparent: str | None) -> TraceContext:
    """Return a new span's context inside the trace of `traceparent`, or of a new trace without one."""
    parent = parse(traceparent)
    if parent is None:
        return begin()
    return TraceContext(parent.trace_id, os.urandom(8).hex(), parent.sampled)


class Tracer:
    """Opens spans; without an OTLP endpoint it is not enabled and costs nothing."""

    def __init__(self, tracer: Any = None) -> None:
        """Use an OpenTelemetry tracer, or none."""
        self._tracer = tracer

    @property
    def enabled(self) -> bool:
        """Whether spans go anywhere."""
        return self._tracer is not None

    @contextmanager
    def span(self, name: str, traceparent: str | None = None, **attributes: str | float) -> Iterator[str | None]:
        """Cover a piece of work with a span below `traceparent`; yields the `traceparent` for what it causes."""
        if self._tracer is None:
            yield traceparent
            return
        from opentelemetry import trace

        context = parse(traceparent)
        above = None
        if context is not None:
            flags = trace.TraceFlags(trace.TraceFlags.SAMPLED if context.sampled else trace.TraceFlags.DEFAULT)
            place = trace.SpanContext(
                int(context.trace_id, 16), int(context.span_id, 16), is_remote=True, trace_flags=flags
            )
            above = trace.set_span_in_context(trace.NonRecordingSpan(place))
        with self._tracer.start_as_current_span(name, context=above, attributes=attributes) as span:
            made = span.get_span_context()
            yield TraceContext(f"{made.trace_id:032x}", f"{made.span_id:016x}", made.trace_flags.sampled).header()


def connect(endpoint: str, service: str, environment: str) -> Tracer:
    """Return a tracer that sends to an OTLP endpoint; an empty endpoint gives one that does nothing.

    Raises:
        ValidationFailed: an endpoint is set and the SDK is not installed.

    """
    if not endpoint:
        return Tracer()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        raise ValidationFailed(
            "OTEL_EXPORTER_OTLP_ENDPOINT is set and the OpenTelemetry SDK is not installed",
            fix="pip install 'workflow-scheduler[otel]'",
        ) from None
    provider = TracerProvider(
        resource=Resource.create({"service.name": service, "deployment.environment.name": environment})
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    return Tracer(provider.get_tracer(service))

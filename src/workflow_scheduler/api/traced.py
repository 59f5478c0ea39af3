"""A span around every request, where traces are sent somewhere; events then belong to the span that heard them."""

from __future__ import annotations

from workflow_scheduler.api.body import header
from workflow_scheduler.api.front import App, Message, Receive, Scope, Send
from workflow_scheduler.telemetry.tracing import Tracer

_NAME = b"traceparent"


class Traced:
    """ASGI middleware: continues the caller's trace, or begins one, and hands its own span on as `traceparent`."""

    def __init__(self, app: App, tracer: Tracer) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = scope["headers"]
        above = header(headers, _NAME) or None
        facts = {"http.request.method": scope["method"], "url.path": scope["path"]}
        with self._tracer.span(scope["method"], above, **facts) as own:
            if own is not None:
                scope["headers"] = [pair for pair in headers if pair[0] != _NAME] + [(_NAME, own.encode())]
            await self._app(scope, receive, _noting(send))


def _noting(send: Send) -> Send:
    """Return a `send` that puts the status of the answer on the span."""
    from opentelemetry import trace

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            trace.get_current_span().set_attribute("http.response.status_code", message["status"])
        await send(message)

    return sending

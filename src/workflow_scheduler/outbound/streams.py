"""Long-lived outbound connections, as core.ports.sources.Streams; what they are made of is loaded on first use."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from workflow_scheduler.core.ports.resources import HttpRequest
from workflow_scheduler.core.ports.sources import HttpStream, WebSocket, WebSocketRequest
from workflow_scheduler.outbound.guard import EgressGuard

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

    from workflow_scheduler.outbound.web_streams import WebStreams


class HttpStreams:
    """Opens streams and WebSockets through the guard."""

    def __init__(self, guard: EgressGuard, *, resolver: AbstractResolver | None = None) -> None:
        """Connect through `guard`; `resolver` replaces the system's name resolution."""
        self._guard = guard
        self._resolver = resolver
        self._streams: WebStreams | None = None

    def stream(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpStream]:
        """Send and give the answer while its body arrives."""
        return self._open().stream(request)

    def websocket(self, request: WebSocketRequest) -> AbstractAsyncContextManager[WebSocket]:
        """Open a WebSocket."""
        return self._open().websocket(request)

    async def close(self) -> None:
        """Close all connections."""
        if self._streams is not None:
            await self._streams.close()
            self._streams = None

    def _open(self) -> WebStreams:
        if self._streams is None:
            # A tenth of a second, which a service without streams must not pay at its start.
            from workflow_scheduler.outbound.web_streams import WebStreams

            self._streams = WebStreams(self._guard, self._resolver)
        return self._streams

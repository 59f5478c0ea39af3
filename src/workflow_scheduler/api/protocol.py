"""uvicorn's HTTP protocol with one write to the socket per answer instead of two.

uvicorn writes an answer's head and its body one after the other, and each write is a system call and a packet of its
own. That costs more than all the rest of a small answer. Here what is written within one turn of the event loop goes
out together.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class GatheringTransport:
    """Stands for a transport and gathers what is written in one turn of the loop; the rest is passed through."""

    __slots__ = ("_loop", "_parts", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        """Write to `transport`."""
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Keep `data` until the end of this turn."""
        parts = self._parts
        if not parts:
            self._loop.call_soon(self._flush)
        parts.append(data)

    def _flush(self) -> None:
        parts = self._parts
        if parts:
            self._parts = []
            if not self._transport.is_closing():
                self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Write what was gathered, then close."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class GatheringProtocol(HttpToolsProtocol):
    """HttpToolsProtocol over a GatheringTransport; hand the class to `uvicorn.Config(http=…)`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection."""
        super().connection_made(cast("asyncio.Transport", GatheringTransport(transport, asyncio.get_running_loop())))

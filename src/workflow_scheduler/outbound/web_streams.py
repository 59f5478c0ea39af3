"""Long-lived outbound connections: HTTP answers that are read as they come, and WebSockets. Same guard, own sockets.

They have a session of their own, so that thousands of open streams take no place from short requests.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from workflow_scheduler.core.errors import EgressRefused, NotConnected, Rejected, ValidationFailed
from workflow_scheduler.core.ports.resources import HttpRequest
from workflow_scheduler.core.ports.sources import WebSocketRequest
from workflow_scheduler.outbound.connector import AddressRefusedError, guarded_connector
from workflow_scheduler.outbound.exchanges import CONNECT_SECONDS, USER_AGENT
from workflow_scheduler.outbound.guard import EgressGuard, refused
from workflow_scheduler.outbound.http import following, parsed

_WEB = {"ws": "http", "wss": "https"}


class OpenStream:
    """An answer whose body is still coming (see core.ports.sources.HttpStream)."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        """Read from `response`."""
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {key.lower(): value for key, value in response.headers.items()}

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _lost(error, self._response.url.host or "") from error


class OpenSocket:
    """An open WebSocket (see core.ports.sources.WebSocket)."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, host: str) -> None:
        """Speak over `socket`."""
        self._socket = socket
        self._host = host

    async def send(self, text: str) -> None:
        """Send a text message."""
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError) as error:
            raise _lost(error, self._host) from error

    async def receive(self) -> str | bytes:
        """Return the next message."""
        message = await self._socket.receive()
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data: str | bytes = message.data
            return data
        if message.type is aiohttp.WSMsgType.ERROR or isinstance(message.data, Exception):
            raise NotConnected(f"the connection to {self._host} was lost: {message.data}")
        code = self._socket.close_code
        reason = f": {message.extra}" if message.extra else ""
        raise NotConnected(f"{self._host} closed the connection with code {code}{reason}")


class WebStreams:
    """Opens them (see core.ports.sources.Streams); the session is made on first use."""

    def __init__(self, guard: EgressGuard, resolver: AbstractResolver | None = None) -> None:
        """Connect through `guard`; `resolver` replaces the system's name resolution."""
        self._guard = guard
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def stream(self, request: HttpRequest) -> AsyncIterator[OpenStream]:
        """Send and give the answer while its body arrives; errors as in core.ports.sources.Streams."""
        url, method, headers, body = parsed(request.url), request.method, dict(request.headers), request.body
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=CONNECT_SECONDS, sock_read=request.timeout_seconds or None
        )
        for _ in range(request.redirects_max + 1):
            self._guard.check_host(url.host or "")
            try:
                response = await self._open().request(
                    method, url, headers=headers, data=body, timeout=timeout, allow_redirects=False
                )
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                raise _lost(error, url.host or "") from error
            hop = following(url, response.status, response.headers.get("location"), (method, headers, body))
            if hop is None or request.redirects_max == 0:
                try:
                    yield OpenStream(response)
                finally:
                    response.close()
                return
            response.close()
            url, (method, headers, body) = hop
        raise Rejected(f"{url.host} redirects more than {request.redirects_max} times")

    @asynccontextmanager
    async def websocket(self, request: WebSocketRequest) -> AsyncIterator[OpenSocket]:
        """Open a WebSocket; errors as in core.ports.sources.Streams."""
        url = _socket_url(request.url)
        host = url.host or ""
        self._guard.check_host(host)
        try:
            socket = await self._open().ws_connect(
                url,
                headers=dict(request.headers),
                protocols=tuple(request.protocols),
                heartbeat=request.ping_seconds,
                max_msg_size=request.message_bytes_max,
                timeout=aiohttp.ClientWSTimeout(ws_close=CONNECT_SECONDS),
            )
        except aiohttp.WSServerHandshakeError as error:
            raise Rejected(
                f"{host} does not open a WebSocket: it answers {error.status}",
                fix="Check the address and the credentials.",
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _lost(error, host) from error
        try:
            yield OpenSocket(socket, host)
        finally:
            await socket.close()

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self._guard, self._resolver, 0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                trust_env=False,
            )
        return self._session


def _socket_url(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError as error:
        raise ValidationFailed(f"`{text}` is not a URL: {error}") from error
    if url.scheme not in (*_WEB, *_WEB.values()) or not url.host:
        raise ValidationFailed(f"`{text}` is not a ws or wss URL")
    return url.with_scheme(_WEB.get(url.scheme, url.scheme))


def _lost(error: Exception, host: str) -> NotConnected | EgressRefused:
    """Return our error: a refused address, or a connection that did not come about or was lost."""
    if isinstance(error, aiohttp.ClientConnectorError):
        if isinstance(getattr(error, "os_error", None), AddressRefusedError):
            return refused(host)
        return NotConnected(f"cannot connect to {host}: {error}")
    if isinstance(error, TimeoutError):
        return NotConnected(f"{host} sent nothing for too long")
    return NotConnected(f"the connection to {host} was lost: {error}")

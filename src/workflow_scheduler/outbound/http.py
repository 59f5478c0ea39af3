"""The outbound HTTP client: one per process, behind the egress guard, bounded in time and size.

It uses no proxies, cookies or credentials of the environment. Redirects are followed here and not by aiohttp, so that
each hop is checked, credentials stay with their origin, and a POST is never repeated elsewhere by accident.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from workflow_scheduler.core.errors import (
    NotConnected,
    OutcomeUnknown,
    Rejected,
    SchedulerError,
    TooLarge,
    ValidationFailed,
)
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.outbound.connector import AddressRefusedError, guarded_connector
from workflow_scheduler.outbound.guard import EgressGuard, refused

USER_AGENT = "workflow-scheduler"
CONNECTIONS_MAX = 500
CONNECT_SECONDS = 10.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER = frozenset({301, 302, 303})
_SHARED_HEADERS = frozenset({"accept", "accept-language", "user-agent", "traceparent", "tracestate"})
_BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding"})
_CHUNK = 65_536


class HttpClient:
    """Sends requests (see core.ports.resources.Outbound); the session is made on first use."""

    def __init__(self, guard: EgressGuard, *, resolver: AbstractResolver | None = None) -> None:
        """Send through `guard`; `resolver` replaces the system's name resolution."""
        self._guard = guard
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send and return the answer; errors as in core.ports.resources.Outbound."""
        url = _parsed(request.url)
        method, headers, body = request.method, dict(request.headers), request.body
        for _ in range(request.redirects_max + 1):
            self._guard.check_host(url.host or "")
            reply = await self._exchange(request, method, url, headers, body)
            target = reply.headers.get("location")
            if reply.status not in _REDIRECTS or target is None or request.redirects_max == 0:
                return reply
            following = _parsed(str(url.join(URL(target))))
            if reply.status in _SEE_OTHER and method not in ("GET", "HEAD"):
                method, body, headers = "GET", None, _without(headers, _BODY_HEADERS)
            if following.origin() != url.origin():  # any header of the caller's may hold a secret, under any name
                headers = _only(headers, _SHARED_HEADERS | _BODY_HEADERS)
            url = following
        raise Rejected(f"{url.host} redirects more than {request.redirects_max} times")

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _exchange(
        self, request: HttpRequest, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> HttpReply:
        timeout = aiohttp.ClientTimeout(
            total=request.timeout_seconds, sock_connect=min(CONNECT_SECONDS, request.timeout_seconds)
        )
        try:
            async with self._open_session().request(
                method, url, headers=headers, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                return await _read(response, request.reply_bytes_max)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _translated(error, url.host or "", request.timeout_seconds) from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=guarded_connector(self._guard, self._resolver, CONNECTIONS_MAX),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT},
                trust_env=False,
                auto_decompress=True,
            )
        return self._session


def _parsed(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError as error:
        raise ValidationFailed(f"`{text}` is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ValidationFailed(f"`{text}` is not an http or https URL")
    return url


def _only(headers: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() in names}


def _without(headers: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() not in names}


async def _read(response: aiohttp.ClientResponse, bytes_max: int) -> HttpReply:
    parts: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        size += len(chunk)
        if size > bytes_max:
            response.close()
            raise TooLarge(f"the answer of {response.url.host} is larger than {bytes_max} bytes")
        parts.append(chunk)
    headers: dict[str, str] = {}
    for key, value in response.headers.items():
        lower = key.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return HttpReply(status=response.status, headers=headers, body=b"".join(parts), url=str(response.url))


def _translated(error: Exception, host: str, seconds: float) -> SchedulerError:
    """Return our error: what was surely not sent is NotConnected, what may have been sent is OutcomeUnknown."""
    if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)):
        if isinstance(getattr(error, "os_error", None), AddressRefusedError):
            return refused(host)
        return NotConnected(f"cannot connect to {host}: {error}")
    if isinstance(error, TimeoutError):
        return OutcomeUnknown(f"{host} did not answer within {seconds:g} s")
    if isinstance(error, ValueError):
        return ValidationFailed(f"the request to {host} cannot be sent: {error}")
    return OutcomeUnknown(f"the connection to {host} was lost: {error}")

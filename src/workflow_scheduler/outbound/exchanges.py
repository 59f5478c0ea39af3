"""Single exchanges over aiohttp: one request, one answer, and its errors as ours."""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from workflow_scheduler.core.errors import NotConnected, OutcomeUnknown, SchedulerError, TooLarge, ValidationFailed
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.outbound.connector import AddressRefusedError, guarded_connector
from workflow_scheduler.outbound.guard import EgressGuard, refused

USER_AGENT = "workflow-scheduler"
CONNECTIONS_MAX = 500
CONNECT_SECONDS = 10.0
_CHUNK = 65_536


class Exchanges:
    """The connections of one client; every socket passes the guard."""

    def __init__(self, guard: EgressGuard, resolver: AbstractResolver | None) -> None:
        """Connect through `guard`; `resolver` replaces the system's name resolution."""
        self._session = aiohttp.ClientSession(
            connector=guarded_connector(guard, resolver, CONNECTIONS_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": USER_AGENT},
            trust_env=False,
            auto_decompress=True,
        )

    async def exchange(
        self, request: HttpRequest, method: str, url: URL, headers: Mapping[str, str], body: bytes | None
    ) -> HttpReply:
        """Send one hop of `request`, no redirects followed; errors as in core.ports.resources.Outbound."""
        timeout = aiohttp.ClientTimeout(
            total=request.timeout_seconds, sock_connect=min(CONNECT_SECONDS, request.timeout_seconds)
        )
        try:
            async with self._session.request(
                method, url, headers=headers, data=body, timeout=timeout, allow_redirects=False
            ) as response:
                return await _read(response, request.reply_bytes_max)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise _translated(error, url.host or "", request.timeout_seconds) from error

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


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

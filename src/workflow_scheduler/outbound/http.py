"""The outbound HTTP client: one per process, behind the egress guard, bounded in time and size.

It uses no proxies, cookies or credentials of the environment. Redirects are followed here and not by aiohttp, so that
each hop is checked, credentials stay with their origin, and a POST is never repeated elsewhere by accident.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from yarl import URL

from workflow_scheduler.core.errors import Rejected, ValidationFailed
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.outbound.guard import EgressGuard

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver

    from workflow_scheduler.outbound.exchanges import Exchanges

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_SEE_OTHER = frozenset({301, 302, 303})
_SHARED_HEADERS = frozenset({"accept", "accept-language", "user-agent", "traceparent", "tracestate"})
_BODY_HEADERS = frozenset({"content-type", "content-length", "content-encoding", "transfer-encoding"})


class HttpClient:
    """Sends requests (see core.ports.resources.Outbound); aiohttp is loaded on first use."""

    def __init__(self, guard: EgressGuard, *, resolver: AbstractResolver | None = None) -> None:
        """Send through `guard`; `resolver` replaces the system's name resolution."""
        self._guard = guard
        self._resolver = resolver
        self._exchanges: Exchanges | None = None

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send and return the answer; errors as in core.ports.resources.Outbound."""
        url = parsed(request.url)
        method, headers, body = request.method, dict(request.headers), request.body
        for _ in range(request.redirects_max + 1):
            self._guard.check_host(url.host or "")
            reply = await self._open().exchange(request, method, url, headers, body)
            hop = following(url, reply.status, reply.headers.get("location"), (method, headers, body))
            if hop is None or request.redirects_max == 0:
                return reply
            url, (method, headers, body) = hop
        raise Rejected(f"{url.host} redirects more than {request.redirects_max} times")

    async def close(self) -> None:
        """Close all connections."""
        if self._exchanges is not None:
            await self._exchanges.close()
            self._exchanges = None

    def _open(self) -> Exchanges:
        if self._exchanges is None:
            # A tenth of a second, which a service that never sends must not pay at its start.
            from workflow_scheduler.outbound.exchanges import Exchanges

            self._exchanges = Exchanges(self._guard, self._resolver)
        return self._exchanges


Sending = tuple[str, dict[str, str], bytes | None]
"""Method, headers and body of a request."""


def following(url: URL, status: int, target: str | None, sent: Sending) -> tuple[URL, Sending] | None:
    """Return where a redirect leads and what is sent there; None when the answer is no redirect.

    Raises:
        ValidationFailed: it leads to something that is no http or https URL.

    """
    if status not in _REDIRECTS or target is None:
        return None
    method, headers, body = sent
    to = parsed(str(url.join(URL(target))))
    if status in _SEE_OTHER and method not in ("GET", "HEAD"):
        method, body, headers = "GET", None, _without(headers, _BODY_HEADERS)
    if to.origin() != url.origin():  # any header of the caller's may hold a secret, under any name
        headers = _only(headers, _SHARED_HEADERS | _BODY_HEADERS)
    return to, (method, headers, body)


def parsed(text: str) -> URL:
    """Return a URL to send a request to.

    Raises:
        ValidationFailed: it is no http or https URL.

    """
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

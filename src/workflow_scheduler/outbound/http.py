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
        url = _parsed(request.url)
        method, headers, body = request.method, dict(request.headers), request.body
        for _ in range(request.redirects_max + 1):
            self._guard.check_host(url.host or "")
            reply = await self._open().exchange(request, method, url, headers, body)
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
        if self._exchanges is not None:
            await self._exchanges.close()
            self._exchanges = None

    def _open(self) -> Exchanges:
        if self._exchanges is None:
            # A tenth of a second, which a service that never sends must not pay at its start.
            from workflow_scheduler.outbound.exchanges import Exchanges

            self._exchanges = Exchanges(self._guard, self._resolver)
        return self._exchanges


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

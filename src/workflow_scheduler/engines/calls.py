"""Calls to an engine that is reached over HTTP, and what a failed one means.

Each call has a time-out of its own, and goes through a circuit breaker: an engine that keeps failing is left alone for
a while. What may have happened decides what is raised: EngineUnavailable where nothing can have, OutcomeUnknown where
the call may have been carried out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

import msgspec

from workflow_scheduler.core.errors import (
    EgressRefused,
    EngineUnavailable,
    NotConnected,
    OutcomeUnknown,
    Rejected,
    RetryAfter,
    SchedulerError,
    TooLarge,
)
from workflow_scheduler.core.ports.resources import HttpReply, HttpRequest
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.core.time.retry_after import retry_after_seconds
from workflow_scheduler.engines.breaker import Breaker
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient

REPLY_BYTES_MAX: Final = 16 << 20
MISSING: Final = frozenset({404, 410})
BUSY: Final = frozenset({429, 503})
_UNKNOWN = frozenset({408, 425})
_SHOWN = 300


class Client(Protocol):
    """Sends requests and can be closed; an HttpClient."""

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send, as core.ports.resources.Outbound says."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A call. `path` follows the engine's base URL; `seconds` is how long the answer may take."""

    method: str
    path: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    seconds: float = 10.0


class Calls:
    """The calls to one engine. `setting` is the variable that says where it is."""

    def __init__(self, base_url: str, setting: str, client: Client, clock: Clock, breaker: Breaker) -> None:
        """Call below `base_url`."""
        self._base_url = base_url.rstrip("/")
        self._setting = setting
        self._client = client
        self._clock = clock
        self._breaker = breaker

    async def ask(self, request: Request) -> HttpReply:
        """Make a call that may be repeated, and return an answer below 300, or one of MISSING or 409.

        Raises:
            EngineUnavailable: there is no such answer.

        """
        try:
            reply = await self.send(request)
        except (OutcomeUnknown, Rejected) as error:
            raise EngineUnavailable(error.detail) from error
        if reply.status >= 300 and reply.status not in {*MISSING, 409}:  # noqa: PLR2004 - redirects and errors
            wait = retry_after_seconds(reply.headers.get("retry-after"), self._clock.now())
            raise EngineUnavailable(f"the engine answered {shown(reply)}", retry_after_seconds=wait)
        return reply

    async def send(self, request: Request) -> HttpReply:
        """Make a call, and return the answer whatever its status.

        Raises:
            EngineUnavailable: nothing was sent.
            OutcomeUnknown: the call may have been carried out.
            Rejected: it cannot be sent.

        """
        wait_us = self._breaker.wait_us(self._clock.now())
        if wait_us:
            raise EngineUnavailable(
                "the engine failed several times in a row and is left alone for a while",
                retry_after_seconds=wait_us / SECOND_US,
            )
        try:
            reply = await self._client.send(
                HttpRequest(
                    method=request.method,
                    url=self._base_url + request.path,
                    headers=request.headers,
                    body=request.body,
                    timeout_seconds=request.seconds,
                    reply_bytes_max=REPLY_BYTES_MAX,
                    redirects_max=0,
                )
            )
        except SchedulerError as error:
            self._breaker.failed(self._clock.now())
            raise _failure(error) from error
        if reply.status >= 500:  # noqa: PLR2004 - the engine's own errors
            self._breaker.failed(self._clock.now())
        else:
            self._breaker.succeeded()
        return reply

    def refusal(self, reply: HttpReply) -> SchedulerError:
        """Return what an answer means that is not the wanted one."""
        detail = f"the engine answered {shown(reply)}"
        if reply.status in BUSY:
            wait = retry_after_seconds(reply.headers.get("retry-after"), self._clock.now())
            return RetryAfter(detail, retry_after_seconds=wait)
        if reply.status in _UNKNOWN or reply.status >= 500:  # noqa: PLR2004 - the engine's own errors
            return OutcomeUnknown(detail)
        if 300 <= reply.status < 400:  # noqa: PLR2004 - redirects
            return Rejected(detail, fix=f"Set {self._setting} to the address that it redirects to.")
        return Rejected(detail)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


def engine_client(base_url: str) -> HttpClient:
    """Return a client that may reach the engine wherever it stands, also on a private address."""
    return HttpClient(EgressGuard([urlsplit(base_url).hostname or ""]))


def shown(reply: HttpReply) -> str:
    """Return status and text of an answer, shortened."""
    text = reply.body[:_SHOWN].decode("utf-8", "replace").strip()
    return f"{reply.status}: {text}" if text else str(reply.status)


def _failure(error: SchedulerError) -> SchedulerError:
    if isinstance(error, (NotConnected, EgressRefused)):
        return EngineUnavailable(error.detail, fix=error.fix)
    if isinstance(error, TooLarge):
        return OutcomeUnknown(error.detail)
    return error

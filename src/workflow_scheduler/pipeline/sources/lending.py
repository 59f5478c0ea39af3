"""What sources are lent: ways out through the egress guard, secrets, connections, threads, and a pulse to show."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from socket import socket
from typing import Any, TypeVar

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.http_auth import headers_of
from workflow_scheduler.core.inbound.answers import own_errors
from workflow_scheduler.core.model.connection import KINDS, Http
from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.ports.connections import Connections
from workflow_scheduler.core.ports.github_app import GitHubAccess
from workflow_scheduler.core.ports.resources import (
    CheckingDialer,
    CodeRule,
    Dialer,
    HttpReply,
    HttpRequest,
    Outbound,
    Workers,
)
from workflow_scheduler.core.ports.sources import HttpStream, Items, Streams, WebSocket, WebSocketRequest
from workflow_scheduler.core.ports.vault import Secrets
from workflow_scheduler.core.time.clock import Clock, to_iso

T = TypeVar("T")
F = TypeVar("F", bound=Fields)


class Pulse:
    """When a source proved to be alive, as its health shows it. Instants in microseconds UTC, `beat` monotonic."""

    def __init__(self, clock: Clock) -> None:
        """Begin without a sign of life."""
        self._clock = clock
        self.connected_at: int | None = None
        self.alive_at: int | None = None
        self.lag: int | None = None
        self.connection_ends: int | None = None
        self.credentials_end: int | None = None
        self.beat = clock.monotonic()
        self.on_connect: Callable[[], None] | None = None

    @property
    def expires_at(self) -> int | None:
        """When the first ends of what it logs in with: the connection, or what the peer told of."""
        ends = [end for end in (self.connection_ends, self.credentials_end) if end is not None]
        return min(ends, default=None)

    def alive(self, lag: int | None = None) -> None:
        """Take note of a sign of life."""
        self.alive_at = self._clock.now()
        self.beat = self._clock.monotonic()
        if lag is not None:
            self.lag = lag
        if self.connected_at is None:
            self.connected_at = self.alive_at
            if self.on_connect is not None:
                self.on_connect()


class Lender:
    """Makes what each source is lent."""

    def __init__(  # noqa: PLR0913, PLR0917 -- everything that a process can lend
        self,
        outbound: Outbound,
        streams: Streams,
        dialer: CheckingDialer,
        connections: Connections,
        secrets: Secrets,
        workers: Workers,
        code_rule: CodeRule,
        clock: Clock,
        public_url: str,
        pubsub_emulator: str = "",
    ) -> None:
        """Lend these; `workers` are threads of the sources' own, since some hold one as long as they live.

        `github_app`, set by the composition root where there is one, gives the App as a tenant may use it.
        """
        self.outbound = outbound
        self.streams = streams
        self.dialer = dialer
        self.connections = connections
        self.secrets = secrets
        self.workers = workers
        self.code_rule = code_rule
        self.clock = clock
        self.public_url = public_url
        self.github_app: Callable[[str], GitHubAccess] | None = None
        self.pubsub_emulator = pubsub_emulator

    def lend(self, tenant_id: str, pulse: Pulse, kept: dict[str, Any], items: Items) -> LentIO:
        """Return what a source of the tenant gets; `kept` outlives the single poll, `items` the process."""
        return LentIO(self, tenant_id, pulse, kept, items)

    def lend_once(self, tenant_id: str) -> LentIO:
        """Return what a type gets that asks for something in passing, without a source."""
        return LentIO(self, tenant_id, Pulse(self.clock), {}, _Nothing())


class _Nothing:
    """What was remembered where nothing is."""

    async def between(self, after: str, upto: str | None, limit: int) -> list[tuple[str, str]]:  # noqa: ARG002 -- the port
        """Return no names."""
        return []


class LentIO:
    """Implements core.ports.sources.SourceIO."""

    def __init__(self, lender: Lender, tenant_id: str, pulse: Pulse, kept: dict[str, Any], items: Items) -> None:
        """Show signs of life on `pulse`."""
        self.items = items
        self._lender = lender
        self._pulse = pulse
        self.tenant_id = tenant_id
        self.kept = kept

    @property
    def public_url(self) -> str:
        """The address at which peers reach this service."""
        return self._lender.public_url

    @property
    def github_app(self) -> GitHubAccess | None:
        """The GitHub App, for installations of the tenant."""
        give = self._lender.github_app
        return None if give is None else give(self.tenant_id)

    @property
    def pubsub_emulator(self) -> str:
        """HOST:PORT of the emulator of Google Pub/Sub; empty where there is none."""
        return self._lender.pubsub_emulator

    def now(self) -> int:
        """Return the instant in microseconds UTC."""
        return self._lender.clock.now()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self._lender.clock.sleep(seconds)

    def alive(self, *, lag: int | None = None) -> None:
        """Say that the peer has just proved to be there."""
        self._pulse.alive(lag)

    def expires(self, at: int) -> None:
        """Say when the credentials end."""
        self._pulse.credentials_end = at

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send an HTTP request."""
        with own_errors():
            return await self._lender.outbound.send(request)

    def stream(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpStream]:
        """Send an HTTP request and read its answer as it comes."""
        return _translated(self._lender.streams.stream(request))

    def websocket(self, request: WebSocketRequest) -> AbstractAsyncContextManager[WebSocket]:
        """Open a WebSocket."""
        return _translated(self._lender.streams.websocket(request))

    @property
    def dialer(self) -> Dialer:
        """What opens sockets for clients that run in a thread."""
        return self._lender.dialer

    async def local_allowed(self) -> bool:
        """Return whether the tenant may use files of this machine."""
        return await self._lender.code_rule.code_allowed(self.tenant_id)

    async def dial(self, host: str, port: int, timeout_seconds: float = 10.0) -> socket:
        """Return a connected TCP socket."""
        with own_errors():
            return await self.call(partial(self._lender.dialer.dial, host, port, timeout_seconds))

    async def check(self, host: str, port: int) -> None:
        """Refuse a host that may not be reached."""
        with own_errors():
            await self.call(partial(self._lender.dialer.check, host, port))

    async def call(self, function: Callable[[], T]) -> T:
        """Run a function that blocks in a thread."""
        return await self._lender.workers.call(function)

    async def secret(self, name: str) -> str:
        """Return the value of a secret."""
        value = await self._lender.secrets.get(self.tenant_id, name)
        if value is None:
            raise Rejected(f"there is no secret `{name}`", fix=f"Set it with `workflow-scheduler secret set {name}`.")
        return value

    async def connection(self, name: str, kind: type[F]) -> F:
        """Return the fields of a connection."""
        wanted = next(key for key, model in KINDS.items() if model is kind)
        found = await self._lender.connections.open(self.tenant_id, name)
        if found is None:
            raise Rejected(
                f"there is no connection `{name}`",
                fix=f"Make it with `workflow-scheduler connection add {name} --kind {wanted}`.",
            )
        if not isinstance(found.fields, kind):
            raise Rejected(
                f"the connection `{name}` is of kind `{found.kind}`, and this trigger needs one of kind `{wanted}`",
                fix="Name another connection in the trigger.",
            )
        self._pulse.connection_ends = found.expires_at
        if found.expires_at is not None and found.expires_at <= self.now():
            raise Rejected(
                f"the connection `{name}` has expired at {to_iso(found.expires_at)}",
                fix=f"Give it a new secret with `workflow-scheduler connection rotate {name}`.",
            )
        return found.fields

    async def credentials(self, connection: str | None, url: str, body: bytes = b"") -> dict[str, str]:
        """Return the headers with which a connection of kind `http` signs a request."""
        if connection is None:
            return {}
        return headers_of(await self.connection(connection, Http), url, body, self.now())


@asynccontextmanager
async def _translated(opening: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    with own_errors():
        async with opening as opened:
            yield opened

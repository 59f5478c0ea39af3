"""What polled and streaming trigger types are lent, and what they hand back.

A type only speaks its peer's protocol: it asks, reads, and says what it heard. When it is asked, what is retried, where
cursors are kept, who owns a connection and when something is acknowledged belongs to the source loops
(pipeline/sources). A type raises NotConnected, RetryAfter, EndOfSource and Rejected, and nothing else on purpose.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from socket import socket
from typing import Any, Protocol, TypeVar

import msgspec

from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.ports.github_app import GitHubAccess
from workflow_scheduler.core.ports.resources import Dialer, HttpReply, HttpRequest
from workflow_scheduler.core.registry import Heard

T = TypeVar("T")
F = TypeVar("F", bound=Fields)


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a poll.

    `cursor` is any JSON value; it is stored in the transaction that stores `heard`, and the next call gets it. With
    `more` the next page is asked for at once. `lag` is how many items are known to wait behind this page. `expires_at`
    is when the credentials end, where the peer tells (microseconds UTC). `items` are names of a listing that are to be
    remembered with their versions from then on, None forgets one; see `Items`.
    """

    heard: Sequence[Heard] = ()
    cursor: Any = None
    more: bool = False
    lag: int | None = None
    expires_at: int | None = None
    items: Mapping[str, str | None] = {}


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream brought in one piece.

    `position` is any JSON value, stored in the transaction that stores `heard`; None leaves the stored one. After that
    commit `ack` is called, once, in the order in which pieces were given, while the stream goes on being read. An `ack`
    that fails counts as a lost connection: what it was for comes again and is recognised.
    """

    heard: Sequence[Heard] = ()
    position: Any = None
    ack: Callable[[], Awaitable[None]] | None = None
    lag: int | None = None


class Items(Protocol):
    """What a source that can only list has seen: rows, of which each poll reads the part that its page is about."""

    async def between(self, after: str, upto: str | None, limit: int) -> list[tuple[str, str]]:
        """Return up to `limit` names and versions, by name: those behind `after`, none behind `upto`."""
        ...


class HttpStream(Protocol):
    """The answer to a request whose body is read as it comes. Header names are lower-case."""

    @property
    def status(self) -> int:
        """The status code."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it arrives, decompressed.

        Raises:
            NotConnected: the connection was lost, or nothing came for the request's `timeout_seconds`.

        """
        ...


class WebSocket(Protocol):
    """An open WebSocket. Pings are answered, and sent, underneath."""

    async def send(self, text: str) -> None:
        """Send a text message.

        Raises:
            NotConnected: the connection was lost.

        """
        ...

    async def receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            NotConnected: the connection was lost or closed; the message holds the code and the reason.

        """
        ...


class WebSocketRequest(msgspec.Struct, frozen=True, kw_only=True):
    """How a WebSocket is opened: a ping every `ping_seconds` must be answered within half of that."""

    url: str
    headers: Mapping[str, str] = {}
    protocols: Sequence[str] = ()
    ping_seconds: float = 20.0
    message_bytes_max: int = 1 << 20


class Streams(Protocol):
    """Long-lived HTTP connections through the egress guard."""

    def stream(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpStream]:
        """Send and give the answer while its body arrives; `timeout_seconds` bounds the silence, not the whole.

        Raises:
            EgressRefused, NotConnected, OutcomeUnknown, ValidationFailed: as core.ports.resources.Outbound.

        """
        ...

    def websocket(self, request: WebSocketRequest) -> AbstractAsyncContextManager[WebSocket]:
        """Open a WebSocket.

        Raises:
            EgressRefused, NotConnected, ValidationFailed: as core.ports.resources.Outbound.
            Rejected: the peer answered with something else than a WebSocket; the message holds the status.

        """
        ...


class SourceIO(Protocol):
    """What one source is lent. Everything that leaves the process goes through the egress guard.

    What is not allowed or not there raises Rejected with its remedy, what is away NotConnected.
    """

    @property
    def tenant_id(self) -> str:
        """Whose source it is."""
        ...

    @property
    def kept(self) -> dict[str, Any]:
        """What the type wants to keep between two polls in this process (tokens, …); empty after a restart."""
        ...

    @property
    def items(self) -> Items:
        """What the type has remembered of a listing (`Polled.items`)."""
        ...

    @property
    def public_url(self) -> str:
        """The address at which peers reach this service, without a slash at the end."""
        ...

    @property
    def github_app(self) -> GitHubAccess | None:
        """The GitHub App, for installations of the tenant; None where the service has none."""
        ...

    @property
    def pubsub_emulator(self) -> str:
        """HOST:PORT of the emulator of Google Pub/Sub that this installation uses; empty where it uses none."""
        ...

    def now(self) -> int:
        """Return the instant in microseconds UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait. For streams over peers that must be asked now and then; polls never wait."""
        ...

    def alive(self, *, lag: int | None = None) -> None:
        """Say that the peer has just proved to be there (it answered, pinged, or sent nothing new).

        A stream that neither yields nor says so for `silence_seconds` of its type is taken for dead and opened again.
        """
        ...

    def expires(self, at: int) -> None:
        """Say when the credentials end, microseconds UTC: shown in the trigger's health, and told in good time.

        What is renewed without people's help is not for here. The end of a connection is known already.
        """
        ...

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send an HTTP request and return the answer, whatever its status."""
        ...

    def stream(self, request: HttpRequest) -> AbstractAsyncContextManager[HttpStream]:
        """Send an HTTP request and read its answer as it comes."""
        ...

    def websocket(self, request: WebSocketRequest) -> AbstractAsyncContextManager[WebSocket]:
        """Open a WebSocket."""
        ...

    @property
    def dialer(self) -> Dialer:
        """What opens sockets for clients that run in a thread."""
        ...

    async def local_allowed(self) -> bool:
        """Return whether the tenant may use files of this machine."""
        ...

    async def dial(self, host: str, port: int, timeout_seconds: float = 10.0) -> socket:
        """Return a connected TCP socket, for clients that take one."""
        ...

    async def check(self, host: str, port: int) -> None:
        """Refuse a host that may not be reached, for clients that insist on connecting by themselves."""
        ...

    async def call(self, function: Callable[[], T]) -> T:
        """Run a function that blocks in a thread, however long it takes; cancelling stops the waiting only."""
        ...

    async def secret(self, name: str) -> str:
        """Return the value of a secret of the tenant."""
        ...

    async def connection(self, name: str, kind: type[F]) -> F:
        """Return the fields of a connection of the tenant, secrets included."""
        ...

    async def credentials(self, connection: str | None, url: str, body: bytes = b"") -> dict[str, str]:
        """Return the headers with which a connection of kind `http` signs a request; none for None."""
        ...


PollFunction = Callable[[Any, Any, SourceIO], Awaitable[Polled]]
OpenFunction = Callable[[Any, Any, SourceIO], AsyncIterator[Received]]

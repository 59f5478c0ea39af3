"""What jobs and engines share inside one process: the outbound HTTP client and the warm threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from socket import socket
from typing import Protocol, TypeVar

import msgspec

from workflow_scheduler.core.ports.attachments import Attachments
from workflow_scheduler.core.ports.connections import Connections

T = TypeVar("T")


class HttpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An outbound request. `reply_bytes_max` bounds the decompressed body of the answer."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    timeout_seconds: float = 30.0
    reply_bytes_max: int = 1 << 20
    redirects_max: int = 10


class HttpReply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer. Header names are lower-case; `url` is the one that answered, after redirects."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str


class Outbound(Protocol):
    """Sends HTTP requests through the egress guard."""

    async def send(self, request: HttpRequest) -> HttpReply:
        """Send and return the answer, whatever its status.

        Raises:
            EgressRefused: the address, or one that a redirect leads to, is not allowed.
            NotConnected: no connection came about; the request was surely not carried out.
            OutcomeUnknown: the connection was lost or the time ran out after the request may have been sent.
            TooLarge: the answer is larger than `reply_bytes_max`.
            ValidationFailed: the URL, the method or a header cannot be sent.

        """
        ...


class Workers(Protocol):
    """A warm pool of threads for functions that block."""

    async def call(self, function: Callable[[], T]) -> T:
        """Run `function` in a thread and return its result; cancelling stops the waiting, not the thread."""
        ...


class Dialer(Protocol):
    """Opens TCP connections through the egress guard, for protocols other than HTTP. It blocks: call it in a thread."""

    def dial(self, host: str, port: int, timeout_seconds: float) -> socket:
        """Return a connected socket; its own time-out is `timeout_seconds` as well.

        Raises:
            EgressRefused: the address is not allowed.
            NotConnected: no connection came about.

        """
        ...


class CheckingDialer(Dialer, Protocol):
    """A dialer that can also say whether a host may be reached."""

    def check(self, host: str, port: int) -> None:
        """Look whether a host may be connected to, for clients that resolve and connect by themselves.

        Raises:
            EgressRefused: an address that the name has now is not allowed.
            NotConnected: the name cannot be resolved.

        """
        ...


class CodeRule(Protocol):
    """Says who may run code, which includes the use of files of this machine."""

    async def code_allowed(self, tenant_id: str) -> bool:
        """Return whether jobs of this tenant may run code."""
        ...


class Resources(Protocol):
    """What the process lends to a job. `python_path` is where users' modules are looked for, after sys.path."""

    @property
    def outbound(self) -> Outbound:
        """The outbound HTTP client."""
        ...

    @property
    def workers(self) -> Workers:
        """The threads."""
        ...

    @property
    def dialer(self) -> Dialer:
        """The way out for other protocols than HTTP."""
        ...

    @property
    def connections(self) -> Connections:
        """The tenants' connections."""
        ...

    @property
    def attachments(self) -> Attachments:
        """Files that came with the tenants' events."""
        ...

    @property
    def code_rule(self) -> CodeRule:
        """Who may run code."""
        ...

    @property
    def python_path(self) -> Sequence[str]:
        """Folders of users' modules."""
        ...

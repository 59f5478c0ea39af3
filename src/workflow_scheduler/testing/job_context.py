"""A JobContext for tests: everything that a job does through it is kept in lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from workflow_scheduler.core.errors import NotConnected, Rejected
from workflow_scheduler.core.model.attachment import StoredAttachment
from workflow_scheduler.core.model.connection import Connection
from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.model.wait import WaitRequest
from workflow_scheduler.core.ports.engine import CalledRun, OpenedWait
from workflow_scheduler.core.ports.resources import Dialer, HttpReply, HttpRequest, Outbound, Workers
from workflow_scheduler.jobs.resources import ThreadWorkers
from workflow_scheduler.testing.fake_smtp import FakeMailDialer

T = TypeVar("T")
NOW_US = 1_800_000_000_000_000


class FakeOutbound:
    """Answers each request with the next of `replies`; an exception in the list is raised. `held`: never answers."""

    def __init__(self, replies: Sequence[HttpReply | Exception] = (), *, held: bool = False) -> None:
        """Queue the replies."""
        self.replies = list(replies)
        self._held = held
        self.requests: list[HttpRequest] = []

    async def send(self, request: HttpRequest) -> HttpReply:
        """Return the next reply; without one, the network is down."""
        self.requests.append(request)
        if self._held:
            await asyncio.Event().wait()
        reply = self.replies.pop(0) if self.replies else NotConnected("the test has no network")
        if isinstance(reply, Exception):
            raise reply
        return reply


class FakeConnections:
    """Connections by name. `expires_at` (microseconds) counts for all of them."""

    def __init__(self, fields: Mapping[str, tuple[str, Fields]] | None = None) -> None:
        """Know these: name -> (kind, fields)."""
        self.known = dict(fields or {})
        self.expires_at: int | None = None

    async def open(self, _tenant_id: str, name: str) -> Connection | None:
        """Return the connection of that name."""
        found = self.known.get(name)
        return None if found is None else Connection(name, found[0], found[1], self.expires_at)


class FakeAttachments:
    """Attachments by their references, with their content."""

    def __init__(self) -> None:
        """Know none; tests fill `known`."""
        self.known: dict[str, tuple[StoredAttachment, bytes]] = {}

    async def open(self, _tenant_id: str, ref: str) -> tuple[StoredAttachment, bytes]:
        """Return what stands under a reference.

        Raises:
            Rejected: there is nothing.

        """
        if ref not in self.known:
            raise Rejected(f"there is no attachment `{ref}`")
        return self.known[ref]


class FakeCodeRule:
    """Allows every tenant to run code, or none."""

    def __init__(self, *, allowed: bool = True) -> None:
        """Answer with `allowed`."""
        self.allowed = allowed

    async def code_allowed(self, _tenant_id: str) -> bool:
        """Return what was given."""
        return self.allowed


class FakeResources:
    """Resources with a fake network and real threads; call `close` at the end."""

    def __init__(
        self,
        outbound: Outbound | None = None,
        workers: Workers | None = None,
        python_path: Sequence[str] = (),
        *,
        dialer: Dialer | None = None,
        connections: Mapping[str, tuple[str, Fields]] | None = None,
    ) -> None:
        """Lend what is given, or fakes: the mail server of the fake dialer takes everything."""
        self.outbound: Outbound = outbound or FakeOutbound()
        self.dialer: Dialer = dialer or FakeMailDialer()
        self.connections = FakeConnections(connections)
        self.code_rule = FakeCodeRule()
        self.attachments = FakeAttachments()
        self._threads = ThreadWorkers(2)
        self.workers: Workers = workers or self._threads
        self.python_path = tuple(python_path)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.close()


class FakeJobContext:
    """Keeps log lines in `lines`, events in `events`; `on_line` is called for each line as it comes.

    With `held` events are never accepted, so that a test can cancel in the middle.
    """

    def __init__(
        self,
        *,
        resources: FakeResources | None = None,
        variables: Mapping[str, Any] | None = None,
        env: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        on_line: Callable[[str, str], None] | None = None,
        held: bool = False,
    ) -> None:
        """Start with empty records."""
        self.tenant_id = "local"
        self.run_id = "run-1"
        self.job_id = "job"
        self.attempt = 1
        self.idempotency_key = "run-1:job"
        self.variables: Mapping[str, Any] = variables or {"input": None, "event": None, "jobs": {}}
        self.env: Mapping[str, str] = env or {}
        self.resources = resources or FakeResources()
        self.lines: list[tuple[str, str]] = []
        self.events: list[tuple[Mapping[str, Any], str]] = []
        self.calls: list[tuple[str, Any, bool]] = []
        self.asked: list[WaitRequest] = []
        self.called: CalledRun | None = None
        self.now_us = NOW_US
        self._secrets = dict(secrets or {})
        self._on_line = on_line
        self._held = held

    def log(self, line: str, stream: str = "stdout") -> None:
        """Keep the line."""
        self.lines.append((stream, line))
        if self._on_line is not None:
            self._on_line(line, stream)

    def now(self) -> int:
        """Return the test's time in microseconds."""
        return self.now_us

    async def emit(self, event: Mapping[str, Any], key: str) -> str:
        """Keep the event; the same key gives the same id."""
        self.events.append((event, key))
        if self._held:
            await asyncio.Event().wait()
        return f"event:{key}"

    async def call(self, workflow: str, value: Any, *, wait: bool) -> CalledRun:
        """Keep the call; the run has just been started, or stands as `called` says."""
        self.calls.append((workflow, value, wait))
        if self._held:
            await asyncio.Event().wait()
        return self.called or CalledRun(id=f"run-of-{workflow}", workflow=workflow, status=RunStatus.QUEUED)

    async def ask(self, request: WaitRequest) -> OpenedWait:
        """Keep the request; the wait has just been registered."""
        self.asked.append(request)
        if self._held:
            await asyncio.Event().wait()
        return OpenedWait(id="wait-1", url="/api/v1/waits/wait-1")

    async def secret(self, name: str) -> str | None:
        """Return the test's secret."""
        return self._secrets.get(name)

"""For tests of polled and streaming trigger types: the real service in this process, and what a type is lent.

::

    async with SourceBench(folder, peer) as bench:      # the service on SQLite, one workflow with one trigger
        await peer.publish(range(10))
        await bench.heard(10)                           # waits until ten events have started ten runs
        await bench.crash()                             # as after `kill -9`: nothing is let go or acknowledged
        await bench.start()
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

from workflow_scheduler.app import Application
from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.time.clock import Clock, SystemClock
from workflow_scheduler.jobs.resources import PatientWorkers
from workflow_scheduler.outbound.dialer import GuardedDialer
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient
from workflow_scheduler.outbound.streams import HttpStreams
from workflow_scheduler.pipeline.sources.ending import end
from workflow_scheduler.pipeline.sources.lending import Lender, LentIO, Pulse
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.job_context import FakeCodeRule, FakeConnections

ROLES = "api,ingest,dispatch,engine,sources"
LOOPBACK = "127.0.0.0/8"
PUBLIC_URL = "https://flows.example.test"
PATIENCE_SECONDS = 60.0
_LOOK_SECONDS = 0.02
_OK = 300


class SourcePeer(Protocol):
    """A real server for one trigger type; the conformance suite publishes into it, cuts it off, and restores it."""

    type: str
    secrets: Mapping[str, str]
    connections: Mapping[str, Mapping[str, Any]]

    async def start(self) -> None:
        """Start the server on a free port of 127.0.0.1."""
        ...

    async def stop(self) -> None:
        """Stop it."""
        ...

    def config(self) -> dict[str, Any]:
        """Return the configuration of the trigger; it hears from the beginning where the type can."""
        ...

    async def publish(self, numbers: Iterable[int]) -> None:
        """Make one event of each number; may be called while the server is cut off, if it keeps what it gets."""
        ...

    def number(self, data: Any) -> int:
        """Return the number in the data of an event."""
        ...

    async def cut(self) -> None:
        """Break the connections and refuse new ones."""
        ...

    async def restore(self) -> None:
        """Be there again, at the same address, with everything that was published."""
        ...


class SourceBench:
    """The service with one workflow, `heard`, whose one trigger, `it`, listens to `peer`."""

    def __init__(
        self, folder: Path, peer: SourcePeer, *, clock: Clock | None = None, types: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:  # fmt: skip
        """Keep the database in `folder` unless `settings` name another; `types` are there beside the installed ones."""
        self.peer = peer
        self._clock = clock
        self._types = dict(types or {})
        given = {"egress_allow": LOOPBACK, "roles": ROLES, "data": folder, **settings}
        self._settings = Settings.model_validate(
            {**{name: field.default for name, field in Settings.model_fields.items()}, **given}
        )
        self._app: Application | None = None

    @property
    def app(self) -> Application:
        """The running instance."""
        assert self._app is not None, "the service is not running"
        return self._app

    @property
    def http(self) -> AsgiClient:
        """Calls its API."""
        return AsgiClient(self.app.asgi())

    async def __aenter__(self) -> Self:
        await self.start()
        try:
            await self.deploy()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start an instance on the database."""
        app = Application(self._settings, self._clock)
        app.types.update(self._types)
        await app.start()
        self._app = app

    async def stop(self) -> None:
        """Stop it in good order."""
        app, self._app = self._app, None
        if app is not None:
            await app.stop()

    async def crash(self) -> None:
        """End it as `kill -9` would: what is under way is dropped, and nothing is let go."""
        app, self._app = self.app, None
        supervisor = app.supervisor
        running = [one.task for one in supervisor._running.values() if one.task is not None]  # noqa: SLF001 -- see below
        supervisor.close = _nothing  # type: ignore[method-assign]
        await end((*app._tasks, *running))  # noqa: SLF001 -- nothing else may end in good order
        for engine in app.engines.values():
            await engine.close()
        app.workers.close()
        app.source_workers.close()
        await app.outbound.close()
        await app.streams.close()
        await app.store.close()

    async def deploy(self, **changes: Any) -> None:
        """Deploy the workflow, the trigger's configuration changed by `changes`."""
        for name, value in self.peer.secrets.items():
            await self.ask("POST", "/api/v1/secrets", {"name": name, "value": value})
        for name, fields in self.peer.connections.items():
            with suppress(AssertionError):  # it is there after a restart
                await self.ask("POST", "/api/v1/connections", {"name": name, **fields})
        definition = {
            "version": 1,
            "name": "heard",
            "triggers": {"it": {**self.peer.config(), **changes}},
            "jobs": {"note": {"uses": "noop"}},
        }
        await self.ask("POST", "/api/v1/deployment/workflows/heard/deploy", {"workflow_spec": definition})

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call the API and return the answer's JSON; an answer that is an error fails the test."""
        reply = await self.http.request(method, path, **({} if body is None else {"json": body}))
        assert reply.status < _OK, f"{method} {path} answers {reply.status}: {reply.text}"
        return reply.json() if reply.body else None

    async def health(self) -> dict[str, Any]:
        """Return the health of the trigger."""
        items = (await self.ask("GET", "/api/v1/triggers?workflow=heard"))["items"]
        found: dict[str, Any] = await self.ask("GET", f"/api/v1/triggers/{items[0]['id']}/health")
        return found

    async def runs(self) -> Counter[int]:
        """Return how many runs each published number has started."""
        rows = await self.app.store.read(
            "SELECT e.data FROM runs r JOIN events e ON e.tenant_id = r.tenant_id AND e.id = r.event_id"
            " WHERE e.provider = :type",
            {"type": self.peer.type},
        )
        return Counter(self.peer.number(msgspec.json.decode(row[0])) for row in rows)

    async def heard(self, count: int, seconds: float = PATIENCE_SECONDS) -> Counter[int]:
        """Wait until at least `count` numbers have started runs, and return how many runs each has."""
        found: Counter[int] = Counter()

        async def enough() -> bool:
            found.clear()
            found.update(await self.runs())
            return len(found) >= count

        await self.until(enough, f"{count} events", seconds)
        return found

    async def until(self, condition: Any, what: str, seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `condition()` (sync or async) holds.

        Raises:
            AssertionError: it does not hold within `seconds`; the message has the trigger's health.

        """
        clock = SystemClock()
        until = clock.monotonic() + seconds
        while True:
            held = condition()
            if await held if asyncio.iscoroutine(held) else held:
                return
            if clock.monotonic() > until:
                message = f"{what} did not come within {seconds:g} s: {await self.health()}"
                raise AssertionError(message)
            await clock.sleep(_LOOK_SECONDS)


class KeptItems:
    """What a listing has seen, in memory; a test hands it the `items` of each page, as the service would."""

    def __init__(self) -> None:
        """Remember nothing yet."""
        self.versions: dict[str, str] = {}

    def take(self, items: Mapping[str, str | None]) -> None:
        """Remember and forget."""
        for name, version in items.items():
            if version is None:
                self.versions.pop(name, None)
            else:
                self.versions[name] = version

    async def between(self, after: str, upto: str | None, limit: int) -> list[tuple[str, str]]:
        """Return names and versions, by name."""
        found = [(name, self.versions[name]) for name in sorted(self.versions) if name > after]
        return [one for one in found if upto is None or one[0] <= upto][:limit]


class LoneIO:
    """What a type is lent, without a service around: real ways out to 127.0.0.1, given secrets and connections."""

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        secrets: Mapping[str, str] | None = None,
        connections: Mapping[str, tuple[str, Fields]] | None = None,
        pubsub_emulator: str = "",
    ) -> None:
        """Open nothing yet; use as `async with LoneIO() as io`."""
        guard = EgressGuard([LOOPBACK])
        self._clock = clock or SystemClock()
        self._outbound, self._streams, self._workers = HttpClient(guard), HttpStreams(guard), PatientWorkers(4)
        self.pulse = Pulse(self._clock)
        self.items = KeptItems()
        self._lender = Lender(
            self._outbound,
            self._streams,
            GuardedDialer(guard),
            FakeConnections(connections),
            _Secrets(secrets or {}),
            self._workers,
            FakeCodeRule(),
            self._clock,
            PUBLIC_URL,
            pubsub_emulator,
        )

    async def __aenter__(self) -> LentIO:
        return self._lender.lend("local", self.pulse, {}, self.items)

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._workers.close()
        await self._outbound.close()
        await self._streams.close()


class _Secrets:
    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    async def get(self, _tenant_id: str, name: str) -> str | None:
        return self._values.get(name)

    async def live(self, _tenant_id: str, name: str) -> tuple[str, ...]:
        return (self._values[name],) if name in self._values else ()


async def _nothing() -> None:
    """Let go of nothing."""

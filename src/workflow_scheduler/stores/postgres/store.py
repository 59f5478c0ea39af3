"""The PostgreSQL store: any number of instances on one database, durable with every commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple, TypeVar, cast

import asyncpg

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.ports.store import Batch, BatchResult, Row, Sql, Work
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.postgres import statements
from workflow_scheduler.stores.postgres.committer import Committer
from workflow_scheduler.stores.postgres.connection import CONNECT_SECONDS, Session, migrate, own_errors, pool
from workflow_scheduler.stores.postgres.epochs import Epochs
from workflow_scheduler.stores.postgres.sql import native, tenant_of

T = TypeVar("T")
CONNECTIONS = 12
LANES = 3
CLOSE_SECONDS = 10.0


class _End(NamedTuple):
    """What a work returned."""

    value: Any


def _step(work: Work[Any], rows: list[Row] | None) -> Sql | _End:
    """Send the work its rows and return its next statement, or its end."""
    try:
        return work.send(cast("list[Row]", rows))
    except StopIteration as stop:
        return _End(stop.value)


class PostgresStore:
    """Implements `core.ports.store.Store` on a server.

    Sessions keep state (role, tenant, prepared statements): behind a pooler it must be in session mode. Works are not
    tried again, since a generator cannot be replayed: a deadlock ends one with StoreUnavailable. Cancelling a task that
    waits for `commit` does not undo what it submitted.
    """

    dialect = "postgres"

    def __init__(self, url: str, clock: Clock, *, connections: int = CONNECTIONS) -> None:
        """Keep where the server is and how many sessions reads and works may use; nothing is opened yet."""
        self._url = url
        self._clock = clock
        self._connections = connections
        self._pool: asyncpg.Pool[Any] | None = None
        self._writers: asyncpg.Pool[Any] | None = None
        self._committer: Committer | None = None
        self._callbacks: list[Callable[[int], None]] = []
        self._fact_callbacks: list[Callable[[], None]] = []
        self._epochs = Epochs(url, clock, self._changed, self._told)
        self._looking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Bring the schema up to date, connect, and listen for changes of the index.

        Raises:
            StoreUnavailable: the server does not answer or does not let us in.
            Conflict: the schema belongs to a newer version of the program.

        """
        await migrate(self._url, self._clock.now())
        try:
            self._pool = await pool(self._url, self._connections)
            self._writers = await pool(self._url, LANES, writers=True)
            self._committer = Committer(self._writers, LANES, self._look_again)
            await self._epochs.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Write what is queued and disconnect."""
        if self._committer is not None:
            await self._committer.close()
        if self._looking is not None:
            await asyncio.wait([self._looking])
        await self._epochs.close()
        for sessions in (self._writers, self._pool):
            if sessions is not None:
                try:
                    await asyncio.wait_for(sessions.close(), CLOSE_SECONDS)
                except TimeoutError:
                    sessions.terminate()
        self._pool = self._writers = self._committer = None

    async def read(self, text: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one read-only statement and return its rows.

        Raises:
            StoreUnavailable: the server does not answer.

        """
        statement, values = native(text, params or {})
        with own_errors():
            async with self._session() as session:
                await session.scope(tenant_of(params))
                return [tuple(row) for row in await session.fetch(statement, *values)]

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in one transaction (READ COMMITTED) and return its result.

        Raises:
            StoreUnavailable: the server was lost (then the outcome is unknown), or a deadlock ended the work.
            Conflict: the work violated a constraint.

        """
        try:
            with own_errors():
                async with self._session() as session:
                    return await self._drive(session, work)
        finally:
            work.close()

    @staticmethod
    async def _drive(session: Session, work: Work[T]) -> T:
        """Send the work its rows until it ends."""
        step = _step(work, None)
        if isinstance(step, _End):
            return cast("T", step.value)
        await session.scope(tenant_of(step.params))
        try:
            async with session.transaction():
                while not isinstance(step, _End):
                    await session.scope(tenant_of(step.params))
                    statement, values = native(step.text, step.params)
                    rows = await session.fetch(statement, *values)
                    step = _step(work, [tuple(row) for row in rows])
        except BaseException:
            with suppress(AttributeError):  # the pool's proxy of a connection that is gone has nothing left to forget
                session.forget()
            raise
        return cast("T", step.value)

    async def commit(self, batch: Batch) -> BatchResult:
        """Write `batch`, in one transaction with others that arrive meanwhile.

        Raises:
            StoreUnavailable: the server was lost; the batch may be written again as it is.
            Conflict: a row violates a constraint other than the keys that make writes idempotent.
            BadRequest: a value cannot be stored (a NUL character in text, an integer beyond 64 bits).

        """
        if self._committer is None:
            raise StoreUnavailable("the store is closed")
        return await self._committer.submit(batch)

    async def epoch(self) -> int:
        """Return the index epoch: as heard last, or read while nothing can be heard."""
        if not self._epochs.current:
            await self._look()
        return self._epochs.epoch

    def on_epoch(self, callback: Callable[[int], None]) -> None:
        """Call `callback` on the loop with the new epoch after each change, whichever instance made it."""
        self._callbacks.append(callback)

    def on_fact(self, callback: Callable[[], None]) -> None:
        """Call `callback` on the loop when facts were stored that are to become events, whichever instance did it."""
        self._fact_callbacks.append(callback)

    def _told(self) -> None:
        for callback in self._fact_callbacks:
            callback()

    def _changed(self, epoch: int) -> None:
        for callback in self._callbacks:
            callback(epoch)

    async def _look(self) -> None:
        self._epochs.learn((await self.read(statements.EPOCH))[0][0])

    def _look_again(self) -> None:
        """A batch was stale before the change was heard: read the epoch, so that the next decision is current."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look(), name="postgres-epoch-look")

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Session]:
        """Lend a session of the pool."""
        if self._pool is None:
            raise StoreUnavailable("the store is closed")
        async with self._pool.acquire(timeout=CONNECT_SECONDS) as session:
            yield cast("Session", session)

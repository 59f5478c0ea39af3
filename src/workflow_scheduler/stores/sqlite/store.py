"""The SQLite store: one file, one process, one writer, durable with every commit."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.ports.store import Batch, BatchResult, Row, Work
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.sqlite.checkpoints import Checkpoints
from workflow_scheduler.stores.sqlite.connection import lock, migrate, reader_connection, writer_connection
from workflow_scheduler.stores.sqlite.reader import Reader
from workflow_scheduler.stores.sqlite.writer import Writer

T = TypeVar("T")


class SqliteStore:
    """Implements `core.ports.store.Store` on the file `path`, which this process then owns alone.

    `vfs` names a SQLite VFS for tests that let the disk fail. Cancelling a task that waits for `commit` or `transact`
    does not undo what it submitted.
    """

    dialect = "sqlite"

    def __init__(self, path: Path | str, clock: Clock, *, vfs: str | None = None) -> None:
        """Keep where the file is; nothing is opened yet."""
        self.path = Path(path)
        self._clock = clock
        self._vfs = vfs
        self._lock: int | None = None
        self._writer: Writer | None = None
        self._reader: Reader | None = None
        self._checkpoints: Checkpoints | None = None
        self._callbacks: list[Callable[[int], None]] = []

    async def open(self) -> None:
        """Take the lock, bring the schema up to date and start the writer.

        Raises:
            StoreUnavailable: another process owns the file, or the disk failed.
            Conflict: the schema belongs to a newer version of the program.

        """
        self._lock = lock(self.path)
        try:
            self._start()
        except Exception:
            self._unlock()
            raise

    def _start(self) -> None:
        checkpoints = Checkpoints(partial(writer_connection, self.path, self._vfs))
        connection = checkpoints.watch(writer_connection(self.path, self._vfs))
        try:
            migrate(connection, self._clock.now())
            self._reader = Reader(partial(reader_connection, self.path, self._vfs))
            writer = Writer(
                lambda: checkpoints.watch(writer_connection(self.path, self._vfs)),
                asyncio.get_running_loop(),
                self._changed,
            )
            writer.between_groups = checkpoints.tail
            writer.start(connection)
        except Exception:
            connection.close(True)  # noqa: FBT003 (apsw's `force` has no keyword)
            raise
        checkpoints.start()
        self._writer, self._checkpoints = writer, checkpoints

    async def close(self) -> None:
        """Write what is queued, close every connection and give the file back."""
        if self._writer is None or self._reader is None or self._checkpoints is None:
            return
        await self._writer.close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self._checkpoints.close)
        await loop.run_in_executor(None, self._reader.close)
        self._writer = self._reader = self._checkpoints = None
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    async def read(self, text: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one read-only statement and return its rows; it sees every commit that was answered before.

        Raises:
            StoreUnavailable: the disk failed, or the store is closed.

        """
        if self._reader is None:
            raise StoreUnavailable("the store is closed")
        return await self._reader.read(text, params)

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in the writer thread, in a savepoint of the next group, and return its result.

        Raises:
            StoreUnavailable: the commit failed; nothing was written.
            Conflict: the work violated a constraint.

        """
        result: T = await self._started().submit(work=work)
        return result

    async def commit(self, batch: Batch) -> BatchResult:
        """Write `batch` with the next group.

        Raises:
            StoreUnavailable: the commit failed; nothing was written.
            Conflict: a row violates a constraint other than the keys that make writes idempotent.
            BadRequest: a value cannot be stored (a lone surrogate, an integer beyond 64 bits).

        """
        result: BatchResult = await self._started().submit(batch=batch)
        return result

    async def epoch(self) -> int:
        """Return the index epoch as of the last commit."""
        return self._started().epoch

    def on_epoch(self, callback: Callable[[int], None]) -> None:
        """Call `callback` on the loop with the new epoch after every commit that changed it."""
        self._callbacks.append(callback)

    def _changed(self, epoch: int) -> None:
        for callback in self._callbacks:
            callback(epoch)

    def _started(self) -> Writer:
        if self._writer is None:
            raise StoreUnavailable("the store is closed")
        return self._writer

"""The one thread that writes: it takes everything that is queued and commits it together.

Nothing waits on purpose: a lone batch is committed at once, and what arrives while the disk is busy forms the next
group. Inside a group the batches go first, merged; then each Work in a savepoint of its own. Results go back to the
event loop in one call per commit, after the commit.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

import apsw
import msgspec

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.ports.store import Batch, BatchResult, Work
from workflow_scheduler.stores.portable.merge import STALE, GuardLostError, rows_of
from workflow_scheduler.stores.sqlite import statements
from workflow_scheduler.stores.sqlite.connection import native, own_error
from workflow_scheduler.stores.sqlite.group import GroupWriter

GROUP_ROWS_MAX = 1_500
# Between two steps the writer waits for the interpreter lock; with Python's 5 ms a busy loop would hold up a commit of
# ten statements for 50 ms.
SWITCH_INTERVAL_SECONDS = 0.0005
_DISK_ERRORS = (
    apsw.IOError, apsw.FullError, apsw.CorruptError, apsw.NotADBError, apsw.CantOpenError, apsw.BusyError,
    apsw.ReadOnlyError, apsw.NoMemError, apsw.ProtocolError, apsw.LockedError, apsw.AbortError, OSError,
)  # fmt: skip


class Request(msgspec.Struct, gc=False):
    """A batch or a work, who waits for it, and what became of it."""

    future: asyncio.Future[Any]
    batch: Batch | None = None
    work: Work[Any] | None = None
    result: Any = None
    error: Exception | None = None


class Group(msgspec.Struct, gc=False):
    """What goes to disk in one commit."""

    batches: list[Request]
    works: list[Request]
    rows: int = 0


class Writer:
    """Owns the writing connection. `connect` opens it; it is opened anew after the disk has failed."""

    def __init__(
        self, connect: Callable[[], apsw.Connection], loop: asyncio.AbstractEventLoop, heard: Callable[[int], None]
    ) -> None:
        """Keep how to connect, the loop that results go to, and who hears (on the loop) of a new epoch."""
        self._connect = connect
        self._loop = loop
        self._heard = heard
        self._queue: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._connection: apsw.Connection | None = None
        self._group: GroupWriter | None = None
        self._closing = False
        self.between_groups: Callable[[apsw.Connection], None] = lambda _connection: None
        self.epoch = 0

    def start(self, connection: apsw.Connection) -> None:
        """Start the thread with a connection whose schema is up to date."""
        if sys.getswitchinterval() > SWITCH_INTERVAL_SECONDS:
            sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        self._adopt(connection)
        self._thread.start()

    def submit(self, *, batch: Batch | None = None, work: Work[Any] | None = None) -> asyncio.Future[Any]:
        """Queue a batch or a work and return the future of its result.

        Raises:
            StoreUnavailable: the store is closed.

        """
        if self._closing:
            raise StoreUnavailable("the store is closed")
        request = Request(self._loop.create_future(), batch, work)
        self._queue.put(request)
        return request.future

    async def close(self) -> None:
        """Write what is queued, then end the thread and close its connection."""
        if not self._closing:
            self._closing = True
            self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _adopt(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._group = GroupWriter(connection)
        self.epoch = self._read_epoch(connection)

    @staticmethod
    def _read_epoch(connection: apsw.Connection) -> int:
        epoch: Any = connection.execute(statements.EPOCH).fetchall()[0][0]
        return int(epoch)

    def _run(self) -> None:
        open_for_more = True
        while open_for_more:
            group = Group([], [])
            open_for_more = self._gather(group)
            if group.batches or group.works:
                self._write(group)
            if self._connection is not None and self._queue.empty():
                self.between_groups(self._connection)
        if self._connection is not None:
            self._connection.close()

    def _gather(self, group: Group) -> bool:
        """Take what is queued, up to the size of a group; return False when the store is being closed."""
        request = self._queue.get()
        while request is not None:
            if request.batch is not None:
                group.batches.append(request)
                group.rows += rows_of(request.batch)
            else:
                group.works.append(request)
                group.rows += 8
            if group.rows >= GROUP_ROWS_MAX:
                return True
            try:
                request = self._queue.get_nowait()
            except queue.Empty:
                return True
        return False

    def _write(self, group: Group) -> None:
        before = self.epoch
        try:
            if self._connection is None:
                self._adopt(self._connect())
            self._commit(group)
        except Exception as error:  # noqa: BLE001 (whatever happens, the waiters must hear of it and the thread goes on)
            self._fail(group, error)
        self._deliver(group, before)

    def _commit(self, group: Group) -> None:
        connection = self._connection
        assert connection is not None
        connection.execute("BEGIN IMMEDIATE")
        if group.batches and not self._merged(group.batches):
            connection.execute("ROLLBACK")
            connection.execute("BEGIN IMMEDIATE")
            for request in group.batches:
                self._alone(request, self._one)
        for request in group.works:
            self._alone(request, self._drive)
        epoch = self._read_epoch(connection) if group.works else self.epoch
        connection.execute("COMMIT")
        self.epoch = epoch

    def _merged(self, requests: list[Request]) -> bool:
        """Write all batches together; return False when that did not work and they have to be written one by one."""
        current: list[Request] = []
        batches: list[Batch] = []
        for request in requests:
            batch = request.batch
            assert batch is not None
            if batch.epoch is not None and batch.epoch != self.epoch:
                request.result = STALE
            else:
                current.append(request)
                batches.append(batch)
        if not batches:
            return True
        assert self._group is not None
        try:
            results = self._group.merged(batches)
        except GuardLostError:
            return False
        except _DISK_ERRORS:
            raise
        except Exception:  # noqa: BLE001 (the batch at fault is found by writing them one by one)
            return False
        for request, result in zip(current, results, strict=True):
            request.result = result
        return True

    def _one(self, request: Request) -> BatchResult:
        batch = request.batch
        assert batch is not None
        assert self._group is not None
        if batch.epoch is not None and batch.epoch != self.epoch:
            return STALE
        return self._group.one(batch)

    def _drive(self, request: Request) -> Any:
        """Run a Work to its end."""
        work, connection = request.work, self._connection
        assert work is not None
        assert connection is not None
        try:
            sql = next(work)
            while True:
                rows = connection.execute(native(sql.text), dict(sql.params)).fetchall()
                sql = work.send(rows)
        except StopIteration as stop:
            return stop.value
        finally:
            work.close()

    def _alone(self, request: Request, write: Callable[[Request], Any]) -> None:
        """Write one request inside a savepoint; its own error undoes only itself, a failing disk undoes all."""
        connection = self._connection
        assert connection is not None
        connection.execute("SAVEPOINT own")
        try:
            request.result = write(request)
        except _DISK_ERRORS:
            raise
        except Exception as error:  # noqa: BLE001 (it is handed to the one who waits)
            request.error = own_error(error)
            connection.execute("ROLLBACK TO own")
        connection.execute("RELEASE own")

    def _fail(self, group: Group, error: Exception) -> None:
        """Nothing of this group is on disk: tell every waiter, and connect anew for the next group."""
        told = own_error(error)
        for request in (*group.batches, *group.works):
            request.result = None
            request.error = told
            if request.work is not None:
                request.work.close()
        connection, self._connection, self._group = self._connection, None, None
        if connection is not None:
            try:
                connection.close(True)  # noqa: FBT003 (apsw's `force` has no keyword)
            except apsw.Error as closing:
                told.add_note(f"closing the connection failed as well: {closing}")

    def _deliver(self, group: Group, epoch_before: int) -> None:
        epoch = self.epoch if self.epoch != epoch_before else None
        try:
            self._loop.call_soon_threadsafe(self._hand_over, group, epoch)
        except RuntimeError:  # the loop is closed: nobody waits any more
            self._closing = True

    def _hand_over(self, group: Group, epoch: int | None) -> None:
        for request in (*group.batches, *group.works):
            if request.future.done():
                continue
            if request.error is None:
                request.future.set_result(request.result)
            else:
                request.future.set_exception(request.error)
        if epoch is not None:
            self._heard(epoch)

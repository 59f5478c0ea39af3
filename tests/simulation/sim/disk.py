"""A SQLite store on virtual time: the program's own store on a real file, written without a thread, with faults.

Everything but the thread is the program's: statements, merging, savepoints, what happens after a failed commit.
"""

import asyncio
import queue
from functools import partial

import apsw

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.stores.sqlite.connection import (
    migrate,
    native,
    own_errors,
    reader_connection,
    writer_connection,
)
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.stores.sqlite.writer import Group, Writer


class Faults:
    """What is to go wrong with the disk. The crash is called in place of the answer to a commit."""

    def __init__(self, clock, random):
        self._clock = clock
        self._random = random
        self.on_crash = lambda: None
        self._fates = []
        self._down_until = 0.0
        self._reads_fail = False
        self._slow_until = 0.0

    def plan(self, fate, commits):
        """Let a commit that is `commits` away go wrong: `crash` or `fail`, `before` or `after` it is on disk."""
        self._fates += [None] * (commits - len(self._fates))
        self._fates[commits - 1 :] = [fate]

    def outage(self, seconds, *, reads):
        self._down_until = self._clock.monotonic() + seconds
        self._reads_fail = reads

    def slow(self, seconds):
        self._slow_until = self._clock.monotonic() + seconds

    def heal(self):
        self._fates.clear()
        self._down_until = self._slow_until = 0.0

    def fate(self):
        if self._clock.monotonic() < self._down_until:
            return "fail before"
        return self._fates.pop(0) if self._fates else None

    def delay(self):
        return self._random.uniform(0.01, 3.0) if self._clock.monotonic() < self._slow_until else 0.0

    def check_read(self):
        if self._reads_fail and self._clock.monotonic() < self._down_until:
            raise StoreUnavailable("the database failed: a simulated outage")


def _quick(path):
    """Open a writing connection that does not sync: a crash of the process loses nothing by that."""
    connection = writer_connection(path, None)
    connection.execute("PRAGMA synchronous=OFF")
    return connection


class LoopWriter(Writer):
    """The writer without its thread: a group is written in a turn of the event loop."""

    def __init__(self, connect, loop, heard, faults):
        super().__init__(connect, loop, heard)
        self._faults = faults
        self._fate = None
        self._planned = False
        self.severed = False

    def start(self, connection):
        self._adopt(connection)

    def submit(self, *, batch=None, work=None):
        future = super().submit(batch=batch, work=work)
        self._plan()
        return future

    def _plan(self):
        if not self._planned and not self.severed:
            self._planned = True
            self._loop.call_later(self._faults.delay(), self._turn)

    def _turn(self):
        self._planned = False
        if self.severed or self._queue.empty():
            return
        group = Group([], [])
        self._gather(group)
        self._fate = self._faults.fate()
        self._write(group)
        if not self._queue.empty():
            self._plan()

    def flush(self):
        """Write everything that is queued."""
        while not self.severed and not self._queue.empty():
            self._turn()

    def _commit(self, group):
        if self._fate == "crash before":
            self._crash()
            return
        if self._fate == "fail before":
            raise apsw.FullError("a simulated full disk")
        epoch = self.epoch
        super()._commit(group)
        if self._fate == "crash after":
            self._crash()
        elif self._fate == "fail after":
            self.epoch = epoch
            raise apsw.IOError("a simulated failure at the end of a commit that is on disk all the same")

    def _crash(self):
        self.severed = True
        self._faults.on_crash()

    def _deliver(self, group, epoch_before):
        if not self.severed:
            super()._deliver(group, epoch_before)

    def _hand_over(self, group, epoch):
        if not self.severed:
            super()._hand_over(group, epoch)

    def release(self):
        """Give up the connection, as the end of the process does."""
        self.severed = True
        self._queue = queue.SimpleQueue()
        if self._connection is not None:
            self._connection.close(True)  # noqa: FBT003
            self._connection = None


class SimStore(SqliteStore):
    """The SQLite store with a writer on the loop, and an end like that of `kill -9`."""

    def __init__(self, path, clock, faults, loop):
        super().__init__(path, clock)
        self._faults = faults
        self._loop = loop
        self._inline = None

    def _start(self):
        connection = _quick(self.path)
        migrate(connection, self._clock.now())
        self._inline = reader_connection(self.path, None)
        self._writer = LoopWriter(partial(_quick, self.path), self._loop, self._changed, self._faults)
        self._writer.start(connection)

    async def read(self, text, params=None):
        if self._writer is None or self._writer.severed:
            await self._loop.create_future()
        self._faults.check_read()
        with own_errors():
            return self._inline.execute(native(text), dict(params or {})).fetchall()

    def sever(self):
        """Let nothing reach the disk any more, and nobody hear an answer."""
        if self._writer is not None:
            self._writer.severed = True

    def release(self):
        """Close the file, after `sever`."""
        if self._writer is not None:
            self._writer.release()
            self._inline.close()
            self._unlock()
            self._writer = None

    async def close(self):
        """Write what is queued, and close the file."""
        if self._writer is not None:
            self._writer.flush()
            await self._loop.create_task(_turns())
            self.release()


async def _turns():
    """Let those who wait for the last writes hear of them."""
    for _ in range(3):
        await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop, no waiting

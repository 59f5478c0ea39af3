"""Moving committed pages from the write-ahead log into the database file, beside the commits and not in their way.

A thread with a connection of its own copies most of the log while commits go on. What was added in the meantime is
little; the writer copies it between two groups, so that the log starts over instead of growing for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import apsw

LOG_PAGES_MAX = 8_192


class Checkpoints:
    """Watches the size of the log. `connect` opens a connection for the thread that copies."""

    def __init__(self, connect: Callable[[], apsw.Connection], pages_max: int = LOG_PAGES_MAX) -> None:
        """Keep how to connect and how many pages the log may hold before they are moved."""
        self._connect = connect
        self._pages_max = pages_max
        self._pages = 0
        self._wanted = threading.Event()
        self._most_done = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="sqlite-checkpoint", daemon=True)
        self.done = 0

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the copy under way."""
        self._closing = True
        self._wanted.set()
        self._thread.join()

    def watch(self, connection: apsw.Connection) -> apsw.Connection:
        """Hear of every commit of `connection`, and return it."""
        connection.set_wal_hook(self._committed)
        return connection

    def tail(self, connection: apsw.Connection) -> None:
        """Called by the writer between groups: copy the rest when the thread has copied most of it."""
        if self._most_done.is_set():
            self._most_done.clear()
            try:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                self.done += 1
            except apsw.Error:
                return  # the log stays as it is; the next commit that finds it too long asks again

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._pages = pages
        if pages >= self._pages_max and not self._most_done.is_set():
            self._wanted.set()
        return apsw.SQLITE_OK

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        while not self._closing:  # asked again here: `close` may wake us while the copy ends, and `clear` forgets that
            self._wanted.wait()
            if self._closing:
                break
            try:
                connection = connection or self._connect()
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
                self._most_done.set()
            except apsw.Error:
                connection = None  # a full or failing disk; the next commit asks again
            self._wanted.clear()
        if connection is not None:
            connection.close()

"""Reads: short ones at once on the event loop, long ones in threads, without anybody having to say which is which.

A read starts on the loop's own connection. When it has used up its budget of steps it is interrupted and done again
in a thread, and the same statement goes to the threads straight away for the next while.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apsw

from workflow_scheduler.core.ports.store import Row
from workflow_scheduler.stores.sqlite.connection import native, own_errors

INLINE_STEPS_MAX = 40_000
LONG_FOR_READS = 64
THREADS = 2


class Reader:
    """Runs read-only statements. `connect` opens a connection that cannot write."""

    def __init__(self, connect: Callable[[], apsw.Connection]) -> None:
        """Open the loop's connection; those of the threads are opened when first needed."""
        self._connect = connect
        self._inline = connect()
        self._ticks = 0
        self._inline.set_progress_handler(self._out_of_budget, INLINE_STEPS_MAX // 2)
        self._long: dict[str, int] = {}
        self._threads = ThreadPoolExecutor(THREADS, "sqlite-reader")
        self._local = threading.local()
        self._opened: list[apsw.Connection] = []

    async def read(self, text: str, params: Mapping[str, Any] | None) -> list[Row]:
        """Return the rows of `text`.

        Raises:
            StoreUnavailable: the disk failed.

        """
        bindings = dict(params) if params else {}
        if text not in self._long:
            try:
                return self._read_inline(text, bindings)
            except apsw.InterruptError:
                self._long[text] = LONG_FOR_READS
        self._long[text] -= 1
        if self._long[text] <= 0:
            del self._long[text]
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._read_in_thread, text, bindings)

    def close(self) -> None:
        """Close every connection, after the reads under way."""
        self._threads.shutdown(wait=True)
        for connection in (self._inline, *self._opened):
            connection.close()

    def _out_of_budget(self) -> bool:
        """Count the calls that SQLite makes every half budget; the counter behind them runs on between statements."""
        self._ticks += 1
        return self._ticks > 2  # noqa: PLR2004 (two halves, and the one that began before the statement)

    def _read_inline(self, text: str, bindings: dict[str, Any]) -> list[Row]:
        self._ticks = 0
        with own_errors():
            rows: list[Row] = self._inline.execute(native(text), bindings).fetchall()
        return rows

    def _read_in_thread(self, text: str, bindings: dict[str, Any]) -> list[Row]:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            self._local.connection = connection
            self._opened.append(connection)
        with own_errors():
            rows: list[Row] = connection.execute(native(text), bindings).fetchall()
        return rows

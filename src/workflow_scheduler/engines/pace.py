"""How many calls an engine gets at once: one more while it keeps up, half as many when it is too busy.

A Prefect server on SQLite answers concurrent writes with 503 and lost connections, and gets less done the more of them
there are; one on PostgreSQL gets more done. Nobody tells us which it is, so this finds out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Pace:
    """The calls under way; those beyond the limit wait in their order."""

    def __init__(self, most: int = 16) -> None:
        """Begin with one call at a time, and never allow more than `most`."""
        self._most = float(most)
        self._limit = 1.0
        self._under_way = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def limit(self) -> int:
        """How many calls may be under way now."""
        return int(self._limit)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place, and keep it for the time of the call."""
        while self._under_way >= self.limit:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._pass_on()
                raise
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1
            self._pass_on()

    def kept_up(self) -> None:
        """Note that the engine did what it was asked: after as many calls as the limit, it gets one more at once."""
        self._limit = min(self._most, self._limit + 1 / self._limit)
        self._pass_on()

    def fell_behind(self) -> None:
        """Note that the engine was too busy."""
        self._limit = max(1.0, self._limit / 2)

    def _pass_on(self) -> None:
        free = self.limit - self._under_way
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                free -= 1

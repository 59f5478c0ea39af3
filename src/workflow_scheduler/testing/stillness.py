"""Knowing when a program in the same process has nothing left to do at this instant of a clock that stands still."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Mapping
from typing import Any, TypeVar

from workflow_scheduler.core.ports.store import Batch, BatchResult, Row, Work
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock

T = TypeVar("T")
PATIENCE_SECONDS = 60.0
_QUIET_ROUNDS = 3


class Activity:
    """What is under way outside of the event loop: the store's work, and jobs. `names` says which."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.names: dict[object, str] = {}
        self.count = 0
        self._ended = asyncio.Event()

    async def follow(self, name: str, work: Awaitable[T]) -> T:
        """Await something, and be busy meanwhile."""
        token = object()
        self.names[token] = name
        try:
            return await work
        finally:
            del self.names[token]
            self.count += 1
            self._ended.set()

    async def next_end(self) -> None:
        """Wait until something that is under way has ended.

        Raises:
            TimeoutError: nothing has for PATIENCE_SECONDS of real time; the message says what is under way.

        """
        self._ended.clear()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            message = f"still under way after {PATIENCE_SECONDS:g} s of real time: {', '.join(self.names.values())}"
            raise TimeoutError(message) from None


class WatchedStore(SqliteStore):
    """A store that tells when it is at work."""

    activity: Activity

    async def read(self, text: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Read, and be busy meanwhile."""
        return await self.activity.follow("a read", super().read(text, params))

    async def transact(self, work: Work[T]) -> T:
        """Write, and be busy meanwhile."""
        return await self.activity.follow("a transaction", super().transact(work))

    async def commit(self, batch: Batch) -> BatchResult:
        """Write, and be busy meanwhile."""
        return await self.activity.follow("a commit", super().commit(batch))


class StillClock(FakeClock):
    """A fake clock that goes on only once everything is quiet."""

    def __init__(self, now: int, activity: Activity) -> None:
        """Begin at `now` (microseconds)."""
        super().__init__(now)
        self._activity = activity

    async def settle(self) -> None:
        """Let everything happen that can happen without time passing.

        Raises:
            TimeoutError: a job goes on for too long in real time.

        """
        quiet, seen = 0, -1
        while quiet < _QUIET_ROUNDS:
            await super().settle()
            if self._activity.names:
                await self._activity.next_end()
                quiet = 0
            elif self._activity.count != seen:
                seen, quiet = self._activity.count, 0
            else:
                quiet += 1

    async def leap(self, seconds: float) -> None:
        """Go `seconds` ahead at once, and wake all whose time has come by then, the earliest first."""
        self._move(self._monotonic + seconds)
        while self._sleepers and self._sleepers[0][0] <= self._monotonic:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
        await self.settle()

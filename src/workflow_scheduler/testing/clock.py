"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import random

from workflow_scheduler.core.time.clock import SECOND_US, from_iso

NOON = from_iso("2027-01-05T12:00:00Z")
_SETTLE_TURNS = 20


class FakeClock:
    """Implements Clock. `advance` moves both times and wakes sleepers in the order of their due times."""

    def __init__(self, now: int = NOON, seed: int = 0) -> None:
        """Begin at `now` (microseconds); chance is reproducible from `seed`."""
        self._now = now
        self._monotonic = 1000.0
        self._random = random.Random(seed)  # noqa: S311 - tests want the same numbers every time
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> int:
        """Return the wall-clock instant in microseconds."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return self._monotonic

    def random(self) -> float:
        """Return the next number of the seed."""
        return self._random.random()

    async def sleep(self, seconds: float) -> None:
        """Wait until `advance` has moved the clock by `seconds`."""
        if seconds <= 0:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._monotonic + seconds, self._count, future))
        await future

    @property
    def sleeping(self) -> int:
        """The number of tasks that wait for time to pass."""
        return sum(not future.done() for _, _, future in self._sleepers)

    def jump(self, seconds: float) -> None:
        """Move only the wall clock, as when somebody sets it."""
        self._now += round(seconds * SECOND_US)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass; everything that becomes due on the way runs at its own time."""
        target = self._monotonic + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue
            self._move(due)
            future.set_result(None)
            await self.settle()
        self._move(target)
        await self.settle()

    async def settle(self) -> None:
        """Give every task that can go on without time passing the turns to do so."""
        for _ in range(_SETTLE_TURNS):
            await asyncio.sleep(0)  # noqa: TID251 - a turn of the loop, no waiting

    def _move(self, monotonic: float) -> None:
        step = max(monotonic - self._monotonic, 0.0)
        self._monotonic += step
        self._now += round(step * SECOND_US)

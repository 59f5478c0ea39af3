"""Many timers on one waiting task: a heap by due time, woken through the Clock."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable

from workflow_scheduler.core.time.clock import Clock

_COMPACT_MIN = 1000
_logger = logging.getLogger(__name__)


class Timer:
    """A planned call; `cancel` makes it never happen."""

    __slots__ = ("callback", "due", "owner")

    def __init__(self, due: float, callback: Callable[[], None], owner: Timers) -> None:
        """Plan `callback` for the monotonic time `due`."""
        self.due = due
        self.callback: Callable[[], None] | None = callback
        self.owner = owner

    def cancel(self) -> None:
        """Forget the call."""
        if self.callback is not None:
            self.callback = None
            self.owner.forget()


class Timers:
    """Calls functions at monotonic times. Only one task waits, whatever the number of timers."""

    def __init__(self, clock: Clock) -> None:
        """Wait through `clock`."""
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._dead = 0
        self._waiter: asyncio.Task[None] | None = None
        self._armed = 0.0

    def __len__(self) -> int:
        """Return the number of timers that are still planned."""
        return len(self._heap) - self._dead

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` once `seconds` have passed."""
        timer = Timer(self._clock.monotonic() + max(seconds, 0.0), callback, self)
        self._count += 1
        heapq.heappush(self._heap, (timer.due, self._count, timer))
        self._arm()
        return timer

    def planned(self) -> list[tuple[float, Callable[[], None]]]:
        """Return when what is planned is due, and what that is."""
        return [(due, timer.callback) for due, _, timer in self._heap if timer.callback is not None]

    def forget(self) -> None:
        """Count a timer as cancelled, and drop such entries once they are the larger part of the heap."""
        self._dead += 1
        if self._dead > _COMPACT_MIN and self._dead * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._dead = 0

    def close(self) -> None:
        """Stop waiting and forget every timer."""
        self._heap.clear()
        self._dead = 0
        if self._waiter is not None:
            self._waiter.cancel()
            self._waiter = None

    def _arm(self) -> None:
        due = self._heap[0][0]
        if self._waiter is not None:
            if self._armed <= due:
                return
            self._waiter.cancel()
        self._armed = due
        self._waiter = asyncio.get_running_loop().create_task(self._wait(due))

    async def _wait(self, due: float) -> None:
        left = due - self._clock.monotonic()
        if left > 0:
            await self._clock.sleep(left)
        self._waiter = None
        self._fire()

    def _fire(self) -> None:
        now = self._clock.monotonic()
        while self._heap and self._heap[0][0] <= now:
            _, _, timer = heapq.heappop(self._heap)
            callback, timer.callback = timer.callback, None
            if callback is None:
                self._dead -= 1
            else:
                _call(callback)
        if self._heap:
            self._arm()


def _call(callback: Callable[[], None]) -> None:
    """Call, and keep what goes wrong there from the timers behind it."""
    try:
        callback()
    except Exception:
        _logger.exception("a timer failed")

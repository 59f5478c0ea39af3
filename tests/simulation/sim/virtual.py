"""Virtual time: an event loop that never waits, and the clock that the program sees on it.

When nothing is left to do the loop goes straight to the next planned call. What runs, and in which order, depends on
the seed only.
"""

import asyncio
import random
import selectors

from workflow_scheduler.core.time.clock import SECOND_US, from_iso

BEGINNING = from_iso("2027-01-05T12:00:00Z")


class _NeverWaits(selectors.DefaultSelector):
    """Lets the loop's time pass in place of waiting."""

    def __init__(self):
        super().__init__()
        self.seconds = 1000.0

    def select(self, timeout=None):
        if timeout is None:
            raise RuntimeError("everything waits for something that will never happen")
        self.seconds += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, without threads."""

    def __init__(self):
        self._virtual = _NeverWaits()
        super().__init__(self._virtual)

    def time(self):
        return self._virtual.seconds

    def run_in_executor(self, executor, func, *args):
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 -- it belongs to whoever waits
            future.set_exception(error)
        return future


class VirtualClock:
    """Implements Clock on a VirtualLoop. `jump` sets the wall clock; the other one never jumps."""

    def __init__(self, loop, seed):
        self._loop = loop
        self._offset = BEGINNING - round(loop.time() * SECOND_US)
        self._random = random.Random(seed)  # noqa: S311 -- the same numbers every time

    def now(self):
        return round(self._loop.time() * SECOND_US) + self._offset

    def monotonic(self):
        return self._loop.time()

    def random(self):
        return self._random.random()

    async def sleep(self, seconds):
        if seconds > 0:
            future = self._loop.create_future()
            self._loop.call_later(seconds, _wake, future)
            await future

    def jump(self, seconds):
        self._offset += round(seconds * SECOND_US)


def _wake(future):
    if not future.done():
        future.set_result(None)

"""How many jobs run as tasks at once in this process, over all runs; the others wait in the order they came."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable


class Admission:
    """A counter of places and a queue before it.

    `defer` runs a function in a later turn of the event loop; it keeps one end of a job from starting the next one
    deep inside the first one's call. While `gate` returns False nobody enters; `reopen` lets in those who waited.
    """

    def __init__(self, places: int, defer: Callable[[Callable[[], None]], None]) -> None:
        """Have `places`, all of them free."""
        self._free = places
        self._defer = defer
        self._queue: deque[Callable[[], bool]] = deque()
        self._planned = False
        self.gate: Callable[[], bool] = _open

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._queue)

    def enter(self, otherwise: Callable[[], bool]) -> bool:
        """Take a place and return True, or queue `otherwise`, which is called once a place is there.

        `otherwise` returns whether it uses the place.
        """
        if self._free > 0 and not self._queue and self.gate():
            self._free -= 1
            return True
        self._queue.append(otherwise)
        return False

    def leave(self) -> None:
        """Give a place back."""
        self._free += 1
        self.reopen()

    def reopen(self) -> None:
        """Let in those who wait, as far as there are places."""
        if self._queue and not self._planned:
            self._planned = True
            self._defer(self._let_in)

    def _let_in(self) -> None:
        self._planned = False
        while self._queue and self._free > 0 and self.gate():
            self._free -= 1
            if not self._queue.popleft()():
                self._free += 1


def _open() -> bool:
    return True

"""How parallel a run was: how many jobs were under way at once, and how much longer one after the other had taken."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Parallelism(msgspec.Struct, frozen=True):
    """The jobs of a run that has ended, put together. Times are in microseconds.

    `most` jobs were under way at once, `mean` on average from the first start to the last end, which took `elapsed`;
    one after the other they had taken `sequential`. Of a job with several attempts the last one counts.
    """

    most: int
    mean: float
    elapsed: int
    sequential: int

    @property
    def saved(self) -> int:
        """How much longer the jobs had taken one after the other; 0 where pauses between them took more."""
        return max(0, self.sequential - self.elapsed)


def parallelism(spans: Iterable[tuple[int, int]]) -> Parallelism | None:
    """Return the figures for the (start, end) of each job; None when no job ran. A job ends before another begins."""
    known = [(start, max(start, end)) for start, end in spans]
    if not known:
        return None
    moves = sorted(
        [(start, 1) for start, end in known if end > start] + [(end, -1) for start, end in known if end > start]
    )
    running = most = 0
    for _, step in moves:
        running += step
        most = max(most, running)
    sequential = sum(end - start for start, end in known)
    elapsed = max(end for _, end in known) - min(start for start, _ in known)
    return Parallelism(max(most, 1), sequential / elapsed if elapsed else 1.0, elapsed, sequential)

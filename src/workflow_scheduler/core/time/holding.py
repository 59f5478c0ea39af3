"""Forecasts of what waits for the end of a blackout window: when it starts, and how many runs that makes (pure)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from workflow_scheduler.core.time import pieces
from workflow_scheduler.core.time.blackout import Window, held_until
from workflow_scheduler.core.time.exclusion import exclusion_of
from workflow_scheduler.core.time.late import policy_of
from workflow_scheduler.core.time.timer import Timer

SPANS_MAX = 5_000


def started_late(timer: Timer, windows: Sequence[Window], start: int, stop: int) -> list[tuple[int, int]]:
    """Return (instant, runs) of the ends of windows in (start, stop], microseconds, at which waiting times start.

    How many of them run is what the `catchup` of the schedule says. At most 5,000 windows are looked at.
    """
    policy = policy_of(timer.config)
    most = {"none": 0, "latest": 1, "all": policy.most}[policy.catchup]
    found = []
    for begin, end in _spans(windows, start, stop):
        if end > stop:
            break
        number = min(_free(timer, max(begin, start + 1, end - policy.window), end), most)
        if number:
            found.append((end, number))
    return found


def _spans(windows: Sequence[Window], start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield the spans [begin, end) in which times wait, in order; what holds at an end prolongs it."""
    waiting = [window for window in windows if window.mode == "defer"]
    at = start
    for _ in range(SPANS_MAX):
        if not waiting:
            return
        at = min(at if window.around(at) is not None else window.begins_after(at) for window in waiting)
        if at > stop:
            return
        end = at
        for _ in range(SPANS_MAX):
            later = held_until(windows, end)
            if later is None:
                break
            end = later
        yield at, end
        at = end


def _free(timer: Timer, since: int, until: int) -> int:
    """Return how many times of [since, until) nothing leaves out."""
    fire = timer.after(since - 1)
    if fire is None or fire.utc >= until:
        return 0
    exclusion = exclusion_of(timer.config)
    if timer.countable and exclusion is None:
        return timer.between(since - 1, until - 1)
    total = 0
    at: int | None = fire.utc
    while timer.countable and exclusion is not None and at is not None:
        cut, at = pieces.cut(timer, exclusion, at, until - 1)
        total += sum(piece.number for piece in cut if piece.excluded is None)
    while not timer.countable and fire is not None and fire.utc < until and total < SPANS_MAX:
        total += exclusion is None or exclusion.of(fire.utc) is None
        fire = timer.after(fire.utc)
    return total

"""Intervals: elapsed real time from an anchor instant, never wall-clock arithmetic."""

from __future__ import annotations


def next_instant(every: int, anchor: int, after: int) -> int:
    """Return the first of `anchor`, `anchor + every`, `anchor + 2 * every` … that is strictly later than `after`.

    All values are microseconds; `every` is positive.
    """
    return anchor if after < anchor else after + every - (after - anchor) % every


def count(every: int, anchor: int, after: int, until: int) -> int:
    """Return how many instants of the interval lie in (after, until]."""
    first = next_instant(every, anchor, after)
    return 0 if first > until else (until - first) // every + 1

"""Waiting longer after each failure, with full jitter (Brooker, "Exponential Backoff And Jitter", AWS 2015)."""

from __future__ import annotations

FIRST_SECONDS = 1.0
CAP_SECONDS = 300.0
_EXPONENT_MAX = 32


def backoff_seconds(attempt: int, *, chance: float, first: float = FIRST_SECONDS, cap: float = CAP_SECONDS) -> float:
    """Return how long to wait after failed attempt number `attempt` (from 1), for a `chance` in [0, 1).

    The wait is drawn from [0, min(cap, first * 2^(attempt-1))), but never below a tenth of that bound, so that a
    failing peer is not called in a tight loop.
    """
    bound = min(cap, first * 2.0 ** min(attempt - 1, _EXPONENT_MAX))
    return bound * max(0.1, chance)

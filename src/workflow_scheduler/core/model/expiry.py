"""When people are told that credentials come to their end: a week before, and a day before."""

from __future__ import annotations

from typing import Final

from workflow_scheduler.core.time.clock import DAY_US

WEEK_US: Final = 7 * DAY_US
LEADS_US: Final = (WEEK_US, DAY_US)


def lead_days(expires_at: int, notice: int) -> int:
    """Return how many days before the end a notice falls due (both in microseconds)."""
    return (expires_at - notice) // DAY_US

"""The `Retry-After` header: seconds, or an HTTP date."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from workflow_scheduler.core.time.clock import SECOND_US, from_datetime

SECONDS_MAX = 86_400.0


def retry_after_seconds(value: str | None, now_us: int) -> float | None:
    """Return how long to wait, at most a day; None when the header is absent or cannot be read."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), SECONDS_MAX)
    try:
        moment = parsedate_to_datetime(text)
        seconds = (from_datetime(moment) - now_us) / SECOND_US
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), SECONDS_MAX)

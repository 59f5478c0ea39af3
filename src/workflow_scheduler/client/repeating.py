"""When a call is sent again, and how long to wait before."""

from __future__ import annotations

from collections.abc import Mapping

from workflow_scheduler.client.http import Answer
from workflow_scheduler.client.operations import Call

ATTEMPTS = 4
_FIRST_SECONDS = 0.2
_SECONDS_MAX = 30.0
_BUSY = frozenset({429, 502, 503, 504})


def pause_before_next(call: Call, attempt: int, answer: Answer | None) -> float | None:
    """Return how many seconds to wait before attempt `attempt + 1`, or None to give up.

    `answer` is None when nothing answered.
    """
    busy = answer is None or answer.status in _BUSY
    if not busy or not call.repeatable or attempt >= ATTEMPTS:
        return None
    asked = _asked(answer.headers) if answer is not None else None
    return min(_SECONDS_MAX, asked if asked is not None else _FIRST_SECONDS * 2.0 ** (attempt - 1))


def _asked(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None  # noqa: PLR2004 -- seconds

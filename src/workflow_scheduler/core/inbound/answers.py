"""What the status of a peer's HTTP answer, or that there is none, means for a source that asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from workflow_scheduler.core.errors import (
    EgressRefused,
    NotConnected,
    OutcomeUnknown,
    Rejected,
    RetryAfter,
    TooLarge,
    ValidationFailed,
)
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.core.time.retry_after import SECONDS_MAX, retry_after_seconds

_WAIT = frozenset({403, 429, 503})
_CREDENTIALS = frozenset({401, 403, 407})
_OK = range(200, 300)
_SERVER = range(500, 600)
_DETAIL_MAX = 200
_EPOCH_SECONDS_LEAST = 1_000_000_000
RATE_LIMIT_SECONDS = 60.0


def check_answer(status: int, headers: Mapping[str, str], url: str, now: int, body: bytes = b"") -> None:
    """Do nothing for a status of success; `now` is in microseconds, header names are lower-case.

    Raises:
        RetryAfter: the peer asks to wait (429, or 403 and 503 that say how long).
        Rejected: the request itself is refused; the remedy says what to look at.
        NotConnected: the peer has trouble of its own.

    """
    if status in _OK:
        return
    wait = asked_wait(headers, now)
    said = body[:_DETAIL_MAX].decode("utf-8", "replace").strip() if body else ""
    detail = f"{url} answers {status}" + (f": {said}" if said else "")
    if status == 429 or (status in _WAIT and wait is not None):  # noqa: PLR2004 -- too many requests
        raise RetryAfter(detail, retry_after_seconds=RATE_LIMIT_SECONDS if wait is None else wait)
    if status in _SERVER or status == 408:  # noqa: PLR2004 -- request timeout
        raise NotConnected(detail, retry_after_seconds=wait)
    if status in _CREDENTIALS:
        raise Rejected(detail, fix="Check the credentials: the connection, its secret, and what it may read.")
    if status in {404, 410}:
        raise Rejected(detail, fix="Check the address.")
    raise Rejected(detail, fix="Check address, method, headers and body against the peer's documentation.")


def asked_wait(headers: Mapping[str, str], now: int) -> float | None:
    """Return how many seconds the peer asks to wait, by `Retry-After` or by an exhausted rate limit; None if not."""
    wait = retry_after_seconds(headers.get("retry-after"), now)
    if wait is not None:
        return wait
    for prefix in ("x-ratelimit-", "ratelimit-"):
        if headers.get(f"{prefix}remaining", "").strip() != "0":
            continue
        try:
            reset = float(headers.get(f"{prefix}reset", ""))
        except ValueError:
            continue
        # Some say when (seconds since 1970), others how long.
        seconds = reset - now / SECOND_US if reset >= _EPOCH_SECONDS_LEAST else reset
        return min(max(seconds, 0.0), SECONDS_MAX)
    return None


def object_of(body: bytes) -> Mapping[str, Any]:
    """Return the JSON object that a body is; an empty one where it is none."""
    try:
        told = msgspec.json.decode(body)
    except (msgspec.MsgspecError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


@contextmanager
def own_errors() -> Iterator[None]:
    """Turn the errors of the ways out into those that sources know: away now, or refused for good."""
    try:
        yield
    except OutcomeUnknown as error:
        raise NotConnected(error.detail, fix=error.fix) from error
    except (EgressRefused, TooLarge, ValidationFailed) as error:
        raise Rejected(error.detail, fix=error.fix) from error

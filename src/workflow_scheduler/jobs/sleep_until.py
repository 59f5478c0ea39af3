"""Wait until a moment.

`timestamp` is an ISO 8601 date-time; one without an offset is UTC. A moment that is past ends the job at once. While
the job waits the run holds nothing, and it survives a restart: the time to wake up is stored.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from workflow_scheduler.core.dag.park import SleepUntil
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.core.time.clock import from_iso, to_iso

name = "sleep_until"
title = "Wait until a moment"
inline = True
needs_code_allowance = False
examples = ({"timestamp": "2027-03-14T09:30:00Z"},)


def _moment(text: str) -> str:
    try:
        from_iso(text)
    except (ValueError, OverflowError):
        message = f"`{text}` is not a date-time; write it as in 2027-03-14T09:30:00Z"
        raise ValueError(message) from None
    return text


class Config(ClosedConfig):
    """The moment to wait for."""

    timestamp: Annotated[str, AfterValidator(_moment)] = Field(
        title="Timestamp",
        description="An ISO 8601 date-time, for example 2027-03-14T09:30:00Z or 2027-03-14T09:30:00+01:00.",
    )


def run(config: Config, _context: JobContext) -> SleepUntil:
    """Park the job until the moment."""
    wake_at = from_iso(config.timestamp)
    return SleepUntil(wake_at, {"until": to_iso(wake_at)})


def retryable(_error: Exception) -> bool:
    """Return False: waiting cannot fail in a way that a repetition mends."""
    return False

"""Wait for a duration.

The wait begins when the job starts. While it lasts the run holds no worker, connection or memory of its own, and it
survives a restart: the time to wake up is stored.
"""

from __future__ import annotations

from pydantic import Field

from workflow_scheduler.core.dag.park import SleepUntil
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.core.time.clock import SECOND_US, to_iso

name = "sleep_for"
title = "Wait for a duration"
inline = True
needs_code_allowance = False
examples = ({"duration": "15m"},)
SECONDS_MAX = 10 * 366 * 86_400


class Config(ClosedConfig):
    """How long to wait."""

    duration: Duration = Field(
        title="Duration", description="How long to wait: 90s, 15m, 2h or 7d; at most ten years.", le=SECONDS_MAX
    )


def run(config: Config, context: JobContext) -> SleepUntil:
    """Park the job until the duration has passed."""
    wake_at = context.now() + round(config.duration * SECOND_US)
    return SleepUntil(wake_at, {"until": to_iso(wake_at)})


def retryable(_error: Exception) -> bool:
    """Return False: waiting cannot fail in a way that a repetition mends."""
    return False

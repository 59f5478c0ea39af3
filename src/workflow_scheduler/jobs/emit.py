"""Send an event, which may start other workflows.

The event is accepted durably before the job ends. It is accepted once per (run, job), whatever the number of
attempts; with `key` it is accepted once per key, across runs. Workflows with an `event` trigger of this type hear it,
one deeper in the chain of causes, so that loops are cut off.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig

name = "emit"
title = "Send an event"
inline = False
needs_code_allowance = False
examples = ({"type": "order_shipped", "data": {"order": 17}, "subject": "orders/17"},)


class Config(ClosedConfig):
    """The event."""

    type: str = Field(
        title="Type", description="What happened, for example order_shipped.", min_length=1, max_length=256
    )
    data: Any = Field(default=None, title="Data", description="The payload: any JSON value.")
    source: str | None = Field(
        default=None, title="Source", description="Where it happened; the workflow by default.", min_length=1
    )
    subject: str | None = Field(default=None, title="Subject", description="What it happened to.")
    key: str | None = Field(
        default=None,
        title="Key",
        description="The event's identity: a second event with this key is a duplicate. The run and job by default.",
        min_length=1,
        max_length=512,
    )


async def run(config: Config, context: JobContext) -> dict[str, str]:
    """Accept the event and return its id and type."""
    event: dict[str, Any] = {"type": config.type, "data": config.data}
    if config.source is not None:
        event["source"] = config.source
    if config.subject is not None:
        event["subject"] = config.subject
    event_id = await context.emit(event, config.key or f"{context.run_id}:{context.job_id}")
    return {"event_id": event_id, "type": config.type}


def retryable(error: Exception) -> bool:
    """Return whether the store may take the event later."""
    return isinstance(error, SchedulerError) and error.retryable

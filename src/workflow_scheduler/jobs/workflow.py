"""Run another workflow, and wait for it.

The live version of the workflow is started with `input`, exactly once for this job, whatever happens to the process:
further attempts and restarts find the same run. With `wait` (the default) the job is parked until that run has ended
and holds nothing meanwhile; its output is the run's output. A run that fails or is cancelled fails the job, and names
itself; trying again cannot help, since it would find the same run. Cancelling this run, or the job's `timeout`, cancels
the run it waits for. With `wait: false` the job ends at once with `{"run_id": …, "workflow": …}`.

Each run is one deeper than the run that started it; beyond the started workflow's `max_depth` the job fails.
"""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import Field

from workflow_scheduler.core.dag.calls import failure_text, wake_name
from workflow_scheduler.core.dag.park import WaitFor
from workflow_scheduler.core.errors import ChildFailed, SchedulerError
from workflow_scheduler.core.model.run import FINAL, RunStatus
from workflow_scheduler.core.model.workflow import NAME_PATTERN
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig

name = "workflow"
title = "Run another workflow"
inline = False
needs_code_allowance = False
examples = (
    {"workflow": "charge-card", "input": {"order": 17}},
    {"workflow": "clean-up", "wait": False},
)


class Config(ClosedConfig):
    """Which workflow, and what it gets."""

    workflow: str = Field(
        title="Workflow", description="Name of a deployed workflow of the same tenant.", pattern=NAME_PATTERN
    )
    input: Any = Field(default=None, title="Input", description="The input of its run: any JSON value.")
    wait: bool = Field(
        default=True, title="Wait", description="Wait for its end; otherwise the job ends once the run is stored."
    )


async def run(config: Config, context: JobContext) -> Any:
    """Start the run, or find the one that was started before."""
    child = await context.call(config.workflow, config.input, wait=config.wait)
    facts = {"run_id": child.id, "workflow": child.workflow}
    if not config.wait:
        return facts
    if child.status is RunStatus.SUCCEEDED:
        return msgspec.json.decode(child.output or b"null")
    if child.status in FINAL:
        raise ChildFailed(failure_text(child.id, child.workflow, child.status, child.error))
    return WaitFor(wake_name(child.id), facts)


def retryable(error: Exception) -> bool:
    """Return whether the store may take the run later; a run that has failed stays so."""
    return isinstance(error, SchedulerError) and error.retryable

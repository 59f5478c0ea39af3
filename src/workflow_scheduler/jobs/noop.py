"""Do nothing, and pass on a value.

A join point or a placeholder in a graph. With `output` the job hands that value (after its `${…}` are filled in) to
the jobs that need it; without, its output is null.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig

name = "noop"
title = "Do nothing"
inline = True
needs_code_allowance = False
examples: tuple[dict[str, Any], ...] = ({"output": {"ready": True}}, {})


class Config(ClosedConfig):
    """The value to pass on."""

    output: Any = Field(default=None, title="Output", description="The value that becomes the job's output.")


def run(config: Config, _context: JobContext) -> Any:
    """Return the configured output."""
    return config.output


def retryable(_error: Exception) -> bool:
    """Return False: there is nothing that could go better the next time."""
    return False

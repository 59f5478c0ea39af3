"""What the engine reads of our store; the composition root hands it over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.model.run import JobRecord, JobStatus, Run, Wake


class Books(Protocol):
    """Reads runs and what belongs to them. A store that is away is waited for."""

    async def run(self, tenant_id: str, run_id: str) -> Run | None:
        """Return an open run with its present fence; None when it is over or unknown."""
        ...

    async def graph(self, run: Run) -> Graph:
        """Return the compiled graph of the run's version.

        Raises:
            NotFound: the version is not stored.
            DefinitionInvalid: it does not compile any more.

        """
        ...

    async def event(self, run: Run) -> bytes:
        """Return the event of the run as JSON; null when it is not stored any more."""
        ...

    async def jobs(self, run: Run, job_ids: Sequence[str] | None = None) -> list[JobRecord]:
        """Return the records of these jobs, or of all jobs of the run."""
        ...

    async def under_way(self, run: Run) -> list[tuple[str, JobStatus, int | None]]:
        """Return id, status and next time (microseconds) of the jobs that have begun and not ended."""
        ...

    async def wake(self, run: Run, job_id: str, name: str) -> Wake | None:
        """Return what was stored for a job under the name that it waits for."""
        ...

    async def remove(self, wake: Wake) -> None:
        """Remove what a job was told, once its end is stored."""
        ...

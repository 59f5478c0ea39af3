"""Runs that jobs start: stored once per job, found again by every further attempt, and called off with their caller."""

from __future__ import annotations

from typing import Any, Protocol

from workflow_scheduler.core.dag.calls import wake_name
from workflow_scheduler.core.errors import Conflict, NotFound, Rejected
from workflow_scheduler.core.model.run import Run, RunStatus
from workflow_scheduler.core.ports.engine import CalledRun
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.pipeline.tracker import Tracker

_RUN = wake_name("")


class Starts(Protocol):
    """Starts a run on behalf of another one (the manual source)."""

    async def call(self, run: Run, job_id: str, workflow: str, value: Any, *, wait: bool) -> str:
        """Return the id of the run that this job started, now or earlier."""
        ...


class Cancels(Protocol):
    """Cancels runs (the launcher)."""

    async def cancel(self, tenant_id: str, run_id: str) -> None:
        """Ask for the end of a run; returns when the request is durable."""
        ...


class Calls:
    """What an engine may ask for on behalf of a job that runs another workflow."""

    def __init__(self, source: Starts, launcher: Cancels, store: Store, tracker: Tracker) -> None:
        """Start through `source`, cancel through `launcher`; a store that is away is waited for."""
        self._source = source
        self._launcher = launcher
        self._store = store
        self._tracker = tracker

    async def call(self, run: Run, job_id: str, workflow: str, value: Any, wait: bool) -> CalledRun:
        """Start a run once for (run, job id) and return it as it stands.

        Raises:
            Rejected: the workflow is unknown or not deployed, its manual trigger is disabled, the chain of runs is too
                deep, or the run was refused when it was called first.

        """
        try:
            run_id = await self._tracker.persist(lambda: self._source.call(run, job_id, workflow, value, wait=wait))
        except (NotFound, Conflict) as error:
            raise Rejected(error.detail, fix=error.fix) from error
        return await self._tracker.persist(lambda: self._stand(run.tenant_id, run_id))

    async def _stand(self, tenant_id: str, run_id: str) -> CalledRun:
        rows = await self._store.read(
            "SELECT workflow, status, output, error FROM runs WHERE tenant_id = :tenant AND id = :id",
            {"tenant": tenant_id, "id": run_id},
        )
        if not rows:
            raise Rejected(f"run {run_id} of this job is stored no more")
        workflow, status, output, error = rows[0]
        return CalledRun(id=run_id, workflow=workflow, status=RunStatus(status), output=output, error=error)

    async def withdraw(self, run: Run, _job_id: str, name: str) -> None:
        """Cancel the run that a job does not wait for any more; other names are not of this kind."""
        if name.startswith(_RUN):
            await self._tracker.persist(lambda: self._launcher.cancel(run.tenant_id, name[len(_RUN) :]))

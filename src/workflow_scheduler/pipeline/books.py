"""What workers of an engine elsewhere read of runs. A database that is away is waited for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.model.run import JobRecord, JobStatus, Run, Wake
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.pipeline.graphs import GraphCache
from workflow_scheduler.pipeline.launcher import event_json
from workflow_scheduler.pipeline.tracker import Tracker
from workflow_scheduler.stores.portable import claims, wakes

_READ_JOBS = 500


class StoredBooks:
    """Reads runs from the store."""

    def __init__(self, store: Store, graphs: GraphCache, tracker: Tracker) -> None:
        """Read from `store`; `tracker` waits for it."""
        self._store = store
        self._graphs = graphs
        self._persist = tracker.persist

    async def run(self, tenant_id: str, run_id: str) -> Run | None:
        """Return an open run with its present fence."""
        return await self._persist(partial(claims.open_run, self._store, tenant_id, run_id))

    async def graph(self, run: Run) -> Graph:
        """Return the compiled graph of the run's version."""
        return await self._persist(partial(self._graphs.find, run.tenant_id, run.workflow_id, run.version))

    async def event(self, run: Run) -> bytes:
        """Return the event of the run as JSON; null when it cannot be read any more."""
        try:
            event = await self._persist(partial(claims.event_of, self._store, run))
            return b"null" if event is None else event_json(event)
        except (ValueError, TypeError):
            return b"null"

    async def jobs(self, run: Run, job_ids: Sequence[str] | None = None) -> list[JobRecord]:
        """Return the records of these jobs, or of all jobs of the run."""
        if job_ids is None:
            return await self._persist(partial(claims.jobs_of, self._store, run))
        found: list[JobRecord] = []
        for place in range(0, len(job_ids), _READ_JOBS):
            some = job_ids[place : place + _READ_JOBS]
            found += await self._persist(partial(claims.jobs_of, self._store, run, some))
        return found

    async def under_way(self, run: Run) -> list[tuple[str, JobStatus, int | None]]:
        """Return id, status and next time of the jobs that have begun and not ended."""
        return await self._persist(partial(claims.jobs_under_way, self._store, run))

    async def wake(self, run: Run, job_id: str, name: str) -> Wake | None:
        """Return what was stored for a job under the name that it waits for."""
        return await self._persist(partial(wakes.told, self._store, run.tenant_id, run.id, job_id, name))

    async def remove(self, wake: Wake) -> None:
        """Remove what a job was told, once its end is stored."""
        await self._persist(lambda: self._store.transact(wakes.remove_taken(wake)))

"""A RunSink that keeps what it is given, and can be told to hold, to fail, or to fence runs off."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from workflow_scheduler.core.model.run import FINAL, JobRecord, LogLine, Run, RunChange
from workflow_scheduler.core.ports.store import DeadLetter


class RecordingSink:
    """What an engine recorded.

    `jobs` and `runs` are the last durable states by run id (and job id), `history` every job record in order, `calls`
    the number of `record` calls. While `hold` is cleared nothing becomes durable. Writes of runs in `fenced` are
    refused; a record of a (run id, job id) in `broken` makes the call raise.
    """

    def __init__(self) -> None:
        """Begin empty, taking everything at once."""
        self.jobs: dict[str, dict[str, JobRecord]] = {}
        self.runs: dict[str, RunChange] = {}
        self.changes: list[RunChange] = []
        self.history: list[JobRecord] = []
        self.logs: list[LogLine] = []
        self.ends: dict[str, int] = {}
        self.calls = 0
        self.fenced: set[str] = set()
        self.broken: set[tuple[str, str]] = set()
        self.hold = asyncio.Event()
        self.hold.set()

    async def record(
        self, *, changes: Sequence[RunChange] = (), jobs: Sequence[JobRecord] = (), logs: Sequence[LogLine] = ()
    ) -> frozenset[str]:
        """Keep everything that is not fenced off."""
        await self.hold.wait()
        self.calls += 1
        touched = {change.run_id for change in changes} | {job.run_id for job in jobs}
        self._break(jobs)
        self._keep(changes, jobs, logs)
        return frozenset(touched & self.fenced)

    def note(self, *, jobs: Sequence[JobRecord] = (), logs: Sequence[LogLine] = ()) -> None:
        """Keep without waiting."""
        self._keep((), jobs, logs)

    async def finish(
        self,
        change: RunChange,
        run: Run,
        jobs: Sequence[JobRecord] = (),
        logs: Sequence[LogLine] = (),
        dead: Sequence[DeadLetter] = (),
    ) -> None:
        """Keep the end of a run; a second end is an error of the engine."""
        del dead
        await self.hold.wait()
        self._break(jobs)
        assert change.status in FINAL
        self.ends[run.id] = self.ends.get(run.id, 0) + 1
        self._keep((change,), jobs, logs)

    def done(self, run_id: str) -> list[JobRecord]:
        """Return the durable job records of a run, as they would be read back after a crash."""
        return list(self.jobs.get(run_id, {}).values())

    def _break(self, jobs: Sequence[JobRecord]) -> None:
        if any((job.run_id, job.job_id) in self.broken for job in jobs):
            message = "the store refuses this row"
            raise ValueError(message)

    def _keep(self, changes: Sequence[RunChange], jobs: Sequence[JobRecord], logs: Sequence[LogLine]) -> None:
        for change in changes:
            if change.run_id not in self.fenced:
                self.changes.append(change)
                self.runs[change.run_id] = change
        for job in jobs:
            if job.run_id not in self.fenced:
                self.history.append(job)
                self.jobs.setdefault(job.run_id, {})[job.job_id] = job
        self.logs += [line for line in logs if line.run_id not in self.fenced]

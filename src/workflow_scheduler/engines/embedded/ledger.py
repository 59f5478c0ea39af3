"""The job records of one run: what is known, what waits for the next checkpoint, and what is not durable yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.model.run import JobRecord, JobStatus, Run


class Ledger:
    """Keeps the last record of each job by the index of its node, and of each instance of one by its number."""

    __slots__ = ("_flying", "_graph", "_names", "_run", "_volatile", "numbers", "records", "staged")

    def __init__(self, run: Run, graph: Graph) -> None:
        """Begin without records."""
        self._run = run
        self._graph = graph
        self.records: dict[int, JobRecord] = {}
        self.staged: dict[int, JobRecord] = {}
        self._volatile: set[int] = set()
        self._names: dict[int, str] = {}
        self.numbers: dict[str, int] = {}
        self._flying: frozenset[int] | set[int] = frozenset()

    def put(self, job: int, status: JobStatus, attempt: int, **values: Any) -> JobRecord:
        """Keep a job's new state for the next checkpoint."""
        run = self._run
        record = JobRecord(
            tenant_id=run.tenant_id,
            run_id=run.id,
            job_id=self._names[job] if job in self._names else self._graph.nodes[job].id,
            fence=run.fence,
            status=status,
            attempt=attempt,
            **values,
        )
        self.records[job] = record
        self.staged[job] = record
        return record

    def give_name(self, number: int, name: str) -> None:
        """Give an instance of a repeated job its id."""
        self._names[number] = name
        self.numbers[name] = number

    def has_name(self, number: int) -> bool:
        """Return whether an instance has its id."""
        return number in self._names

    def job_id(self, job: int) -> str:
        """Return the id of a job or of an instance."""
        return self._names[job] if job in self._names else self._graph.nodes[job].id

    def close(self, job: int, status: JobStatus, attempt: int, **values: Any) -> JobRecord:
        """Keep a job's end; `durable` is false for it until the checkpoint that takes it has landed."""
        self._volatile.add(job)
        return self.put(job, status, attempt, **values)

    def reopen(self, job: int) -> None:
        """Say that the job goes on after all: nothing may depend on it yet."""
        self._volatile.discard(job)

    def durable(self, jobs: Iterable[int]) -> bool:
        """Return whether the ends of all these jobs are on disk."""
        return self._volatile.isdisjoint(jobs)

    def take_off(self) -> list[JobRecord]:
        """Return what is to be recorded now."""
        records = list(self.staged.values())
        self.staged = {}
        self._flying = frozenset(self._volatile)
        return records

    def landed(self) -> None:
        """Say that what was taken last is durable."""
        self._volatile -= self._flying
        self._flying = frozenset()

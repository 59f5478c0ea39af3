"""Writes down in our store what becomes of jobs, and keeps what was read of their runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from workflow_scheduler.core.dag.actions import SkipReason
from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.execution import ending
from workflow_scheduler.core.execution.failure import Failure, body
from workflow_scheduler.core.execution.journal import LANES, Journal
from workflow_scheduler.core.execution.program import Program, prepare
from workflow_scheduler.core.model.run import JOB_FINAL, JobRecord, JobStatus, RunChange, RunStatus
from workflow_scheduler.core.ports.engine import RunSink
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines.temporal.books import Books
from workflow_scheduler.engines.temporal.marks import reply_of
from workflow_scheduler.engines.temporal.orders import JobOrder, Mark, NoteOrder, Reply
from workflow_scheduler.engines.temporal.view import RunOver, View, Views

CANCELLED = body("cancelled", "the job was cancelled")
_INTERRUPTED = body("interrupted", "the worker stopped several times while this job ran")
_TAKEN_UP_US = 20_000


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of one job, and of what runs at once in a worker. Sizes in bytes, times in seconds."""

    parallel_jobs_max: int = 256
    processes_max: int = 16
    log_bytes_max: int = 1_000_000
    output_bytes_max: int = 8 << 20
    instances_max: int = 10_000
    cancel_grace_seconds: float = 60.0


class Recorder:
    """The runs that come to this worker."""

    def __init__(
        self,
        job_types: Mapping[str, Any],
        books: Books,
        sink: RunSink,
        clock: Clock,
        limits: Limits,
        *,
        allow_code: bool = True,
    ) -> None:
        """Prepare jobs of `job_types`; read from `books` and write through `sink`."""
        self.books = books
        self.limits = limits
        self._job_types = job_types
        self._sink = sink
        self._clock = clock
        self._allow_code = allow_code
        self._views = Views()
        self._programs: WeakKeyDictionary[Graph, Program] = WeakKeyDictionary()
        self._lane = os.urandom(1)[0] % LANES

    async def note(self, order: NoteOrder) -> None:
        """Write down states that no activity of their own has written."""
        view = await self.view(JobOrder(order.tenant_id, order.run_id, "", 0))
        waiting = [mark.job_id for mark in order.marks if mark.status == JobStatus.QUEUED]
        found = await self.books.jobs(view.run, waiting) if waiting else []
        before = {record.job_id: record for record in found}
        await self._record(view, [self._noted(view, mark, before.get(mark.job_id)) for mark in order.marks])

    def _noted(self, view: View, mark: Mark, before: JobRecord | None) -> JobRecord:
        status = JobStatus(mark.status)
        error = {JobStatus.CANCELLED: CANCELLED, JobStatus.FAILED: _INTERRUPTED}.get(status)
        if status is JobStatus.SKIPPED and mark.code is not None:
            error = ending.SKIP_ERRORS[SkipReason(mark.code)]
        if status is JobStatus.QUEUED and before is not None:
            error = before.error  # of the attempt that failed: it stays visible
        return JobRecord(
            tenant_id=view.run.tenant_id,
            run_id=view.run.id,
            job_id=mark.job_id,
            fence=view.run.fence,
            status=status,
            attempt=mark.attempt,
            ended_at=self._clock.now() if status in JOB_FINAL else None,
            error=error,
            wake_at=mark.wake_at,
        )

    async def finish(self, order: NoteOrder) -> None:
        """Ask for a look at the run, which ends as soon as this is done."""
        self._views.forget(order.run_id)
        await self.look(order)

    async def look(self, order: JobOrder | NoteOrder) -> None:
        """Ask for a look at the run: it has begun to rest, goes on, or ends."""
        run = await self.books.run(order.tenant_id, order.run_id)
        if run is None or run.external_id is None:
            return  # it is over already, or its start is not written down yet: it will be looked at anyway
        change = RunChange(
            tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=RunStatus.RUNNING,
            next_attempt_at=self._clock.now() + _TAKEN_UP_US,
        )  # fmt: skip
        await self._sink.record(changes=(change,))

    async def failed(
        self, view: View, order: JobOrder, started_at: int | None, why: Failure, output: bytes | None = None
    ) -> Reply:
        """Write down that an attempt failed."""
        reply = await self.write(
            view, order, JobStatus.FAILED, started_at=started_at, error=why.error, output=output
        )  # fmt: skip
        result = why.result
        return replace(reply, code=result.code, retryable=result.retryable, retry_after_us=result.retry_after_us)

    async def write(self, view: View, order: JobOrder, status: JobStatus, **values: Any) -> Reply:
        """Write down where a job stands, and return that as a reply."""
        record = JobRecord(
            tenant_id=view.run.tenant_id,
            run_id=view.run.id,
            job_id=order.job_id,
            fence=view.run.fence,
            status=status,
            attempt=order.attempt,
            ended_at=self._clock.now() if status in JOB_FINAL else None,
            **values,
        )
        await self._record(view, [record])
        return reply_of(record)

    async def _record(self, view: View, records: Sequence[JobRecord]) -> None:
        """Write records under the present fence of the run: another instance may follow it now.

        Raises:
            RunOver: the run has ended.

        """
        while True:
            fenced = await self._sink.record(jobs=records, logs=view.journal.take())
            if view.run.id not in fenced:
                return
            run = await self.books.run(view.run.tenant_id, view.run.id)
            if run is None:
                self._views.forget(view.run.id)
                raise RunOver(f"run {view.run.id} has ended")
            view.run = run
            records = [msgspec.structs.replace(record, fence=run.fence) for record in records]

    def log(self, view: View, job_id: str, attempt: int, line: str, stream: str) -> None:
        """Keep a line that a job printed; it is written soon."""
        if view.journal.add(job_id, attempt, line, stream, self._clock.now()):
            self._sink.note(logs=view.journal.take())

    async def parked(self, order: JobOrder) -> tuple[View, JobRecord | None]:
        """Return a run and the record of the ordered job in it."""
        view = await self.view(order)
        found = await self.books.jobs(view.run, [order.job_id])
        return view, found[0] if found else None

    async def view(self, order: JobOrder) -> View:
        """Return the run of an order.

        Raises:
            RunOver: it has ended, or is unknown here.

        """
        view = self._views.get(order.run_id)
        if view is not None and view.run.tenant_id == order.tenant_id:
            return view
        run = await self.books.run(order.tenant_id, order.run_id)
        if run is None:
            raise RunOver(f"run {order.run_id} has ended or is unknown")
        graph = await self.books.graph(run)
        program = self._programs.get(graph)
        if program is None:
            program = prepare(graph, self._job_types, allow_code=self._allow_code)
            self._programs[graph] = program
        journal = Journal(run, self.limits.log_bytes_max, self._lane)
        return self._views.put(View(run, graph, program, await self.books.event(run), journal))

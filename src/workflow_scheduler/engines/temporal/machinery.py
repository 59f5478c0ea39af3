"""What the workflow drives a run with: names, orders, states that are to be written down, and what is under way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy

from workflow_scheduler.core.dag.plan import Progress
from workflow_scheduler.core.dag.repeat import instance_id
from workflow_scheduler.engines.temporal import orders
from workflow_scheduler.engines.temporal.orders import JobOrder, Mark, NoteOrder, Reply, RunOrder
from workflow_scheduler.engines.temporal.outline import graph_of

_SHORT = timedelta(seconds=60)
_RETRY = RetryPolicy(initial_interval=timedelta(milliseconds=200), maximum_interval=timedelta(seconds=10))
_NOTES_MAX = 500


def now_us() -> int:
    """Return the time of the workflow in microseconds."""
    return round(workflow.now().timestamp() * 1_000_000)


class Machinery:
    """The state of one run that does not depend on what the planner says."""

    def __init__(self, order: RunOrder) -> None:
        """Begin with nothing under way."""
        self._order = order
        self._graph = graph_of(order.outline)
        self._inline = [bool(node.get("inline")) for node in order.outline["nodes"]]
        self._size = len(self._graph.nodes)
        self._progress = Progress(self._graph, seed=order.run_id)
        self._started_at = order.started_at or now_us()
        self._marks: dict[str, Mark] = {}
        self._notes: list[Mark] = []
        self._writing = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._busy: dict[int, None] = {}
        self._handles: dict[int, workflow.ActivityHandle[Reply]] = {}
        self._numbers: dict[str, int] = {}
        self._begun: dict[int, int] = {}
        self._totals: dict[int, int | None] = {}
        self._fault: BaseException | None = None

    def job_id(self, job: int) -> str:
        """Return the id of a job or an instance."""
        if job < self._size:
            return self._graph.nodes[job].id
        base, place = self._progress.instance(job) or (0, 0)
        job_id = instance_id(self._graph.nodes[base].id, place)
        self._numbers[job_id] = job
        self._begun[base] = max(self._begun.get(base, 0), place + 1)
        return job_id

    def job_order(self, job: int, *, attempt: int = 1) -> JobOrder:
        """Return an order for a job or an instance."""
        base = job if job < self._size else (self._progress.instance(job) or (0, 0))[0]
        total = self._totals.get(base)
        return JobOrder(
            self._order.tenant_id,
            self._order.run_id,
            self.job_id(job),
            self._started_at,
            attempt,
            total=self._begun.get(base, 0) if total is None else total,
            loop=total is None,
        )

    def note(self, mark: Mark) -> None:
        """Keep a state that is to be written down before anything builds upon it."""
        self._marks[mark.job_id] = mark
        self._notes.append(mark)
        if len(self._notes) == 1:
            self._keep(asyncio.create_task(self.flush()))

    async def flush(self) -> None:
        """Return when every state so far is written down."""
        while self._notes or self._writing:
            if self._writing:
                await workflow.wait_condition(lambda: not self._writing)
                continue
            batch, self._notes = self._notes[:_NOTES_MAX], self._notes[_NOTES_MAX:]
            self._writing = True
            try:
                await self.local(orders.NOTE, NoteOrder(self._order.tenant_id, self._order.run_id, batch))
            finally:
                self._writing = False

    async def local(self, activity: str, order: JobOrder | NoteOrder) -> Reply:
        """Have something done that takes a moment only."""
        reply: Reply = await workflow.execute_local_activity(
            activity, order, result_type=Reply, start_to_close_timeout=_SHORT, retry_policy=_RETRY
        )
        return reply

    def spawn(self, job: int, work: Coroutine[Any, Any, None]) -> None:
        """Begin something for a job that takes time; it is busy until it is freed."""
        self._busy[job] = None
        self._keep(asyncio.create_task(work))

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self._fault = RuntimeError("a step was cancelled that nobody waits for any more")
        elif task.exception() is not None:
            self._fault = task.exception()

    def free(self, job: int) -> None:
        """Say that nothing is under way for a job."""
        self._busy.pop(job, None)
        self._handles.pop(job, None)

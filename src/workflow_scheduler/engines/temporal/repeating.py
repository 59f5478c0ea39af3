"""Repeated jobs in a worker: finding out their items, judging loops, and gathering outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow_scheduler.core.dag.actions import SkipReason
from workflow_scheduler.core.dag.repeat import instance_id
from workflow_scheduler.core.execution import ending
from workflow_scheduler.core.execution.failure import Failure
from workflow_scheduler.core.execution.program import Step, judge
from workflow_scheduler.core.execution.repeated import exhausted, gathered, holds, instances_failed, items_of
from workflow_scheduler.core.model.run import JOB_FINAL, JobRecord, JobStatus
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines.temporal.marks import reply_of
from workflow_scheduler.engines.temporal.orders import JobOrder, Reply
from workflow_scheduler.engines.temporal.recorder import CANCELLED, Recorder
from workflow_scheduler.engines.temporal.view import View


class Repeating:
    """The repeated jobs of all runs that come to this worker."""

    def __init__(self, recorder: Recorder, clock: Clock, public_url: str) -> None:
        """Write down ends with the `recorder`."""
        self._recorder = recorder
        self._books = recorder.books
        self._clock = clock
        self._public_url = public_url

    async def expand_job(self, order: JobOrder) -> Reply:
        """Find out how many instances a job has."""
        view, before = await self._recorder.parked(order)
        if before is not None and before.status in JOB_FINAL:
            return reply_of(before)
        started_at = self._clock.now() if before is None or before.started_at is None else before.started_at
        step = view.step(order.job_id)
        scope = await view.seen_by(self._books, step, order.started_at, self._public_url)
        refusal = step.problem or judge(step, scope.variables)
        if isinstance(refusal, SkipReason):
            return await self._recorder.write(view, order, JobStatus.SKIPPED, error=ending.SKIP_ERRORS[refusal])
        items = refusal or await self.items(view, step, order)
        if isinstance(items, Failure):
            return await self._recorder.failed(view, order, started_at, items)
        await self._recorder.write(view, order, JobStatus.RUNNING, started_at=started_at)
        return Reply(total=None if items is None else len(items), started_at=started_at)

    async def ask_loop(self, order: JobOrder) -> Reply:
        """Judge the `while` of a loop before an iteration."""
        view, before = await self._recorder.parked(order)
        step = view.step(order.job_id)
        assert step.node.repeat is not None
        scope = await view.seen_by(self._books, step, order.started_at, self._public_url)
        own = await view.instance_view(self._books, instance_id(order.job_id, order.place), None)
        more = holds(step.node.repeat, {**scope.variables({}), **own}, order.place)
        if not isinstance(more, Failure):
            return Reply(more=more)
        output = await self._gathered(view, order)
        kept = None if isinstance(output[0], Failure) else output[0]
        return await self._recorder.failed(view, order, None if before is None else before.started_at, more, kept)

    async def gather_job(self, order: JobOrder) -> Reply:
        """End a repeated job with the outputs of its instances."""
        view, before = await self._recorder.parked(order)
        if before is not None and before.status in JOB_FINAL:
            return reply_of(before)
        started_at = None if before is None else before.started_at
        if order.status == JobStatus.CANCELLED:
            return await self._recorder.write(view, order, JobStatus.CANCELLED, started_at=started_at, error=CANCELLED)
        output, ended = await self._gathered(view, order)
        if order.status == JobStatus.SUCCEEDED:
            if isinstance(output, Failure):
                return await self._recorder.failed(view, order, started_at, output)
            return await self._recorder.write(view, order, JobStatus.SUCCEEDED, started_at=started_at, output=output)
        node = view.step(order.job_id).node
        total = None if order.loop else order.total
        why = exhausted(node) if order.exhausted else instances_failed(node.id, ended, total)
        return await self._recorder.failed(
            view, order, started_at, why, None if isinstance(output, Failure) else output
        )

    async def _gathered(self, view: View, order: JobOrder) -> tuple[bytes | Failure, dict[int, JobRecord]]:
        names = {instance_id(order.job_id, place): place for place in range(order.total or 0)}
        found = await view.final(self._books, names)
        ended = {names[job_id]: record for job_id, record in found.items()}
        return gathered(ended, None if order.loop else order.total, self._recorder.limits.output_bytes_max), ended

    async def items(self, view: View, step: Step, order: JobOrder) -> Sequence[Any] | Failure | None:
        """Return the items of a repeated job, the same on every worker; None for a `while`."""
        node = step.node
        if node.repeat is None or node.repeat.items is None:
            return None
        if node.id not in view.items:
            scope = await view.seen_by(self._books, step, order.started_at, self._public_url)
            items = items_of(node.id, node.repeat, scope.variables({}), self._recorder.limits.instances_max)
            if isinstance(items, Failure) or items is None:
                return items
            view.items[node.id] = items
        return view.items[node.id]

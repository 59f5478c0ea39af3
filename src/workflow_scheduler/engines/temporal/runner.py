"""Runs jobs in a worker.

A job's record is in our store before the workflow hears of it. A worker that dies in between is replaced by another
one, which finds the record and answers with it: a job that has ended is not run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from workflow_scheduler.core.dag.actions import SkipReason
from workflow_scheduler.core.dag.park import REST_US, SleepUntil, WaitFor
from workflow_scheduler.core.dag.repeat import split_instance
from workflow_scheduler.core.execution import ending
from workflow_scheduler.core.execution.failure import Failure, encode_output, failure, from_exception, from_wake
from workflow_scheduler.core.execution.program import Step, fill_in
from workflow_scheduler.core.model.run import JOB_FINAL, JobStatus
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.engines.outages import through_outages
from workflow_scheduler.engines.temporal.context import Context, Lent
from workflow_scheduler.engines.temporal.marks import reply_of
from workflow_scheduler.engines.temporal.orders import JobOrder, Reply
from workflow_scheduler.engines.temporal.recorder import CANCELLED, Limits, Recorder
from workflow_scheduler.engines.temporal.repeating import Repeating
from workflow_scheduler.engines.temporal.view import RunOver, View

Work = tuple[Any, Callable[[], Any]]
"""A job under way, and how to begin it again."""


class Runner:
    """The jobs of all runs that come to this worker."""

    def __init__(self, recorder: Recorder, repeating: Repeating, clock: Clock, lent: Lent, limits: Limits) -> None:
        """Run jobs with what is `lent`, and write down their ends with the `recorder`."""
        self._recorder = recorder
        self._books = recorder.books
        self._repeating = repeating
        self._clock = clock
        self._lent = lent
        self._limits = limits
        self._processes = asyncio.Semaphore(limits.processes_max)

    # Jobs

    async def run_job(self, order: JobOrder, is_wanted: Callable[[], bool]) -> Reply:
        """Run one attempt to its end, unless its end is written down already.

        When it is cancelled, `is_wanted` says whether the run has asked for that; otherwise the job is left for another
        worker.

        Raises:
            CancelledError: this worker is to stop, or another one has the job.

        """
        view = await self._recorder.view(order)
        known = {record.job_id: record for record in await self._books.jobs(view.run, [order.job_id])}
        before = known.get(order.job_id)
        if before is not None and (before.status in JOB_FINAL or before.status is JobStatus.PAUSED):
            return reply_of(before)
        step = view.step(order.job_id)
        now = self._clock.now()
        try:
            variables = await self._variables(view, step, order)
        except RunOver:
            raise
        except Exception as error:  # noqa: BLE001 - stored input can fail in any way
            return await self._recorder.failed(view, order, now, from_exception(error, step.module))

        def see(env: Mapping[str, str]) -> Mapping[str, Any]:
            return {**variables, "env": env}

        prepared = fill_in(step, see, judged=split_instance(order.job_id) is not None)
        if isinstance(prepared, SkipReason):
            return await self._recorder.write(view, order, JobStatus.SKIPPED, error=ending.SKIP_ERRORS[prepared])
        if isinstance(prepared, Failure):
            return await self._recorder.failed(view, order, now, prepared)
        return await self._begin(view, order, step, (*prepared, see(prepared[1]), is_wanted))

    async def _begin(
        self,
        view: View,
        order: JobOrder,
        step: Step,
        terms: tuple[Any, Mapping[str, str], Mapping[str, Any], Callable[[], bool]],
    ) -> Reply:
        config, env, variables, is_wanted = terms
        now = self._clock.now()
        context = Context(view.run, (order.job_id, order.attempt), env, variables)
        context.attach(self._lent, self._clock, lambda *line: self._recorder.log(view, *line))
        work = partial(step.module.run, config, context)
        try:
            outcome = work()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a job raises is the job's failure
            return await self._recorder.failed(view, order, now, from_exception(error, step.module))
        if not asyncio.iscoroutine(outcome):
            return await self._returned(view, order, now, outcome)
        try:
            await self._recorder.write(view, order, JobStatus.RUNNING, started_at=now)
        except BaseException:
            outcome.close()
            raise
        grace = max(self._limits.cancel_grace_seconds, getattr(config, "grace", 0.0) * 2)
        return await self._supervise(view, order, step, (outcome, work), (now, grace, is_wanted))

    async def _supervise(
        self, view: View, order: JobOrder, step: Step, work: Work, terms: tuple[int, float, Callable[[], bool]]
    ) -> Reply:
        """Wait for an attempt, for at most its time-out; stop it when it is cancelled."""
        started_at, grace, is_wanted = terms
        limit = step.node.timeout_us
        task = asyncio.ensure_future(self._contained(work, child=step.child))
        try:
            await asyncio.wait({task}, timeout=None if limit is None else limit / SECOND_US)
        except asyncio.CancelledError:
            await self._stop(view, order, task, grace)
            if not is_wanted():
                raise
            return await self._recorder.write(view, order, JobStatus.CANCELLED, started_at=started_at, error=CANCELLED)
        if not task.done():
            await self._stop(view, order, task, grace)
            why = failure(
                "timeout", f"the job took longer than its timeout of {(limit or 0) / SECOND_US:g} s", retryable=True
            )
            return await self._recorder.failed(view, order, started_at, why)
        if task.cancelled():
            why = failure("interrupted", "the job cancelled itself", retryable=True)
            return await self._recorder.failed(view, order, started_at, why)
        error = task.exception()
        if error is not None:
            return await self._recorder.failed(view, order, started_at, from_exception(error, step.module))
        return await self._returned(view, order, started_at, task.result())

    async def _contained(self, work: Work, *, child: bool) -> Any:
        """Await a job; an attempt to end the process is the job's failure, nothing more."""
        try:
            if not child:
                return await through_outages(*work, self._clock)
            async with self._processes:
                return await through_outages(*work, self._clock)
        except (SystemExit, KeyboardInterrupt) as error:
            message = f"the job tried to end the process ({type(error).__name__})"
            raise RuntimeError(message) from None
        finally:
            work[0].close()

    async def _stop(self, view: View, order: JobOrder, task: asyncio.Future[Any], grace: float) -> None:
        task.cancel()
        await asyncio.wait({task}, timeout=grace)
        if not task.done():
            text = "the job did not stop when it was told to; it may still be running"
            self._recorder.log(view, order.job_id, order.attempt, text, "system")
        elif not task.cancelled():
            task.exception()

    async def _returned(self, view: View, order: JobOrder, started_at: int, output: Any) -> Reply:
        if isinstance(output, WaitFor):
            facts = {"waiting_for": output.name, **output.facts}
            encoded = encode_output(facts, self._limits.output_bytes_max)
        else:
            value = output.output if isinstance(output, SleepUntil) else output
            encoded = encode_output(value, self._limits.output_bytes_max)
        if isinstance(encoded, Failure):
            return await self._recorder.failed(view, order, started_at, encoded)
        wake_at = output.wake_at if isinstance(output, SleepUntil) else None
        if isinstance(output, WaitFor) or (wake_at is not None and wake_at > self._clock.now()):
            reply = await self._recorder.write(
                view, order, JobStatus.PAUSED, started_at=started_at, output=encoded, wake_at=wake_at
            )
            if wake_at is None or wake_at - self._clock.now() > REST_US:
                await self._recorder.look(order)
            return reply
        return await self._recorder.write(view, order, JobStatus.SUCCEEDED, started_at=started_at, output=encoded)

    # Parked jobs

    async def end_sleep(self, order: JobOrder) -> Reply:
        """End a job whose time has come, with the output that was stored when it was parked."""
        view, record = await self._recorder.parked(order)
        if record is None or record.status in JOB_FINAL:
            return Reply() if record is None else reply_of(record)
        reply = await self._recorder.write(
            view, order, JobStatus.SUCCEEDED, started_at=record.started_at, output=record.output or b"null"
        )
        if (record.wake_at or 0) - (record.started_at or 0) > REST_US:
            await self._recorder.look(order)
        return reply

    async def end_wait(self, order: JobOrder) -> Reply:
        """End a job with what was stored under the name that it waits for; an empty reply when nothing is."""
        view, record = await self._recorder.parked(order)
        if record is not None and record.status in JOB_FINAL:
            return reply_of(record)
        wake = await self._books.wake(view.run, order.job_id, order.name)
        if record is None or wake is None:
            return Reply()
        if wake.status is JobStatus.SUCCEEDED:
            reply = await self._recorder.write(
                view, order, JobStatus.SUCCEEDED, started_at=record.started_at, output=wake.output or b"null"
            )
        else:
            reply = await self._recorder.failed(view, order, record.started_at, from_wake(wake))
        await self._books.remove(wake)
        await self._recorder.look(order)
        return reply

    async def give_up(self, order: JobOrder) -> Reply:
        """End a job that waits no more: first whoever works on the named thing is told, then the job ends."""
        view, record = await self._recorder.parked(order)
        if record is not None and record.status in JOB_FINAL:
            return reply_of(record)
        await self._lent.withdraw(view.run, order.job_id, order.name)
        started_at = None if record is None else record.started_at
        if not order.timeout:
            return await self._recorder.write(view, order, JobStatus.CANCELLED, started_at=started_at, error=CANCELLED)
        limit = (view.step(order.job_id).node.timeout_us or 0) / SECOND_US
        why = failure("timeout", f"the job took longer than its timeout of {limit:g} s")
        return await self._recorder.failed(view, order, started_at, why)

    async def _variables(self, view: View, step: Step, order: JobOrder) -> dict[str, Any]:
        is_instance = split_instance(order.job_id) is not None
        is_fixed = step.config is not None and step.env is not None and step.node.condition is None
        if step.inline and is_fixed and not is_instance:
            return {}  # nobody looks
        scope = await view.seen_by(self._books, step, order.started_at, self._lent.public_url)
        if not is_instance:
            return scope.variables({})
        items = await self._repeating.items(view, step, order)
        if isinstance(items, Failure):
            raise RunOver(f"the items of {step.node.id} cannot be found again")
        return {**scope.variables({}), **await view.instance_view(self._books, order.job_id, items)}

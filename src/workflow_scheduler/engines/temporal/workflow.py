"""The Temporal workflow that follows the planner. Its code is deterministic: it reads no store and no expression.

Everything that needs either is done by an activity: jobs by ordinary ones, which any worker takes, and what takes a
moment only (inline jobs, items of a `map`, writing down what was skipped) by local ones. Attempts are counted and
repeated by the planner alone; Temporal repeats no job. A history that grows long is left for a new one between two
jobs, with the states of all jobs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from workflow_scheduler.core.dag.actions import (
        CANCELLED,
        Action,
        AskLoop,
        CancelJob,
        DelayJob,
        EndRun,
        GatherJob,
        RetryJob,
        SkipJob,
        StartJob,
    )
    from workflow_scheduler.core.dag.repeat import split_instance
    from workflow_scheduler.core.model.run import JOB_FINAL, JobStatus, RunStatus
    from workflow_scheduler.engines.temporal import orders
    from workflow_scheduler.engines.temporal.machinery import Machinery, now_us
    from workflow_scheduler.engines.temporal.marks import record_of
    from workflow_scheduler.engines.temporal.orders import JobOrder, Mark, NoteOrder, Outcome, Reply, RunOrder

_SECOND_US = 1_000_000
_LONG = timedelta(days=3650)
_SLACK = timedelta(seconds=180)
_ONCE = RetryPolicy(maximum_attempts=1)
_INTERRUPTIONS_MAX = 5


@workflow.defn(name=orders.WORKFLOW)
class RunWorkflow(Machinery):
    """One run."""

    @workflow.init
    def __init__(self, order: RunOrder) -> None:
        """Prepare; signals may come before the run begins."""
        super().__init__(order)
        self._timers: dict[int, asyncio.Task[None]] = {}
        self._names: dict[int, str] = {}
        self._told: set[tuple[str, str]] = set()
        self._held: list[StartJob] = []
        self._found: dict[int, dict[int, Mark]] = {}
        self._stopped: set[int] = set()
        self._stopping = False
        self._end: EndRun | None = None

    @workflow.run
    async def run(self, _order: RunOrder) -> Outcome:
        """Carry the run to its end.

        Raises:
            ApplicationError: the run failed; its details hold the Outcome.
            CancelledError: it was cancelled.

        """
        self._perform(self._begin())
        limit = self._graph.timeout_us
        until = None if limit is None else self._started_at + limit
        while True:
            left = None if until is None else max((until - now_us()) / _SECOND_US, 0.0)
            try:
                await workflow.wait_condition(self._is_settled, timeout=left)
                break
            except asyncio.CancelledError:
                self._stop(RunStatus.CANCELLED, "cancelled")
            except TimeoutError:
                until = None
                self._stop(RunStatus.FAILED, "timeout")
        if self._fault is not None:
            raise self._fault
        await self.flush()
        if self._end is None:
            marks = list(self._marks.values())
            workflow.continue_as_new(replace(self._order, started_at=self._started_at, marks=marks))
        await self.local(orders.FINISH, NoteOrder(self._order.tenant_id, self._order.run_id, []))
        return self._outcome(self._end)

    @workflow.signal(name=orders.WAKE)
    def wake(self, job_id: str, name: str) -> None:
        """Take in that what the job waits for under this name has come about; its result stands in our store."""
        job = self._graph.index.get(job_id, self._numbers.get(job_id))
        if job is None or self._names.get(job) != name:
            self._told.add((job_id, name))
            return
        self._leave(job)
        self.spawn(job, self._finish_parked(job, orders.END_WAIT, name=name))

    @workflow.query
    def jobs(self) -> list[Mark]:
        """Return where the jobs stand that have begun or ended."""
        return list(self._marks.values())

    # The life of the run

    def _begin(self) -> list[Action]:
        if not self._order.marks:
            return self._progress.start()
        for mark in self._order.marks:
            self._marks[mark.job_id] = mark
            job = self._graph.index.get(mark.job_id)
            named = split_instance(mark.job_id) if job is None else None
            if job is not None:
                self._rearm(job, mark)
            elif named is not None and named[0] in self._graph.index:
                base = self._graph.index[named[0]]
                self._found.setdefault(base, {})[named[1]] = mark
                self._begun[base] = max(self._begun.get(base, 0), named[1] + 1)
        return self._progress.restore(record_of(mark) for mark in self._order.marks)

    def _is_settled(self) -> bool:
        if self._fault is not None:
            return True
        return not self._busy and not self._writing and (self._end is not None or bool(self._held))

    def _stop(self, status: RunStatus, code: str) -> None:
        self._stopping = True
        self._perform(self._progress.stop(status, code))
        self._held.clear()

    def _outcome(self, end: EndRun) -> Outcome:
        failed = [self._graph.nodes[job].id for job in end.failed]
        outcome = Outcome(str(end.status), failed, end.code)
        if end.status is RunStatus.CANCELLED:
            raise asyncio.CancelledError
        if end.status is RunStatus.FAILED:
            text = f"job `{failed[0]}` failed" if failed and end.code != "timeout" else f"the run ended: {end.code}"
            raise ApplicationError(text, outcome, type=end.code or "failed", non_retryable=True)
        return outcome

    def _perform(self, actions: Iterable[Action]) -> None:
        """Carry out actions and what follows from them."""
        queue = deque(actions)
        while queue:
            action = queue.popleft()
            match action:
                case StartJob():
                    self._start(action)
                case SkipJob():
                    self.note(Mark(self.job_id(action.job), str(JobStatus.SKIPPED), code=str(action.reason)))
                case RetryJob() | DelayJob():
                    attempt = action.attempt if isinstance(action, RetryJob) else 1
                    mark = Mark(self.job_id(action.job), str(JobStatus.QUEUED), attempt, now_us() + action.delay_us)
                    self.note(mark)
                    self._rearm(action.job, mark)
                case CancelJob():
                    queue.extend(self._cancel(action.job))
                case AskLoop():
                    self.spawn(action.job, self._ask(action))
                case GatherJob():
                    self.spawn(action.job, self._gather(action))
                case EndRun():
                    self._end = action

    def _start(self, action: StartJob) -> None:
        if not self._stopping and workflow.info().is_continue_as_new_suggested():
            self._held.append(action)
        elif action.job < self._size and self._graph.nodes[action.job].repeat is not None:
            self.spawn(action.job, self._expand(action.job))
        else:
            self.spawn(action.job, self._attempt(action.job, action.attempt))

    def _cancel(self, job: int) -> list[Action]:
        """Stop a job; return what follows where that takes no time."""
        job_id = self.job_id(job)
        mark = self._marks.get(job_id)
        if mark is not None and mark.status in JOB_FINAL:
            return []  # it came to its end before its turn to be cancelled
        if job < self._size and self._progress.is_expanded(job):
            return self._progress.halt(job)
        self._held = [one for one in self._held if one.job != job]
        if job in self._busy:
            self._stopped.add(job)
            if job in self._handles:
                self._handles[job].cancel()
            return []
        name = self._names.get(job)
        self._leave(job)
        if name is not None:
            self.spawn(job, self._finish_parked(job, orders.GIVE_UP, name=name))
            return []
        self.note(Mark(job_id, str(JobStatus.CANCELLED), 1 if mark is None else mark.attempt))
        return self._progress.apply(job, CANCELLED)

    # Jobs

    async def _attempt(self, job: int, number: int) -> None:
        for interruptions in range(_INTERRUPTIONS_MAX + 1):
            await self.flush()
            if job in self._stopped:
                break
            try:
                reply = await self._execute(job, self.job_order(job, attempt=number))
            except (ActivityError, asyncio.CancelledError):  # the latter where it was cancelled before it was sent
                if job in self._stopped:
                    break
                if interruptions < _INTERRUPTIONS_MAX:
                    number = self._progress.interrupted(job)
                continue
            self._take(job, number, reply)
            return
        self.free(job)
        stopped = job in self._stopped
        status = JobStatus.CANCELLED if stopped else JobStatus.FAILED
        reply = Reply(str(status), code=None if stopped else "interrupted")
        self.note(Mark(self.job_id(job), reply.status, number, code=reply.code))
        self._take(job, number, reply)

    async def _execute(self, job: int, order: JobOrder) -> Reply:
        """Run an attempt; its worker may die under it, which is an ActivityError."""
        node = self._progress.node(job)
        if self._inline[node.index]:
            return await self.local(orders.RUN_JOB, order)
        limit = _LONG if node.timeout_us is None else timedelta(microseconds=node.timeout_us) + _SLACK
        handle = workflow.start_activity(
            orders.RUN_JOB,
            order,
            result_type=Reply,
            start_to_close_timeout=limit,
            heartbeat_timeout=timedelta(seconds=self._order.outline.get("heartbeat_seconds", 10.0)),
            retry_policy=_ONCE,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=f"{order.job_id} #{order.attempt}",
        )
        self._handles[job] = handle
        reply: Reply = await handle
        return reply

    async def _expand(self, job: int) -> None:
        await self.flush()
        reply = await self.local(orders.EXPAND_JOB, self.job_order(job))
        if reply.status:
            self._take(job, 1, reply)
            return
        self.free(job)
        self._totals[job] = reply.total
        job_id = self.job_id(job)
        self._marks[job_id] = Mark(job_id, str(JobStatus.RUNNING), started_at=reply.started_at)
        actions = self._progress.expand(job, reply.total)
        found = self._found.pop(job, {})
        for number in self._progress.open_instances(job) if found else ():
            known = self._progress.instance(number)
            if known is not None and known[1] in found:
                self.job_id(number)
                self._rearm(number, found[known[1]])
        self._perform(actions)

    async def _ask(self, action: AskLoop) -> None:
        await self.flush()
        order = replace(self.job_order(action.job), place=action.place)
        reply = await self.local(orders.ASK_LOOP, order)
        if reply.more is None:
            self._take(action.job, 1, reply)
            return
        self.free(action.job)
        self._perform(self._progress.answer(action.job, more=reply.more))

    async def _gather(self, action: GatherJob) -> None:
        await self.flush()
        order = replace(self.job_order(action.job), status=str(action.status), exhausted=action.exhausted)
        self._take(action.job, 1, await self.local(orders.GATHER_JOB, order))

    async def _finish_parked(self, job: int, activity: str, *, name: str = "", expired: bool = False) -> None:
        """End a job that was parked: because it was told something, or its time has come, or it is given up."""
        mark = self._marks[self.job_id(job)]
        order = replace(self.job_order(job, attempt=mark.attempt), name=name, timeout=expired)
        reply = await self.local(activity, order)
        if not reply.status:  # nothing is stored under this name: it was a false alarm
            self.free(job)
            self._rearm(job, mark)
            return
        self._take(job, mark.attempt, reply)

    def _take(self, job: int, number: int, reply: Reply) -> None:
        """Take in what became of an attempt; its record is in our store already."""
        self.free(job)
        job_id = self.job_id(job)
        mark = Mark(
            job_id, reply.status, number, reply.wake_at, reply.reason or reply.code, reply.name, reply.started_at
        )  # fmt: skip
        self._marks[job_id] = mark
        actions = self._progress.apply(job, reply.result())
        if reply.status == JobStatus.PAUSED:
            if job in self._stopped:
                self._stopped.discard(job)
                self._names |= {} if reply.name is None else {job: reply.name}
                actions += self._cancel(job)
            else:
                self._rearm(job, mark)
        self._perform(actions)

    # Waiting

    def _rearm(self, job: int, mark: Mark) -> None:
        """Let a job wait as its mark says."""
        if mark.status not in {JobStatus.PAUSED, JobStatus.QUEUED}:
            return
        at = mark.wake_at
        if mark.name is not None:
            if (mark.job_id, mark.name) in self._told:
                self._told.discard((mark.job_id, mark.name))
                self.spawn(job, self._finish_parked(job, orders.END_WAIT, name=mark.name))
                return
            self._names[job] = mark.name
            limit = self._progress.node(job).timeout_us
            at = None if limit is None else (mark.started_at or now_us()) + limit
        if at is not None:
            self._timers[job] = asyncio.create_task(self._wake_at(job, at, mark))

    async def _wake_at(self, job: int, at: int, mark: Mark) -> None:
        left = (at - now_us()) / _SECOND_US
        if left > 0:
            await workflow.sleep(left)
        self._timers.pop(job, None)
        if mark.status == JobStatus.QUEUED:
            self._perform(self._progress.wake(job))
        elif mark.name is None:
            self.spawn(job, self._finish_parked(job, orders.END_SLEEP))
        else:
            self._leave(job)
            self.spawn(job, self._finish_parked(job, orders.GIVE_UP, name=mark.name, expired=True))

    def _leave(self, job: int) -> None:
        self._names.pop(job, None)
        timer = self._timers.pop(job, None)
        if timer is not None:
            timer.cancel()

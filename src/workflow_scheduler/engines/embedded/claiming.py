"""The resources that the jobs of one run hold or wait for."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from workflow_scheduler.core.dag.actions import Action, StartJob
from workflow_scheduler.core.dag.pools import Claimed, told, wants_of
from workflow_scheduler.core.execution.failure import failure
from workflow_scheduler.core.model.run import JobStatus
from workflow_scheduler.core.model.workflow import Definition

if TYPE_CHECKING:
    from workflow_scheduler.engines.embedded.execution import Execution

_logger = logging.getLogger(__name__)


class Claiming:
    """A job that asks gives its place among the parallel jobs back, and takes one again once its claim is granted.

    What is durable about a claim stands in the store; after a crash the job asks again. A question that comes too late
    takes back what it got.
    """

    __slots__ = ("_definition", "_execution", "_held", "_waiting")

    def __init__(self, execution: Execution, definition: Definition) -> None:
        """Serve one run."""
        self._execution = execution
        self._definition = definition
        self._held: dict[int, int] = {}
        self._waiting: dict[int, int] = {}

    def ask(self, action: StartJob) -> list[Action] | None:
        """Ask for what a job needs; None where it needs nothing or holds it: then it may start."""
        run, job = self._execution, action.job
        node = run.progress.node(job)
        is_whole = node.repeat is not None and run.progress.instance(job) is None
        if not node.resources or is_whole or job in self._held:
            return None
        run.name(job)
        self._waiting[job] = action.attempt
        run.desk.claims[self._key(job, action.attempt)] = partial(self.settled, job, action.attempt)
        run.desk.spawn(self._ask(job, action.attempt))
        return run.progress.yield_place(job)

    async def _ask(self, job: int, number: int) -> None:
        run = self._execution
        asked = run.progress.node(job).resources
        wants = wants_of(self._definition, run.run.workflow_id, asked)
        try:
            state = await run.desk.claim(run.run, run.job_id(job), number, wants)
        except Exception:
            _logger.exception("job %s of run %s cannot ask for its resources", run.job_id(job), run.run.id)
            state = Claimed.REFUSED
        if self._waiting.get(job) != number:
            if self._held.get(job) != number and not run.desk.closed:
                await run.desk.give_back(run.run, run.job_id(job), number)
        elif state is not Claimed.WAITING:
            self.settled(job, number, state)
        elif not run.over:
            before = run.ledger.records.get(job)
            since = None if before is None else before.started_at
            output = msgspec.json.encode({"waiting_for": told(asked)})
            run.ledger.put(job, JobStatus.QUEUED, number, output=output, started_at=since)
            run.perform(())

    def settled(self, job: int, number: int, state: Claimed) -> None:
        """Take in that the claim of an attempt was granted or refused."""
        run = self._execution
        if self._waiting.get(job) != number or run.over:
            return
        self._forget(job)
        self._held[job] = number
        if state is Claimed.GRANTED:
            run.perform(run.progress.wake(job))
            return
        asked = told(run.progress.node(job).resources)
        why = failure("resources_refused", f"what the job asks for is not there any more, or not as much; {asked}")
        run.perform(run.failed(job, number, None, why))

    def leave(self, job: int) -> None:
        """Give back what a job holds, or give up what it waits for."""
        run = self._execution
        number = self._forget(job) or self._held.pop(job, None)
        if number is not None:
            run.desk.spawn(run.desk.give_back(run.run, run.job_id(job), number))

    def disarm(self) -> None:
        """Forget everything; the claims stay in the store."""
        for job in list(self._waiting):
            self._forget(job)

    def _key(self, job: int, number: int) -> tuple[str, str, int, int]:
        run = self._execution
        return run.run.id, run.job_id(job), run.run.fence, number

    def _forget(self, job: int) -> int | None:
        """Let a job wait no more; return the attempt that did."""
        number = self._waiting.pop(job, None)
        if number is not None:
            self._execution.desk.claims.pop(self._key(job, number), None)
        return number


class NoClaims:
    """Runs whose jobs ask for nothing."""

    def ask(self, action: StartJob) -> None:
        """Let the job start."""

    def leave(self, job: int) -> None:
        """Have nothing to give back."""

    def disarm(self) -> None:
        """Have nothing to forget."""


NO_CLAIMS: Final = NoClaims()

"""What a job sees of the engine while it runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workflow_scheduler.core.errors import Unavailable
from workflow_scheduler.core.model.wait import WaitRequest
from workflow_scheduler.core.ports.engine import CalledRun, OpenedWait
from workflow_scheduler.core.ports.resources import Resources

if TYPE_CHECKING:
    from workflow_scheduler.engines.embedded.execution import Execution


class Context:
    """The JobContext of one attempt. It may be used from other threads to log, and from nowhere else."""

    __slots__ = ("_execution", "attempt", "env", "job", "job_id", "run_id", "tenant_id")

    def __init__(self, execution: Execution, job: int, job_id: str, attempt: int, env: Mapping[str, str]) -> None:
        """Belong to one attempt of one job of a run."""
        run = execution.run
        self._execution = execution
        self.tenant_id = run.tenant_id
        self.run_id = run.id
        self.job = job
        self.job_id = job_id
        self.attempt = attempt
        self.env = env

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this job in this run."""
        return f"{self.run_id}:{self.job_id}"

    @property
    def variables(self) -> Mapping[str, Any]:
        """What `${…}` sees: input, event, jobs, steps, env, run; in repeated jobs also item and iteration."""
        return self._execution.seen_by(self.job)(self.env)

    @property
    def resources(self) -> Resources:
        """What the process lends."""
        resources = self._execution.desk.resources
        if resources is None:
            raise Unavailable("No HTTP client and no threads are connected to this engine.")
        return resources

    def log(self, line: str, stream: str = "stdout") -> None:
        """Keep one line of output; beyond the job's limit lines are dropped and one says so."""
        desk = self._execution.desk
        if threading.get_ident() == desk.thread:
            self._execution.log(self.job, self.attempt, line, stream)
        elif desk.loop is not None and not desk.closed:
            desk.loop.call_soon_threadsafe(self._execution.log, self.job, self.attempt, line, stream)

    def now(self) -> int:
        """Return the time in microseconds."""
        return self._execution.desk.clock.now()

    async def emit(self, event: Mapping[str, Any], key: str) -> str:
        """Accept an event once for `key`, caused by this run; return its id."""
        return await self._execution.desk.emit(self._execution.run, self.job_id, event, key)

    async def call(self, workflow: str, value: Any, *, wait: bool) -> CalledRun:
        """Start a run of a workflow, once for this job."""
        return await self._execution.desk.call(self._execution.run, self.job_id, workflow, value, wait)

    async def ask(self, request: WaitRequest) -> OpenedWait:
        """Register that people are asked, once for this job."""
        return await self._execution.desk.ask(self._execution.run, self.job_id, request)

    async def secret(self, name: str) -> str | None:
        """Return a secret of the run's tenant."""
        secrets = self._execution.desk.secrets
        return None if secrets is None else await secrets.get(self.tenant_id, name)

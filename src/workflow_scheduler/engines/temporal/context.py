"""What a job sees of a worker while it runs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from workflow_scheduler.core.errors import Unavailable
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.model.wait import WaitRequest
from workflow_scheduler.core.ports.engine import CalledRun, OpenedWait
from workflow_scheduler.core.ports.resources import Resources
from workflow_scheduler.core.ports.vault import Secrets
from workflow_scheduler.core.time.clock import Clock

Withdraw: TypeAlias = Callable[[Run, str, str], Awaitable[None]]
Call: TypeAlias = Callable[[Run, str, str, Any, bool], Awaitable[CalledRun]]
Ask: TypeAlias = Callable[[Run, str, WaitRequest], Awaitable[OpenedWait]]
Emit: TypeAlias = Callable[[Run, str, Mapping[str, Any], str], Awaitable[str]]
Log: TypeAlias = Callable[[str, int, str, str], None]


class Lent(msgspec.Struct, kw_only=True):
    """What the process lends to jobs."""

    resources: Resources | None = None
    secrets: Secrets | None = None
    emit: Emit
    call: Call
    ask: Ask
    withdraw: Withdraw
    public_url: str = ""


class Context:
    """The JobContext of one attempt. It may be used from other threads to log, and from nowhere else."""

    __slots__ = ("_clock", "_lent", "_log", "_loop", "_run", "_thread", "_variables", "attempt", "env", "job_id")

    def __init__(self, run: Run, job: tuple[str, int], env: Mapping[str, str], variables: Mapping[str, Any]) -> None:
        """Belong to attempt `job[1]` of the job `job[0]`; `attach` connects it."""
        self._run = run
        self.job_id, self.attempt = job
        self.env = env
        self._variables = variables
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    def attach(self, lent: Lent, clock: Clock, log: Log) -> Context:
        """Connect to what the process lends."""
        self._lent, self._clock, self._log = lent, clock, log
        return self

    @property
    def tenant_id(self) -> str:
        """The tenant of the run."""
        return self._run.tenant_id

    @property
    def run_id(self) -> str:
        """The run."""
        return self._run.id

    @property
    def idempotency_key(self) -> str:
        """The same for every attempt of this job in this run."""
        return f"{self._run.id}:{self.job_id}"

    @property
    def variables(self) -> Mapping[str, Any]:
        """What `${…}` sees."""
        return self._variables

    @property
    def resources(self) -> Resources:
        """What the process lends."""
        if self._lent.resources is None:
            raise Unavailable("No HTTP client and no threads are connected to this worker.")
        return self._lent.resources

    def log(self, line: str, stream: str = "stdout") -> None:
        """Keep one line of output."""
        if threading.get_ident() == self._thread:
            self._log(self.job_id, self.attempt, line, stream)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._log, self.job_id, self.attempt, line, stream)

    def now(self) -> int:
        """Return the time in microseconds."""
        return self._clock.now()

    async def emit(self, event: Mapping[str, Any], key: str) -> str:
        """Accept an event once for `key`, caused by this run; return its id."""
        return await self._lent.emit(self._run, self.job_id, event, key)

    async def call(self, workflow: str, value: Any, *, wait: bool) -> CalledRun:
        """Start a run of a workflow, once for this job."""
        return await self._lent.call(self._run, self.job_id, workflow, value, wait)

    async def ask(self, request: WaitRequest) -> OpenedWait:
        """Register that people are asked, once for this job."""
        return await self._lent.ask(self._run, self.job_id, request)

    async def secret(self, name: str) -> str | None:
        """Return a secret of the run's tenant."""
        return None if self._lent.secrets is None else await self._lent.secrets.get(self.tenant_id, name)

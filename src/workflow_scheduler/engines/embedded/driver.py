"""The engine `embedded`: the door through which the pipeline hands over runs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.dag.pools import Claimed
from workflow_scheduler.core.execution.program import Program, prepare
from workflow_scheduler.core.model.run import Run, RunChange, RunStatus, Wake
from workflow_scheduler.core.ports.engine import Capabilities, RunSink, StartResult, Task
from workflow_scheduler.core.ports.resources import Resources
from workflow_scheduler.core.ports.vault import Secrets
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines.embedded.desk import Ask, Call, Claim, Desk, Emit, GiveBack, Limits, Withdraw
from workflow_scheduler.engines.embedded.execution import Execution
from workflow_scheduler.engines.embedded.timers import Timers

_logger = logging.getLogger(__name__)


class EmbeddedEngine:
    """Executes runs in this process.

    A job's result is durable before a job that needs it starts; a run whose process dies goes on from its records
    elsewhere. All methods are called on one event loop.
    """

    name: Final = "embedded"
    capabilities: Final = Capabilities(
        durable=True,
        idempotent_start=True,
        cancel=True,
        resume=True,
        answer=True,
        job_detail=True,
        several_instances=True,
    )

    def __init__(
        self,
        job_types: Mapping[str, Any],
        sink: RunSink,
        clock: Clock,
        *,
        limits: Limits | None = None,
        signals: Signals | None = None,
        allow_code: bool = True,
    ) -> None:
        """Run jobs of `job_types` (modules by name) and record through `sink`; without `allow_code` none runs code."""
        self._job_types = job_types
        self._allow_code = allow_code
        self._desk = Desk(sink, clock, limits or Limits(), signals or Signals())
        self._programs: WeakKeyDictionary[Graph, Program] = WeakKeyDictionary()

    def connect(
        self,
        *,
        resources: Resources | None = None,
        secrets: Secrets | None = None,
        emit: Emit | None = None,
        public_url: str | None = None,
        on_drop: Callable[[Run], None] | None = None,
        leased: Callable[[], bool] | None = None,
    ) -> None:
        """Give jobs what they may use: HTTP and threads, secrets, sending events, and the address of this service.

        `emit(run, job_id, event, key)` accepts an event that the run causes, once for `key`, and returns its id.
        `on_drop` is told of each run that is let go without an end, because it rests or another instance owns it now.
        No job is begun while `leased` returns False.
        """
        desk = self._desk
        desk.resources = resources or desk.resources
        desk.secrets = secrets or desk.secrets
        desk.emit = emit or desk.emit
        desk.on_drop = on_drop or desk.on_drop
        for admission in (desk.admission, desk.process_admission):
            admission.gate = leased or admission.gate
        desk.public_url = desk.public_url if public_url is None else public_url.rstrip("/")

    def connect_waiting(
        self, *, call: Call, ask: Ask, withdraw: Withdraw, on_wait: Callable[[], None], parks: bool = False
    ) -> None:
        """Give jobs what they may wait for.

        `ask(run, job_id, request)` registers once for (run, job id) that people are asked.
        `call(run, job_id, workflow, input, wait)` starts a run once for (run, job id). `withdraw(run, job_id, name)`
        says durably that the job does not wait for `name` any more. `on_wait` is told when a job begins to wait.
        `parks` says that somebody takes up runs that rest in the store: they leave this process then.
        """
        desk = self._desk
        desk.call, desk.ask, desk.withdraw, desk.on_wait, desk.parks = call, ask, withdraw, on_wait, parks

    def connect_pools(self, *, claim: Claim, give_back: GiveBack) -> None:
        """Give jobs their resources.

        `claim(run, job_id, attempt, wants)` asks for all of them at once and says how that stands; what comes of it
        later is told with `claimed`. `give_back(run, job_id, attempt)` ends a claim, granted or not.
        """
        self._desk.claim, self._desk.give_back = claim, give_back

    @property
    def claiming(self) -> int:
        """How many jobs here wait for resources."""
        return len(self._desk.claims)

    def claimed(self, run_id: str, job_id: str, turn: tuple[int, int], state: Claimed) -> None:
        """Take in that a claim was granted or refused; `turn` is its fence and attempt."""
        told = self._desk.claims.get((run_id, job_id, *turn))
        if told is not None:
            told(state)

    @property
    def timers(self) -> Timers:
        """What is planned for later: time-outs, attempts, the ends of sleeps."""
        return self._desk.timers

    @property
    def waiting(self) -> int:
        """How many jobs here wait to be told something."""
        return self._desk.waiting

    def complete(self, wake: Wake) -> bool:
        """Tell a parked job what became of the thing it waits for (see core/dag/park.py).

        Returns whether the job has come to its end, so that the wake may be removed; False where the run is not here.
        """
        execution = self._desk.runs.get(wake.run_id)
        return False if execution is None or execution.run.tenant_id != wake.tenant_id else execution.complete(wake)

    def submit(self, tasks: Sequence[Task]) -> None:
        """Take runs without waiting; those of which all jobs are inline end before this returns.

        A run that is here already under the same or a newer fence is left alone.
        """
        desk = self._desk
        if desk.closed:
            return
        if desk.loop is None:
            desk.attach()
        for task in tasks:
            known = desk.runs.get(task.run.id)
            if known is not None:
                if known.run.fence >= task.run.fence:
                    continue
                desk.drop(known)
            execution = Execution(task, self._program(task.graph), desk)
            desk.runs[task.run.id] = execution
            try:
                execution.begin(task.done)
            except Exception:
                _logger.exception("run %s cannot be begun", task.run.id)
                desk.refuse(execution)

    def recover(self, tasks: Sequence[Task]) -> None:
        """Take over runs of a process that is gone; jobs that have ended according to `done` are not run again."""
        self.submit(tasks)

    async def start(self, task: Task) -> StartResult:
        """Take one run; the same run id is taken once."""
        already = task.run.id in self._desk.runs
        self.submit((task,))
        return StartResult(task.run.id, already)

    async def cancel(self, run: Run) -> None:
        """Stop the run if it is here: its jobs are cancelled, and its end is reported to the sink."""
        execution = self._desk.runs.get(run.id)
        if execution is not None:
            execution.cancel()

    async def describe(self, run: Run) -> RunChange | None:
        """Return RUNNING for a run that is here, None for any other; its end is known to the sink only."""
        execution = self._desk.runs.get(run.id)
        if execution is None:
            return None
        known = execution.run
        return RunChange(tenant_id=known.tenant_id, run_id=known.id, fence=known.fence, status=RunStatus.RUNNING)

    def held(self) -> dict[str, int]:
        """Return the fence of every run that is here, by its id."""
        return {run_id: execution.run.fence for run_id, execution in self._desk.runs.items()}

    def drop(self, run_ids: Collection[str]) -> None:
        """Let go of runs that belong to others now, and begin what waited for the lease."""
        desk = self._desk
        for run_id in run_ids:
            execution = desk.runs.get(run_id)
            if execution is not None:
                desk.let_go(execution)
        desk.admission.reopen()
        desk.process_admission.reopen()

    @property
    def active(self) -> int:
        """The number of runs that are here."""
        return len(self._desk.runs)

    async def close(self) -> None:
        """Stop; runs that are under way stay as their last checkpoint left them and can be recovered."""
        await self._desk.close()

    def _program(self, graph: Graph) -> Program:
        program = self._programs.get(graph)
        if program is None:
            program = self._programs[graph] = prepare(graph, self._job_types, allow_code=self._allow_code)
        return program

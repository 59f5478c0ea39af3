"""The launcher: hands committed run intents to their engines, within each workflow's limit of runs at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from workflow_scheduler.core.dag.graph import Graph
from workflow_scheduler.core.errors import SchedulerError, StoreUnavailable
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import PARKED, JobRecord, JobStatus, Run, RunChange, RunStatus
from workflow_scheduler.core.overlap import limited_workflow
from workflow_scheduler.core.ports.engine import Engine, RunSink, Task
from workflow_scheduler.core.ports.store import Accepted, Store
from workflow_scheduler.core.time.clock import SECOND_US, Clock, to_iso
from workflow_scheduler.pipeline.backlog import Backlog, Key
from workflow_scheduler.pipeline.graphs import GraphCache
from workflow_scheduler.pipeline.intents import HAND_OVER_US
from workflow_scheduler.pipeline.lease import Holds
from workflow_scheduler.pipeline.remains import closed_jobs
from workflow_scheduler.stores.portable import claims
from workflow_scheduler.stores.portable.waiting import waiting_runs

_encode = msgspec.json.encode
READ_ROWS = 500
RETRY_SECONDS = 1.0
WAIT_SECONDS_MAX = 60.0
_ATTRIBUTES = ("method", "path", "query", "headers")


class LocalEngine(Engine, Holds, Protocol):
    """An engine inside this process: it takes many runs at once, without waiting."""

    def submit(self, tasks: Sequence[Task]) -> None:
        """Take the runs; their ends are reported to the sink."""
        ...


class Dispatches(Protocol):
    """Takes runs for engines outside this process."""

    def dispatch(self, run: Run, event: bytes) -> None:
        """Begin handing `run` to its engine."""
        ...


def event_json(event: Event) -> bytes:
    """Return the event as jobs and conditions see it, as JSON."""
    attributes: dict[str, Any] = msgspec.json.decode(event.attributes) if event.attributes != b"{}" else {}
    return _encode(
        {
            "id": event.id,
            "source": event.source,
            "type": event.type,
            "subject": event.subject,
            "time": to_iso(event.time),
            "data": msgspec.Raw(event.data),
            **{name: attributes.get(name) for name in _ATTRIBUTES},
        }
    )


def _facts(event: Event) -> bytes:
    """Return the event as JSON; null where it cannot be read, since its neighbours' runs are to be started as well."""
    try:
        return event_json(event)
    except (ValueError, TypeError):
        return b"null"


class _Start(NamedTuple):
    """A run to start, its event as JSON, and the records of the jobs it already did."""

    run: Run
    event: bytes
    done: Sequence[JobRecord]


class Launcher:
    """Starts runs: embedded ones at once in this process, others through the dispatcher."""

    def __init__(
        self, graphs: GraphCache, sink: RunSink, store: Store, clock: Clock, owner: str, backlog: Backlog | None = None
    ) -> None:
        """Start runs of the instance `owner`; the composition root sets the rest."""
        self._graphs = graphs
        self._sink = sink
        self._store = store
        self._clock = clock
        self.local: LocalEngine | None = None
        self.engines: Mapping[str, Engine] = {}
        self.dispatcher: Dispatches | None = None
        self.on_parked: Callable[[], object] = bool  # told that a resting run is to be cancelled
        self._owner = owner
        self._active: dict[Key, int] = {}
        self._limited: dict[str, Key] = {}
        self._backlog = Backlog() if backlog is None else backlog
        self._loading: dict[tuple[str, str, int], list[_Start]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._early: set[str] = set()
        self.alone: dict[str, Run] = {}
        """Runs under way here that must not overlap with others, by id: others may end them."""

    def launch(self, accepted: Sequence[Accepted]) -> None:
        """Start every run of the accepted events; called right after their commit."""
        tasks: list[Task] = []
        for one in accepted:
            event: bytes | None = None
            for run in one.runs:
                if event is None:
                    event = _facts(one.event)
                self._sort(run, event, tasks)
        self._submit(tasks)

    def held(self) -> dict[str, int]:
        """Return the fence of every run that is under way or waits for its place here, by its id."""
        under_way = {} if self.local is None else self.local.held()
        return {**self._backlog.fences(), **under_way}

    def drop(self, run_ids: Collection[str]) -> None:
        """Let go of runs that belong to other instances now; those that wait first, since each makes room for one."""
        for run_id in run_ids:
            self.alone.pop(run_id, None)
        self._backlog.forget(run_ids)
        if self.local is not None:
            self.local.drop(run_ids)

    def is_local(self, run: Run) -> bool:
        """Return whether the run is executed in this process."""
        return self.local is not None and run.engine == self.local.name

    async def let_go(self, run: Run) -> None:
        """Stop a run that was ended elsewhere; an engine outside this process is asked to.

        Raises:
            SchedulerError: that engine did not answer.

        """
        self.drop((run.id,))
        engine = self.engines.get(run.engine)
        if engine is not None and not self.is_local(run):
            await engine.cancel(run)

    def _sort(self, run: Run, event: bytes, tasks: list[Task]) -> None:
        if run.overlap_key is not None:
            self.alone[run.id] = run
        if self._wait(run):
            return
        if not self.is_local(run):
            if self.dispatcher is not None:
                self.dispatcher.dispatch(run, event)
            return
        self._find_graph(_Start(run, event, ()), tasks)

    def resume(self, run: Run, event: bytes, done: Sequence[JobRecord]) -> None:
        """Start a run that was taken over, with the records of the jobs it already did."""
        if run.overlap_key is not None:
            self.alone[run.id] = run
        if self._wait(run):
            return
        if not self.is_local(run):
            if self.dispatcher is not None:
                self.dispatcher.dispatch(run, event)
            return
        tasks: list[Task] = []
        self._find_graph(_Start(run, event, done), tasks)
        self._submit(tasks)

    def _wait(self, run: Run) -> bool:
        """Leave a run in its row until its time, where that has not come; return whether it was left."""
        begin = run.next_attempt_at
        if begin is None or run.status is not RunStatus.QUEUED or begin - self._clock.now() <= HAND_OVER_US:
            return False
        if self.is_local(run) and run.id not in self._early:
            self._early.add(run.id)
            self._later(self._start_in_time(run, begin))
        return True

    async def _start_in_time(self, run: Run, begin: int) -> None:
        hold = (run.tenant_id, run.id, run.fence)
        while (left := begin - self._clock.now()) > 0:
            await self._clock.sleep(min(left / SECOND_US, WAIT_SECONDS_MAX))
        while run.id in self._early:
            try:
                rows = await claims.held(self._store, self._owner, hold)
                for held in await claims.readable_runs(self._store, rows, self._clock.now()):
                    await self._begin(held)
                self._early.discard(run.id)
            except StoreUnavailable:
                await self._clock.sleep(RETRY_SECONDS)

    async def _begin(self, run: Run) -> None:
        """Start a run whose time has come."""
        if run.cancel_requested:
            await self._cancelled(run)
            return
        event = await claims.event_of(self._store, run)
        if not await self._store.transact(claims.begin(run)):
            return
        tasks: list[Task] = []
        self._early.discard(run.id)
        self._find_graph(_Start(run, b"null" if event is None else _facts(event), ()), tasks)
        self._submit(tasks)

    def _later(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _find_graph(self, start: _Start, tasks: list[Task]) -> None:
        """Admit a run whose graph is in memory; the others wait in their order while it is read once for all."""
        run = start.run
        key = (run.tenant_id, run.workflow_id, run.version)
        graph = self._graphs.cached(*key)
        if key in self._loading:
            self._loading[key].append(start)
        elif graph is None:
            self._loading[key] = [start]
            self._later(self._load(key, run))
        else:
            self._admit(Task(run, graph, start.done, start.event), tasks)

    async def _load(self, key: tuple[str, str, int], first: Run) -> None:
        try:
            graph = await self._graph(first)
        except SchedulerError as error:
            for start in self._loading.pop(key):
                await self._refuse(start.run, error)
            return
        tasks: list[Task] = []
        for start in self._loading.pop(key):
            if start.run.overlap_key is not None and start.run.id not in self.alone:
                continue  # a later fire has ended it meanwhile
            self._admit(Task(start.run, graph, start.done, start.event), tasks)
        self._submit(tasks)

    async def _graph(self, run: Run) -> Graph:
        """Return the run's compiled graph; a database that is away is waited for."""
        while True:
            try:
                return await self._graphs.find(run.tenant_id, run.workflow_id, run.version)
            except StoreUnavailable:
                await self._clock.sleep(RETRY_SECONDS)

    async def _refuse(self, run: Run, error: SchedulerError) -> None:
        now = self._clock.now()
        change = RunChange(
            tenant_id=run.tenant_id,
            run_id=run.id,
            fence=run.fence,
            status=RunStatus.FAILED,
            ended_at=now,
            error=_encode({"code": error.code, "message": error.detail}),
        )
        jobs = await closed_jobs(self._store, self._clock, run, JobStatus.FAILED, change.error)
        await self._sink.finish(change, run, jobs, ())

    def leave(self, run: Run) -> bool:
        """Leave a run in its row when others of its workflow wait there; return whether it was left."""
        key = (run.tenant_id, run.workflow_id)
        if not self.is_local(run) or run.backfill_id is not None or not self._backlog.has_left(key):
            return False
        self._backlog.leave(run)
        return True

    def _admit(self, task: Task, tasks: list[Task], *, again: bool = False) -> None:
        """Let a run start, or keep it back while its workflow already has as many running as it allows."""
        limit = _limit(task)
        if limit is None:
            tasks.append(task)
            return
        run, key = task.run, (task.run.tenant_id, task.run.workflow_id)
        if run.id in self._limited or run.id in self._backlog or (not again and self._backlog.was_taken(run)):
            return
        is_free = self._active.get(key, 0) < limit
        if is_free and (again or not self._backlog.has_left(key)):
            self._active[key] = self._active.get(key, 0) + 1
            self._limited[run.id] = key
            tasks.append(task)
            return
        self._backlog.put(key, task, again=again)
        if is_free:
            self._read_rows(key)

    def ended(self, run_id: str) -> None:
        """Give the place of an ended run to the next one of its workflow."""
        self.alone.pop(run_id, None)
        key = self._limited.pop(run_id, None)
        if key is None:
            return
        self._active[key] -= 1
        if not self._active[key]:
            del self._active[key]
        tasks: list[Task] = []
        following = self._backlog.pop(key)
        if following is not None:
            self._admit(following, tasks, again=True)
        else:
            self._read_rows(key)
        self._submit(tasks)

    def _submit(self, tasks: list[Task]) -> None:
        if tasks and self.local is not None:
            self.local.submit(tasks)

    def _read_rows(self, key: Key) -> None:
        if self._backlog.has_left(key) and not self._backlog.is_reading(key):
            self._later(self._take_left(key, self._backlog.begin_reading(key)))

    async def _take_left(self, key: Key, first: str) -> None:
        """Take the runs that wait in their rows, the oldest first, until the workflow has enough to do."""
        while True:
            try:
                runs, more = await waiting_runs(self._store, self._owner, key, first, READ_ROWS)
                more = await self._take(key, runs) or more
                break
            except StoreUnavailable:
                await self._clock.sleep(RETRY_SECONDS)
        self._backlog.end_reading(key, more)
        if not self._active.get(key):
            self._read_rows(key)

    async def _take(self, key: Key, runs: Sequence[Run]) -> str | None:
        """Admit runs that were read; return the id of the first one for which there was no room."""
        for run in runs:
            if run.id in self._limited or run.id in self._backlog or run.id in self._early:
                continue
            if self._backlog.is_full and self._active.get(key):
                return run.id
            try:
                event = await claims.event_of(self._store, run)
                done = await claims.jobs_of(self._store, run)
            except (ValueError, TypeError):
                continue  # such a row is quarantined by the inspection
            if self._backlog.was_removed(key, run.id):
                continue
            if run.cancel_requested:
                await self._cancelled(run)
            else:
                await self._start_again(_Start(run, b"null" if event is None else event_json(event), done))
        return None

    async def _start_again(self, start: _Start) -> None:
        try:
            graph = await self._graph(start.run)
        except SchedulerError as error:
            await self._refuse(start.run, error)
            return
        tasks: list[Task] = []
        self._backlog.note_taken(start.run)
        self._admit(Task(start.run, graph, start.done, start.event), tasks, again=True)
        self._submit(tasks)

    async def cancel(self, tenant_id: str, run_id: str) -> None:
        """Ask for the end of a run: durable first, then its engine is told."""
        run = await self._store.transact(claims.request_cancel(tenant_id, run_id))
        if run is not None:
            await self.stop(run)

    async def stop(self, run: Run) -> None:
        """Tell the engine of `run` to stop it; one that waits for its turn ends at once, one that rests is taken up."""
        if run.waits:
            await self._cancelled(run)
            return
        if run.owner == PARKED:
            self.on_parked()
            return
        if run.id not in self._limited and self._backlog.remove(run):
            await self._cancelled(run)
            return
        if run.id in self._early:
            self._early.discard(run.id)
            await self._cancelled(run)
            return
        engine = self.engines.get(run.engine)
        if engine is not None:
            await engine.cancel(run)

    async def _cancelled(self, run: Run) -> None:
        now = self._clock.now()
        change = RunChange(
            tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=RunStatus.CANCELLED, ended_at=now
        )
        jobs = await closed_jobs(self._store, self._clock, run, JobStatus.CANCELLED)
        await self._sink.finish(change, run, jobs, ())


def _limit(task: Task) -> int | None:
    """Return how many runs of the workflow may be under way here; None where that is not counted here.

    A backfill counts its own runs, beside those; runs under a limit that the store counts have their turn already.
    """
    run, rule = task.run, task.graph.definition.concurrency
    counted = run.backfill_id is not None or rule.key is not None or limited_workflow(run.overlap_key) is not None
    return None if counted else rule.max_runs

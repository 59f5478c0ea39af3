"""The dispatcher: hands runs to engines outside this process, follows them to their end, and gives up in the open.

Nothing waits in memory: a run that has to be tried or looked at again goes back to its row with `next_attempt_at`,
and the loop takes it from there. An unknown outcome is looked up before the next attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

import msgspec
import structlog

from workflow_scheduler.core.errors import (
    EngineUnavailable,
    NotFound,
    OutcomeUnknown,
    Rejected,
    SchedulerError,
    StoreUnavailable,
    Unavailable,
    ValidationFailed,
)
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.run import FINAL, Run, RunChange, RunStatus
from workflow_scheduler.core.ports.engine import Engine, Logged, RunSink, Task
from workflow_scheduler.core.ports.store import DeadLetter, Store
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.backoff import backoff_seconds
from workflow_scheduler.core.time.clock import SECOND_US, Clock, from_datetime, to_iso
from workflow_scheduler.pipeline.adoption import Adoption
from workflow_scheduler.pipeline.elsewhere import Elsewhere
from workflow_scheduler.pipeline.graphs import GraphCache
from workflow_scheduler.pipeline.launcher import event_json
from workflow_scheduler.pipeline.lease import Lease
from workflow_scheduler.stores.portable import claims
from workflow_scheduler.stores.portable.ownership import owns

GIVE_UP_SECONDS = 24 * 3600
WAIT_SECONDS_MAX = 3600.0
PARALLEL_CALLS = 50
FOLLOW_SECONDS = 2.0
FOLLOW_SECONDS_MAX = 30.0
POLL_SECONDS = 0.5
DUE_RUNS = 200
IN_HAND_MAX = 100  # smaller than DUE_RUNS, so that what is in hand cannot hide the rest

_log = structlog.get_logger(__name__)


class _Tries(NamedTuple):
    """How many attempts at a run have failed, and when the first one did."""

    failed: int
    since: int


class _Noted(msgspec.Struct):
    """What the row of a run says about its failed attempts."""

    since: datetime | None = None


class Dispatcher:
    """Starts and follows runs on engines such as `http`."""

    def __init__(
        self, store: Store, graphs: GraphCache, sink: RunSink, clock: Clock, owner: str, signals: Signals
    ) -> None:
        """Work for the instance `owner`; `engines` and `lease` are set by the composition root."""
        self._store = store
        self._graphs = graphs
        self._sink = sink
        self._clock = clock
        self._owner = owner
        self._signals = signals
        self.engines: Mapping[str, Engine] = {}
        self.lease: Lease | None = None
        self.elsewhere = Elsewhere(store, sink, clock)
        self._adoption = Adoption(store, sink, clock)
        self._busy: set[str] = set()
        self._attempts: dict[str, _Tries] = {}
        self._calls = asyncio.Semaphore(PARALLEL_CALLS)
        self._tasks: set[asyncio.Task[None]] = set()

    def dispatch(self, run: Run, event: bytes) -> None:
        """Begin handing `run` to its engine; beyond the limit of calls it waits in its row."""
        if run.id in self._busy or len(self._busy) >= IN_HAND_MAX:
            return
        self._busy.add(run.id)
        self._later(self._step(run, event, self._term()))

    async def loop(self) -> None:
        """Take runs whose next attempt or look is due; for ever."""
        while True:
            try:
                taken = await self._take_due()
            except StoreUnavailable:
                taken = 0
            if not taken:
                await self._clock.sleep(POLL_SECONDS)

    async def _take_due(self) -> int:
        now = self._clock.now()
        due = await claims.due_runs(self._store, now, self._owner, DUE_RUNS)
        fresh = [run for run in await claims.readable_runs(self._store, due, now) if run.id not in self._busy]
        fresh.sort(key=lambda run: -run.priority)
        fresh = fresh[: max(0, IN_HAND_MAX - len(self._busy))]
        for run in fresh:
            self.dispatch(run, await self._event(run))
        return len(fresh)

    async def _event(self, run: Run) -> bytes:
        """Return the event of a run that is to be started, as JSON; null when it cannot be read."""
        try:
            event = await claims.event_of(self._store, run) if run.status is RunStatus.QUEUED else None
            return b"null" if event is None else event_json(event)
        except (ValueError, TypeError):
            return b"null"

    def _term(self) -> int:
        return 0 if self.lease is None else self.lease.term

    async def _surely_mine(self, run: Run, term: int) -> bool:
        """Wait while the lease is in doubt; if it has been since `term`, ask whether the run was taken over."""
        if self.lease is None or (self.lease.valid() and self.lease.term == term):
            return True
        while True:
            if self.lease.valid():
                try:
                    return await owns(self._store, self._owner, run)
                except StoreUnavailable as error:
                    _log.warning("dispatch.waits", run=run.id, error=error.detail)
            await self._clock.sleep(POLL_SECONDS)

    async def _step(self, run: Run, event: bytes, term: int) -> None:
        try:
            async with self._calls:
                engine = self.engines.get(run.engine)
                if not await self._surely_mine(run, term):
                    return
                if engine is None:
                    await self._give_up(run, Rejected(f"The engine `{run.engine}` is not configured."))
                elif run.status is not RunStatus.QUEUED:
                    await self._follow(engine, run)
                elif run.cancel_requested:
                    await self._withdraw(engine, run)
                else:
                    await self._start(engine, run, event)
        except Exception as error:  # noqa: BLE001 -- a run must not be lost by a fault in its engine
            _log.warning("dispatch.failed", run=run.id, error=repr(error))
            await self._again(run, EngineUnavailable(f"{type(error).__name__}: {error}"))
        finally:
            self._busy.discard(run.id)

    async def _start(self, engine: Engine, run: Run, event: bytes) -> None:
        try:
            graph = await self._graphs.find(run.tenant_id, run.workflow_id, run.version)
            known = await self._begin(engine, Task(run, graph, (), event))
        except (Rejected, NotFound, ValidationFailed) as error:
            await self._give_up(run, error)
            return
        except SchedulerError as error:
            await self._again(run, error)
            return
        self._attempts.pop(run.id, None)
        if known is not None and known.status in FINAL:
            await self._finish(engine, run, known)
        elif known is not None:
            await self._sink.record(changes=(msgspec.structs.replace(known, next_attempt_at=self._after(1.0)),))

    async def _begin(self, engine: Engine, task: Task) -> RunChange | None:
        """Start a run; None where it is an execution now that somebody else started."""
        run = task.run
        if run.external_id is not None:  # it is marked for one
            if await self._adoption.go_on(engine, task):
                return None
            run = msgspec.structs.replace(run, external_id=None)
            task = msgspec.structs.replace(task, run=run)
        known = await engine.describe(run) if run.fence > 1 or run.id in self._attempts else None
        if known is not None:
            return known
        if await self._adoption.begin(engine, task):
            return None
        return await self._call_start(engine, task)

    async def _withdraw(self, engine: Engine, run: Run) -> None:
        """End a run that is to be cancelled; an attempt to start it may have reached the engine all the same.

        One that was to be an execution of somebody else, and is not yet, leaves that one alone.
        """
        try:
            known = None if run.external_id else await engine.describe(run)
            if known is not None and known.status not in FINAL:
                await engine.cancel(run)
        except SchedulerError as error:
            await self._again(run, error)
            return
        self._attempts.pop(run.id, None)
        if known is None:
            await self._sink.finish(_change(run, RunStatus.CANCELLED, ended_at=self._clock.now()), run, (), ())
        elif known.status in FINAL:
            await self._finish(engine, run, known)
        else:
            await self._sink.record(changes=(msgspec.structs.replace(known, next_attempt_at=self._after(1.0)),))

    async def _call_start(self, engine: Engine, task: Task) -> RunChange:
        run = task.run
        self._signals.emit("dispatch.start.before")
        try:
            result = await engine.start(task)
        except OutcomeUnknown:
            known = await engine.describe(run)
            if known is None:
                raise
            return known
        self._signals.emit("dispatch.start.after")
        return RunChange(
            tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=RunStatus.RUNNING,
            started_at=self._clock.now(), external_id=result.external_id,
        )  # fmt: skip

    async def _follow(self, engine: Engine, run: Run) -> None:
        """Look where a run stands, and note when to look again; what it asks meanwhile is asked here."""
        try:
            known = await engine.describe(run)
        except SchedulerError:
            known = None
        if known is not None and known.status in FINAL:
            await self._finish(engine, run, known)
            return
        again = self._after(follow_seconds(run, self._clock.now()))
        if known is not None and _is_news(known, run):
            await self._sink.record(changes=(msgspec.structs.replace(known, next_attempt_at=again),))
        else:
            with suppress(StoreUnavailable):  # the run stays due
                await self._store.transact(claims.look_again(run, again))
        if known is None:
            return
        with suppress(SchedulerError):  # the next look does what this one could not
            if await self.elsewhere.attend(engine, run, known.status):
                soon = _change(run, RunStatus.RUNNING, next_attempt_at=self._after(POLL_SECONDS))
                await self._sink.record(changes=(soon,))

    async def _finish(self, engine: Engine, run: Run, known: RunChange) -> None:
        await self._sink.finish(known, run, (), ())
        if run.status is RunStatus.PAUSED:
            with suppress(SchedulerError):
                await self.elsewhere.forget(run)
        if isinstance(engine, Logged):
            self._later(self.elsewhere.keep_log(engine, msgspec.structs.replace(run, external_id=known.external_id)))

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _again(self, run: Run, error: SchedulerError) -> None:
        """Put the run back for later: 1 s, doubling to 5 min with full jitter, or as the engine asked."""
        tries = self._attempts.get(run.id) or _Tries(0, await self._failing_since(run))
        tries = self._attempts[run.id] = _Tries(tries.failed + 1, tries.since)
        if self._clock.now() - tries.since > GIVE_UP_SECONDS * SECOND_US:
            await self._give_up(run, error)
            return
        wait = error.retry_after_seconds
        if wait is None:
            wait = backoff_seconds(tries.failed, chance=self._clock.random())
        facts = {"code": error.code, "message": error.detail, "attempt": tries.failed, "since": to_iso(tries.since)}
        body = msgspec.json.encode(facts)
        # A run that the engine has is looked at again, not started again.
        status = RunStatus.QUEUED if run.external_id is None else run.status
        change = _change(run, status, error=body, next_attempt_at=self._after(min(wait, WAIT_SECONDS_MAX)))
        await self._sink.record(changes=(change,))

    async def _failing_since(self, run: Run) -> int:
        """Return when the first attempt at a run failed: now, unless another process has noted one.

        The time that a run waited for its turn before that does not count.
        """
        now = self._clock.now()
        rows = await self._store.read(
            "SELECT error FROM runs WHERE tenant_id = :tenant AND id = :id", {"tenant": run.tenant_id, "id": run.id}
        )
        try:
            noted = msgspec.json.decode(rows[0][0], type=_Noted).since if rows and rows[0][0] else None
            return now if noted is None else min(now, from_datetime(noted))
        except (ValueError, TypeError):
            return now

    async def _give_up(self, run: Run, error: SchedulerError) -> None:
        now = self._clock.now()
        tries = self._attempts.pop(run.id, None)
        attempts = 1 if tries is None else tries.failed + 1
        reason = Reason.ENGINE_UNAVAILABLE if isinstance(error, Unavailable | OutcomeUnknown) else Reason.ENGINE_REFUSED
        letter = DeadLetter(
            id=mint(now), tenant_id=run.tenant_id, kind="run", event_id=run.event_id, run_id=run.id,
            trigger_id=run.trigger_id, workflow_id=run.workflow_id, reason=reason, detail=error.detail,
            payload=run.input, attempts=attempts, created_at=now,
        )  # fmt: skip
        body = msgspec.json.encode({"code": error.code, "message": error.detail})
        await self._sink.finish(_change(run, RunStatus.FAILED, ended_at=now, error=body), run, (), (), (letter,))

    def _after(self, seconds: float) -> int:
        return self._clock.now() + int(seconds * SECOND_US)


def follow_seconds(run: Run, now: int) -> float:
    """Return how long to leave a run alone: a twentieth of its age, so that thousands of long ones cost little."""
    age = (now - (run.started_at or run.created_at)) / SECOND_US
    return min(max(age / 20, FOLLOW_SECONDS), FOLLOW_SECONDS_MAX)


def _is_news(known: RunChange, run: Run) -> bool:
    """Return whether the engine says something that is not in the row yet."""
    told = (known.status, known.external_id or run.external_id, known.started_at or run.started_at)
    return told != (run.status, run.external_id, run.started_at)


def _change(run: Run, status: RunStatus, **values: Any) -> RunChange:
    return RunChange(tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=status, **values)

"""The tracker: records what happens in runs, and turns the end of a run into an event for whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from workflow_scheduler.core.dag.calls import wake_of
from workflow_scheduler.core.errors import Unavailable
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import FINAL, JobRecord, LogLine, Run, RunChange, RunStatus, Wake
from workflow_scheduler.core.ports.store import DeadLetter, Store
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.entries import Entry
from workflow_scheduler.pipeline.inbox import Inbox

T = TypeVar("T")
_encode = msgspec.json.encode
_END_TYPES = {
    RunStatus.SUCCEEDED: "workflow_completed",
    RunStatus.FAILED: "workflow_failed",
    RunStatus.CANCELLED: "workflow_cancelled",
}
RETRY_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0)


class Tracker:
    """The RunSink of every engine.

    What it is given is written until the store takes it: a full disk or a lost database delays the run, it does not
    lose its results.
    """

    def __init__(self, inbox: Inbox, cache: CandidateCache, store: Store, clock: Clock) -> None:
        """Write through `inbox`, so that results share the commits of the events."""
        self._inbox = inbox
        self._cache = cache
        self._store = store
        self._clock = clock
        self._noted_jobs: list[JobRecord] = []
        self._noted_logs: list[LogLine] = []
        self._note_planned = False
        self._listeners: dict[tuple[str, str], bool] = {}
        self._listeners_epoch = -1
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self.on_end: Callable[[str], None] | None = None
        self.on_wake: Callable[[], None] | None = None

    async def record(
        self, *, changes: Sequence[RunChange] = (), jobs: Sequence[JobRecord] = (), logs: Sequence[LogLine] = ()
    ) -> frozenset[str]:
        """Write durably, and return the ids of the runs that were fenced off."""
        fenced: frozenset[str] = await self._commit((), changes, jobs, logs)
        for change in changes:
            if change.status in FINAL:
                self._wake(change.run_id)
        return fenced

    def note(self, *, jobs: Sequence[JobRecord] = (), logs: Sequence[LogLine] = ()) -> None:
        """Write soon, without waiting."""
        self._noted_jobs += jobs
        self._noted_logs += logs
        if not self._note_planned:
            self._note_planned = True
            asyncio.get_running_loop().call_soon(self._write_notes)

    def _write_notes(self) -> None:
        self._note_planned = False
        if not self._noted_jobs and not self._noted_logs:
            return
        entry = Entry(None)
        entry.jobs, self._noted_jobs = self._noted_jobs, []
        entry.logs, self._noted_logs = self._noted_logs, []
        self._inbox.submit(entry)

    async def finish(
        self,
        change: RunChange,
        run: Run,
        jobs: Sequence[JobRecord] = (),
        logs: Sequence[LogLine] = (),
        dead: Sequence[DeadLetter] = (),
    ) -> None:
        """Record the end of a run and, in the same transaction, its dead letter and what its end tells others."""
        events: Sequence[Event] = ()
        if await self.persist(partial(self._has_listeners, run)):
            events = self._end_events(change, run)
        wake = wake_of(run, change)
        await self._commit(events, (change,), jobs, logs, dead, wake)
        self._wake(run.id)
        if wake is not None and self.on_wake is not None:
            self.on_wake()
        if self.on_end is not None:
            self.on_end(run.id)

    async def _commit(
        self,
        events: Sequence[Event],
        changes: Sequence[RunChange],
        jobs: Sequence[JobRecord],
        logs: Sequence[LogLine],
        dead: Sequence[DeadLetter] = (),
        wake: Wake | None = None,
    ) -> Any:
        def submit() -> Awaitable[Any]:
            entry = Entry(asyncio.get_running_loop().create_future(), events)
            if events:
                entry.ends = {event.id: changes[0].run_id for event in events}
            if wake is not None:
                entry.run_wakes = {changes[0].run_id: wake}
            entry.changes, entry.jobs, entry.logs, entry.dead = changes, jobs, logs, dead
            if self._noted_jobs or self._noted_logs:
                self._write_notes()
            self._inbox.submit(entry)
            assert entry.future is not None
            return entry.future

        return await self.persist(submit)

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make attempts until the store takes one, and return its result; a job's time-out ends the wait as well."""
        failures = 0
        while True:
            try:
                return await attempt()
            except Unavailable:
                await self._clock.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

    async def _has_listeners(self, run: Run) -> bool:
        """Tell whether any trigger is keyed on the ends of this workflow; remembered until the index moves."""
        if self._listeners_epoch != self._cache.epoch:
            self._listeners.clear()
            self._listeners_epoch = self._cache.epoch
        key = (run.tenant_id, run.workflow)
        known = self._listeners.get(key)
        if known is None:
            epoch = self._cache.epoch
            now = self._clock.now()
            known = False
            for status in _END_TYPES:
                change = RunChange(tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=status, ended_at=now)
                for event in self._end_events(change, run):
                    known = known or bool(await self._cache.find(event))
            if epoch == self._cache.epoch:
                self._listeners[key] = known
        return known

    def _end_events(self, change: RunChange, run: Run) -> tuple[Event, Event]:
        """Return the end of a run as two events: one for `workflow` triggers, one for `event` triggers."""
        now = self._clock.now()
        kind = _END_TYPES[change.status]
        data = _encode(
            {
                "workflow_id": run.workflow_id,
                "workflow_name": run.workflow,
                "workflow_version": run.version,
                "run_id": run.id,
                "status": change.status,
                "trigger_type": run.trigger_type,
                "started_at": _iso(change.started_at or run.started_at),
                "ended_at": _iso(change.ended_at),
                "output": msgspec.Raw(change.output or b"null"),
                "error": msgspec.Raw(change.error or b"null"),
            }
        )
        shared: dict[str, Any] = {
            "tenant_id": run.tenant_id,
            "type": kind,
            "subject": run.workflow_id,
            "event_key": f"{run.id}:{change.status}",
            "time": change.ended_at or now,
            "received_at": now,
            "data": data,
            "depth": run.depth + 1,
            "cause_run_id": run.id,
            "traceparent": run.traceparent,
        }
        upstream = Event(
            id=mint(now), provider="workflow", source=f"/workflows/{run.workflow}", index_keys=(run.workflow,), **shared
        )
        internal = Event(id=mint(now), provider="event", source="/system/workflows", index_keys=(kind, "*"), **shared)
        return upstream, internal

    async def wait(self, tenant_id: str, run_id: str, seconds: float) -> bool:
        """Wait until the run has ended, for at most `seconds`; return whether it has.

        Raises:
            NotFound: never; an unknown run counts as not ended.

        """
        deadline = self._clock.monotonic() + seconds
        while True:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.setdefault(run_id, []).append(future)
            try:
                if await self._ended(tenant_id, run_id):
                    return True
                left = deadline - self._clock.monotonic()
                if left <= 0:
                    return False
                await asyncio.wait([future], timeout=min(left, 1.0))
            finally:
                self._forget(run_id, future)

    async def _ended(self, tenant_id: str, run_id: str) -> bool:
        rows = await self._store.read(
            "SELECT status FROM runs WHERE tenant_id = :tenant AND id = :id", {"tenant": tenant_id, "id": run_id}
        )
        return bool(rows) and rows[0][0] in FINAL

    def _wake(self, run_id: str) -> None:
        for future in self._waiters.get(run_id, ()):
            if not future.done():
                future.set_result(None)

    def _forget(self, run_id: str, future: asyncio.Future[None]) -> None:
        waiters = self._waiters.get(run_id)
        if waiters:
            waiters.remove(future)
            if not waiters:
                del self._waiters[run_id]


def _iso(instant: int | None) -> str | None:
    return None if instant is None else to_iso(instant)

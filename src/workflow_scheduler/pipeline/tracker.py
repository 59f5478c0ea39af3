"""The tracker: records what happens in runs, and turns the end of a run into an event for whoever waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from functools import partial
from typing import Any, TypeVar

from workflow_scheduler.core.dag.calls import wake_of
from workflow_scheduler.core.errors import Unavailable
from workflow_scheduler.core.model.run import FINAL, JobRecord, LogLine, Run, RunChange, RunStatus
from workflow_scheduler.core.ports.store import DeadLetter, Store
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.ends import Ends
from workflow_scheduler.pipeline.entries import Entry
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.stores.portable.failures import ClockRunEnd

T = TypeVar("T")
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
        self._ends = Ends(cache, clock)
        self._store = store
        self._clock = clock
        self._noted_jobs: list[JobRecord] = []
        self._noted_logs: list[LogLine] = []
        self._note_planned = False
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self.on_end: Callable[[str], None] | None = None
        self.on_wake: Callable[[], None] | None = None

    async def record(
        self, *, changes: Sequence[RunChange] = (), jobs: Sequence[JobRecord] = (), logs: Sequence[LogLine] = ()
    ) -> frozenset[str]:
        """Write durably, and return the ids of the runs that were fenced off."""
        entry = Entry(None)
        entry.changes, entry.jobs, entry.logs = changes, jobs, logs
        entry.pauses = any(change.status is RunStatus.PAUSED for change in changes)
        fenced: frozenset[str] = await self._commit(entry)
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
        *,
        retracted: Reason | None = None,
    ) -> None:
        """Record the end of a run and, in the same transaction, its dead letter and what its end tells others.

        A run that must not overlap gives its turn to the next one there. One that only waited is recorded as skipped
        for the reason `retracted`.
        """
        entry = Entry(None)
        if await self.persist(partial(self._ends.heard, run.tenant_id, run.workflow)):
            entry.events = self._ends.events(change, run)
            entry.ends = {event.id: run.id for event in entry.events}
        entry.changes, entry.jobs, entry.logs, entry.dead = (change,), jobs, logs, dead
        wake = wake_of(run, change)
        if wake is not None:
            entry.run_wakes = {run.id: wake}
        if run.overlap_key is not None:
            entry.leaving, entry.retracted = (run,), retracted
        entry.schedule_end = await self.persist(partial(self._schedule_end, run, change))
        await self._commit(entry)
        self._wake(run.id)
        if wake is not None and self.on_wake is not None:
            self.on_wake()
        if self.on_end is not None:
            self.on_end(run.id)

    def woken(self) -> None:
        """Say that parked jobs may have been told something."""
        if self.on_wake is not None:
            self.on_wake()

    async def _commit(self, entry: Entry) -> Any:
        """Submit the entry until it is written, and return what the inbox answers."""

        def submit() -> Awaitable[Any]:
            # A further attempt is an entry of its own: the inbox may still hold the one before it.
            attempt = entry if entry.future is None else copy(entry)
            attempt.future = asyncio.get_running_loop().create_future()
            if self._noted_jobs or self._noted_logs:
                self._write_notes()
            self._inbox.submit(attempt)
            return attempt.future

        return await self.persist(submit)

    async def _schedule_end(self, run: Run, change: RunChange) -> ClockRunEnd | None:
        """Return what the end of a run tells its schedule, where the schedule counts failures."""
        if run.scheduled_for is None or run.backfill_id is not None or change.status is RunStatus.CANCELLED:
            return None
        most = await self._cache.failure_limit(run.tenant_id, run.trigger_id)
        if most is None:
            return None
        return ClockRunEnd(run.tenant_id, run.trigger_id, run.id, most, change.status is RunStatus.FAILED)

    async def persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Make attempts until the store takes one, and return its result; a job's time-out ends the wait as well."""
        failures = 0
        while True:
            try:
                return await attempt()
            except Unavailable:
                await self._clock.sleep(RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
                failures += 1

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

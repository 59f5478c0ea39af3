"""Which instances are alive, and the taking over of the runs of those that are not.

An instance holds a lease on itself. Its runs carry its id; when its lease has run out, any other instance claims them
in chunks, under a higher fence, counting the delivery at the claim. Every later write of the old owner is refused.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import msgspec

from workflow_scheduler.core.errors import SchedulerError, StoreUnavailable
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.run import JobStatus, Run, RunChange, RunStatus
from workflow_scheduler.core.ports.engine import RunSink
from workflow_scheduler.core.ports.store import DeadLetter, Row, Store, Work
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.pipeline.launcher import Launcher, event_json
from workflow_scheduler.pipeline.lease import Lease
from workflow_scheduler.pipeline.remains import closed_jobs
from workflow_scheduler.pipeline.suspects import Follows, Suspects, worn_out
from workflow_scheduler.stores.portable import claims, turns
from workflow_scheduler.stores.portable.ownership import owned_fences

T = TypeVar("T")
LEASE_SECONDS = 15.0
HEARTBEATS_PER_LEASE = 3
CLAIM_RUNS = 200
ORPHAN_LOOKS = 12
UNANSWERED_LOOKS = 4


class Tracks(RunSink, Follows, Protocol):
    """Records what happens to runs, and knows when they end."""


class Recovery:
    """Keeps this instance's lease, and takes over the runs of instances that died."""

    def __init__(
        self, store: Store, launcher: Launcher, sink: Tracks, clock: Clock, owner: str, signals: Signals
    ) -> None:
        """Claim for the instance `owner`."""
        self._store = store
        self._launcher = launcher
        self._sink = sink
        self._clock = clock
        self._owner = owner
        self._signals = signals
        self._facts: dict[str, Any] = {}
        self._suspects = Suspects(store, sink, self.resume, self._bury)
        self._looks = 0
        self.lease_seconds = LEASE_SECONDS
        self.lease = Lease(clock)
        self._claimed: deque[Run] = deque()
        self._unanswered: dict[claims.Hold, int] = {}
        self.recovered = 0

    async def begin(self, *, alone: bool, tzdata: str, version: str, roles: str) -> None:
        """Register this instance; `alone` says that no other process can hold this database open."""
        now, asked_at = self._clock.now(), self._clock.monotonic()
        self._facts = {"id": self._owner, "started_at": now, "roles": roles, "tzdata": tzdata, "version": version}
        await self._store.transact(claims.register({**self._facts, "lease_until": self._lease()}, alone=alone))
        self.lease.renew(asked_at, self.lease_seconds)

    async def heartbeat(self) -> None:
        """Prolong the lease, tell engines about cancellations, and take over from the dead; for ever."""
        while True:
            try:
                await self._prolong()
                await self._let_go_ended()
                await self.take_over()
                rows = await claims.cancels(self._store, self._owner)
                for run in await claims.readable_runs(self._store, rows, self._clock.now()):
                    await self._launcher.stop(run)
            except StoreUnavailable:
                await self._clock.sleep(1.0)
                continue
            await self._clock.sleep(self.lease_seconds / HEARTBEATS_PER_LEASE)

    async def _prolong(self) -> None:
        until, asked_at = self._lease(), self._clock.monotonic()
        if not await self._store.transact(claims.lease(self._owner, until)):
            # Others took this instance for dead and took its runs; what it starts from now on is its own again.
            await self._store.transact(claims.register({**self._facts, "lease_until": until}, alone=False))
        sure = self.lease.valid()  # now: it may have run out while the store was slow to answer
        lost = [] if sure else await self._lost()
        self.lease.renew(asked_at, self.lease_seconds)
        if not sure:
            self._launcher.drop(lost)

    async def _lost(self) -> list[str]:
        """Return the runs in memory that were taken over while the lease was in doubt."""
        here = self._launcher.held()
        owned = await owned_fences(self._store, self._owner) if here else {}
        return [run_id for run_id, fence in here.items() if owned.get(run_id) != fence]

    async def end(self) -> None:
        """Give the lease back, so that others take over without waiting."""
        await self._store.transact(claims.hand_back(self._owner))

    async def suspects(self) -> None:
        """Continue, one after the other, the runs that were under way at several crashes; for ever."""
        await self._suspects.loop(self._clock.sleep)

    async def take_over(self) -> int:
        """Claim and continue the open runs of every instance whose lease has run out; return how many."""
        count = 0
        await self._continue()  # what was claimed when the store went away
        gone = await claims.dead_instances(self._store, self._clock.now(), self._owner)
        if self._looks % ORPHAN_LOOKS == 0:
            gone += await claims.orphans(self._store, self._owner)
            await self._wake_stuck()
        self._looks += 1
        for instance in gone:
            while claimed := await self._claim(instance):
                count += claimed
                await self._continue()
            await self._store.transact(claims.forget(instance))
        await self._find_unanswered()
        self.recovered += count
        return count

    async def _claim(self, instance: str) -> int:
        runs, count = await self._take(claims.claim(instance, self._owner, CLAIM_RUNS, self._clock.now()))
        self._claimed += runs
        return count

    async def load(self, work: Work[list[Row]]) -> int:
        """Continue the resting runs that `work` makes this instance's; return how many rows it took."""
        runs, count = await self._take(work)
        await asyncio.gather(*(self.adopt(run) for run in runs))
        return count

    async def _take(self, work: Work[list[Row]]) -> tuple[list[Run], int]:
        """Return the runs of the rows that `work` takes, oldest first, and how many rows those were."""
        kept: list[list[Row]] = []
        try:
            rows = await self._store.transact(keeping(work, kept))
            self._signals.emit("recovery.claim.after")
            rows.sort(key=lambda row: str(row[0]))
            runs = await claims.readable_runs(self._store, rows, self._clock.now())
        except StoreUnavailable:
            self.doubt(claims.hold_of(row) for found in kept for row in found)
            raise
        for row in rows:
            self._unanswered.pop(claims.hold_of(row), None)
        return runs, len(rows)

    async def _find_unanswered(self) -> None:
        """Take the runs whose claim is on disk although its commit had no answer.

        There are several looks, because a server may still be carrying out the commit of a lost connection.
        """
        for hold, looks in list(self._unanswered.items()):
            rows = await claims.held(self._store, self._owner, hold)
            runs = await claims.readable_runs(self._store, rows, self._clock.now())
            if runs or looks == 1:
                del self._unanswered[hold]
            else:
                self._unanswered[hold] = looks - 1
            self._claimed += runs
        await self._continue()

    def doubt(self, holds: Iterable[claims.Hold]) -> None:
        """Look later whether these runs became this instance's: the commit that should do it had no answer."""
        self._unanswered |= dict.fromkeys(holds, UNANSWERED_LOOKS)

    async def pass_on(self, released: Sequence[Run], stopped: Sequence[Run], ended: Sequence[Run]) -> None:
        """Carry out what a transaction decided about runs that must not overlap.

        `released` have their turn now and belong to this instance; `stopped` are to be cancelled, `ended` are over.
        What an engine does not hear now it hears with the next heartbeat.
        """
        for run in ended:
            with suppress(SchedulerError):
                await self._launcher.let_go(run)
        for run in stopped:
            if run.owner == self._owner:
                with suppress(SchedulerError):
                    await self._launcher.stop(run)
        for run in released:
            await self.adopt(run)

    async def _let_go_ended(self) -> None:
        """Stop runs here that another instance has ended, because a later fire took their place."""
        here = dict(self._launcher.alone)
        tenants: dict[str, list[str]] = {}
        for run in here.values():
            tenants.setdefault(run.tenant_id, []).append(run.id)
        for tenant_id, run_ids in tenants.items():
            stored = await turns.fences(self._store, tenant_id, run_ids)
            self._launcher.drop([run_id for run_id in run_ids if stored.get(run_id) != here[run_id].fence])

    async def _wake_stuck(self) -> None:
        """Give a turn to runs that wait for nobody, because the run before them was damaged or removed."""
        for key in await turns.stuck(self._store, CLAIM_RUNS):
            kept: list[Run | None] = []
            work = turns.wake(self._store.dialect, key, self._owner, self._clock.now())
            try:
                run = await self._store.transact(keeping(work, kept))
            except StoreUnavailable:
                self.doubt((one.tenant_id, one.id, one.fence) for one in kept if one is not None)
                raise
            if run is not None:
                self._claimed.append(run)

    async def adopt(self, run: Run) -> None:
        """Continue a run that has just become this instance's; if the store goes away, with the next heartbeat."""
        try:
            await self.resume(run)
        except StoreUnavailable:
            self._claimed.append(run)

    async def _continue(self) -> None:
        """Continue the claimed runs; one at which the store goes away stays first in line."""
        while self._claimed:
            run = self._claimed[0]
            if run.cancel_requested and run.status is RunStatus.QUEUED:
                await self._cancelled(run)
            elif run.deliveries >= claims.SUSPECT_DELIVERIES and self._launcher.is_local(run):
                self._suspects.add(run)
            elif worn_out(run, ()):
                await self._bury(run)
            else:
                await self.resume(run)
            self._claimed.popleft()

    async def resume(self, run: Run) -> None:
        """Continue a run that this instance owns now, from the records of its jobs."""
        if self._launcher.leave(run):
            return
        try:
            done = await claims.jobs_of(self._store, run)
            event = await claims.event_of(self._store, run)
            facts = b"null" if event is None else event_json(event)
        except (ValueError, TypeError) as error:
            await self._quarantine(run.tenant_id, run.id, str(error))
            return
        self._launcher.resume(run, facts, done)
        if run.cancel_requested:
            await self._launcher.stop(run)

    async def _cancelled(self, run: Run) -> None:
        await self._sink.finish(_ended(run, RunStatus.CANCELLED, self._clock.now(), None), run, (), ())

    async def _bury(self, run: Run) -> None:
        """Give up on a run that was under way at too many crashes: it may be their cause."""
        now = self._clock.now()
        detail = f"The service stopped {run.deliveries - 1} times while this run was under way."
        error = msgspec.json.encode({"code": Reason.POISON, "message": detail})
        letter = DeadLetter(
            id=mint(now), tenant_id=run.tenant_id, kind="run", event_id=run.event_id, run_id=run.id,
            trigger_id=run.trigger_id, workflow_id=run.workflow_id, reason=Reason.POISON, detail=detail,
            payload=run.input, attempts=run.deliveries, created_at=now,
        )  # fmt: skip
        jobs = await closed_jobs(self._store, self._clock, run, JobStatus.FAILED, error)
        await self._sink.finish(_ended(run, RunStatus.FAILED, now, error), run, jobs, (), (letter,))

    def _lease(self) -> int:
        return self._clock.now() + int(self.lease_seconds * SECOND_US)

    async def _quarantine(self, tenant_id: str, run_id: str, detail: str) -> None:
        await self._store.transact(claims.quarantine(tenant_id, "runs", run_id, detail, self._clock.now()))


def keeping(work: Work[T], kept: list[T]) -> Work[T]:
    """Do `work`, and keep its result also where the commit after it has no answer."""
    result = yield from work
    kept[:] = [result]
    return result


def _ended(run: Run, status: RunStatus, now: int, error: bytes | None) -> RunChange:
    return RunChange(tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=status, ended_at=now, error=error)

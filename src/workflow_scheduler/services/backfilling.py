"""The loop that carries backfills out: a few runs at once, step by step, on whichever instance works on them.

A step counts the ends of runs, looks at a portion of times, and starts as many as there is room for; all of it is one
transaction, guarded by the fence and the revision that were read. What a crash interrupts has not happened, and the
next step begins where the last one that was written ended. The instance that works on a backfill is recorded in it;
when that instance is dead, another one takes the backfill over under a higher fence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any, Protocol

import msgspec
import structlog
from msgspec.structs import replace

from workflow_scheduler.core.errors import NotFound, SchedulerError, StoreUnavailable
from workflow_scheduler.core.model.backfill import Backfill, BackfillStatus
from workflow_scheduler.core.model.run import FINAL, RunStatus
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.backfill import Begun, Started, StartsBackfill
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.services.backfill_times import PORTION, BackfillTimes, Looked
from workflow_scheduler.services.backfills import backfill_shape
from workflow_scheduler.services.runs import Cancels
from workflow_scheduler.stores.portable import backfills, intake
from workflow_scheduler.stores.portable.rows import Malformed

OPEN_MAX = 1_000
POLL_SECONDS = 1.0
_NOTE_MAX = 500
_log = structlog.get_logger(__name__)


class Publishes(Protocol):
    """Tells whoever follows what changes (the live feed)."""

    def publish(self, topic: str, tenant_id: str, kind: str, data: Any, at: int) -> None:
        """Add one change."""
        ...


class Backfilling:
    """Works on the backfills of all tenants."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        trigger_types: Mapping[str, ModuleType],
        source: StartsBackfill,
        launcher: Cancels,
        live: Publishes,
    ) -> None:
        """Start runs through `source`, cancel them through `launcher`, and tell `live` about progress."""
        self._store = store
        self._clock = clock
        self._types = trigger_types
        self._source = source
        self._launcher = launcher
        self._live = live
        self._rows = backfills.BackfillRepository(store)
        self._wake = asyncio.Event()
        self._watched: set[str] = set()
        self._told: dict[tuple[str, str], int] = {}
        self.owner = ""
        self.works = True

    def wake(self) -> None:
        """Look at the backfills now: something has changed."""
        self._wake.set()

    def ended(self, run_id: str) -> None:
        """Take note of a run that has ended; one of a backfill makes room for the next."""
        if run_id in self._watched:
            self._watched.discard(run_id)
            self._wake.set()

    async def loop(self) -> None:
        """Carry backfills out, for ever."""
        while True:
            self._wake.clear()
            try:
                again = await self.tick()
            except StoreUnavailable:
                again = False
            if not again:
                await self._pause()

    async def _pause(self) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(POLL_SECONDS))
        waking = asyncio.ensure_future(self._wake.wait())
        await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        for task in (sleeping, waking):
            task.cancel()

    async def tick(self) -> bool:
        """Take one step with every backfill that is this instance's; return whether more can be done at once."""
        rows = await self._rows.open_rows(OPEN_MAX)
        again = False
        for row in rows:
            self._tell(row)
            if self.works and _has_work(row):
                again = await self._work(row) or again
        await self._tell_ended({(row.tenant_id, row.id) for row in rows})
        return again

    async def _work(self, row: Backfill) -> bool:
        mine: Backfill | None = row
        if row.owner != self.owner:
            mine = await self._rows.claim(row, self.owner, self._clock.now())
        if mine is None:
            return False
        try:
            return await self._step(mine)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 -- one backfill must not stop its neighbours
            await self._give_up(mine, error)
            return False

    async def _give_up(self, row: Backfill, error: Exception) -> None:
        """Pause a backfill that cannot go on, with the cause as its note."""
        detail = error.detail if isinstance(error, SchedulerError) else f"{type(error).__name__}: {error}"
        _log.warning("backfill.paused", backfill=row.id, error=detail)
        if row.status is BackfillStatus.RUNNING:
            now = self._clock.now()
            paused = replace(row, status=BackfillStatus.PAUSED, note=detail[:_NOTE_MAX], paused_at=now, updated_at=now)
            await self._rows.change(row, paused)
            self._tell(replace(paused, revision=row.revision + 1))

    async def _step(self, row: Backfill) -> bool:
        now = self._clock.now()
        to = _counted(row, await self._rows.statuses(row.tenant_id, row.active_ids), now)
        self._watched.update(to.active_ids)
        if row.cancel_runs:
            await self._cancel(to)
        room = row.max_active - len(to.active_ids)
        if to.status is not BackfillStatus.RUNNING or to.exhausted or room <= 0:
            await self._write(row, _finished(to, now))
            return False
        return await self._begin(row, to, room, now)

    async def _begin(self, row: Backfill, to: Backfill, room: int, now: int) -> bool:
        """Start the next times that are to run, as far as there is room; return whether there may be more at once."""
        times = await BackfillTimes.read(self._store, self._types, row, now)
        size = PORTION if row.skipped > row.started else min(PORTION, 4 * room + 8)
        portion = await times.portion(row.position, size, now)
        taken, position, last = portion.times, portion.position, portion.last
        begun = [one for one in taken if one.judged.runs]
        if len(begun) > room:
            beyond = taken.index(begun[room])
            taken, begun, last = taken[:beyond], begun[:room], False
            position = _after(taken[-1], row)
        skipped = to.skipped + len(taken) - len(begun)
        to = replace(to, position=position, exhausted=last, skipped=skipped, updated_at=now)
        if not begun:
            await self._write(row, _finished(to, now))
            return not last
        unrecorded = frozenset(one.fire.utc for one in begun if not one.recorded and one.past.event_id is None)
        records = _Records(times.timezone, unrecorded, now)
        await self._source.start(
            row,
            [Begun(one.fire, one.past.event_id) for one in begun],
            lambda: backfills.hold(row),
            lambda started: self._settle(row, to, started, records),
        )
        await self._tell_now(row)
        return len(begun) < room and not last

    def _settle(self, row: Backfill, to: Backfill, started: Sequence[Started], records: _Records) -> Work[None]:
        """Write what a step led to, inside its transaction."""
        made = [one for one in started if one.run_id is not None]
        self._watched.update(one.run_id for one in made if one.run_id is not None)
        active = [*to.active_ids, *(one.run_id for one in made)]
        yield from _record(row, made, records)
        moved = replace(
            to,
            active=msgspec.json.encode(active).decode(),
            started=to.started + len(made),
            skipped=to.skipped + len(started) - len(made),
        )
        yield from backfills.move(row, moved)

    async def _cancel(self, backfill: Backfill) -> None:
        for run_id in backfill.active_ids:
            with suppress(NotFound):
                await self._launcher.cancel(backfill.tenant_id, run_id)

    async def _write(self, row: Backfill, to: Backfill) -> None:
        if replace(to, updated_at=row.updated_at) != row and await self._rows.change(row, to):
            self._tell(replace(to, revision=row.revision + 1))

    def _tell(self, row: Backfill) -> None:
        """Publish a backfill that is not as it was when it was published last, whichever instance changed it."""
        key, now = (row.tenant_id, row.id), self._clock.now()
        if self._told.get(key, 0) < row.revision:
            self._told[key] = row.revision
            self._live.publish("backfills", row.tenant_id, "backfill.changed", backfill_shape(row, now), now)

    async def _tell_now(self, row: Backfill) -> None:
        with suppress(NotFound):
            found = await self._rows.get(row.tenant_id, row.id, self._clock.now())
            if not isinstance(found, Malformed):
                self._tell(found)

    async def _tell_ended(self, still_open: set[tuple[str, str]]) -> None:
        """Publish the last state of backfills that have ended, and forget them."""
        for tenant_id, backfill_id in set(self._told) - still_open:
            with suppress(NotFound):
                found = await self._rows.get(tenant_id, backfill_id, self._clock.now())
                if not isinstance(found, Malformed):
                    self._tell(found)
            del self._told[tenant_id, backfill_id]


class _Records(msgspec.Struct, frozen=True):
    """The zone of the times, those about which nothing was recorded, and when they are started."""

    timezone: str
    nominals: frozenset[int]
    now: int


def _has_work(row: Backfill) -> bool:
    return row.status is not BackfillStatus.PAUSED or bool(row.active_ids)


def _after(looked: Looked, row: Backfill) -> int:
    return looked.fire.utc if row.run_order == "reverse" else looked.fire.utc + 1


def _counted(row: Backfill, statuses: Mapping[str, RunStatus | None], now: int) -> Backfill:
    """Count the runs that have ended; one that is no longer stored counts as failed, since nobody can tell."""
    ends = [status for status in statuses.values() if status is None or status in FINAL]
    if not ends:
        return row
    still = [run_id for run_id, status in statuses.items() if status is not None and status not in FINAL]
    return replace(
        row,
        succeeded=row.succeeded + ends.count(RunStatus.SUCCEEDED),
        cancelled=row.cancelled + ends.count(RunStatus.CANCELLED),
        failed=row.failed + sum(status in (RunStatus.FAILED, None) for status in ends),
        active=msgspec.json.encode(still).decode(),
        updated_at=now,
    )


def _finished(to: Backfill, now: int) -> Backfill:
    """Return the backfill as ended, where nothing is left to do."""
    if to.active_ids:
        return to
    if to.status is BackfillStatus.CANCELLING:
        return replace(to, status=BackfillStatus.CANCELLED, ended_at=now, updated_at=now)
    if to.status is BackfillStatus.RUNNING and to.exhausted:
        return replace(to, status=BackfillStatus.COMPLETED, ended_at=now, updated_at=now)
    return to


def _record(row: Backfill, made: Sequence[Started], records: _Records) -> Work[None]:
    """Record times that the ledger knows nothing of; those that are still the schedule's to settle are left to it."""
    if not records.nominals:
        return
    found = yield Sql(
        "SELECT next_nominal FROM schedules WHERE tenant_id = :tenant AND trigger_id = :id",
        {"tenant": row.tenant_id, "id": row.trigger_id},
    )
    ends = [one[0] for one in found if one[0] is not None]
    for one in made:
        if one.fire.utc in records.nominals and all(one.fire.utc < end for end in ends):
            yield intake.put_occurrence(
                Occurrence(
                    tenant_id=row.tenant_id,
                    trigger_id=row.trigger_id,
                    nominal=one.fire.utc,
                    nominal_local=one.fire.local,
                    timezone=records.timezone,
                    fold=one.fire.fold,
                    tzdata=tzdata_version(),
                    outcome=Outcome.RUN_STARTED,
                    reason=Reason.BACKFILLED,
                    note=one.fire.note,
                    run_id=one.run_id,
                    event_id=one.event_id,
                    recorded_at=records.now,
                )
            )

"""The timer: takes due schedules from their rows, and turns each into exactly one event and run.

No schedule lives in memory. Occurrence, event, decision, run intent and the row's next time are written in one
transaction, guarded by the values that were read; any number of instances may run this loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Protocol

from workflow_scheduler.core.errors import SchedulerError, StoreUnavailable, Unavailable
from workflow_scheduler.core.model.trigger import Occurrence, Schedule
from workflow_scheduler.core.ports.catalog import FIRST_DUE, Catalog, DueRow
from workflow_scheduler.core.ports.store import Accepted, ScheduleAdvance, Store
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.calendars.use import named
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.pipeline.blackouts import Windows
from workflow_scheduler.pipeline.candidates import CandidateCache, Compiled
from workflow_scheduler.pipeline.entries import Entry, Stale
from workflow_scheduler.pipeline.fires import fire
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.stores.portable import claims
from workflow_scheduler.stores.portable.calendar_book import CalendarBook, Snapshot

DUE_ROWS = 500
ASKING_ROWS = 100
PREPARED_MAX = 2
POLL_SECONDS_MIN = 0.001
POLL_SECONDS_MAX = 1.0


class Retimes(Protocol):
    """Computes next times again that older time zone data has led to."""

    def concerns(self, schedule: Schedule) -> bool:
        """Return whether the next time of `schedule` may be wrong by now."""
        ...

    async def retime(self, schedule: Schedule) -> bool:
        """Bring one row in line; False where nothing came of it, and its next time may as well be taken as it is."""
        ...


class Timer:
    """The loop over due schedules."""

    def __init__(
        self, store: Store, catalog: Catalog, cache: CandidateCache, inbox: Inbox, clock: Clock, signals: Signals
    ) -> None:
        """Read due rows through `catalog` and write through `inbox`; `owner` of the runs is the inbox's."""
        self._store = store
        self._catalog = catalog
        self._cache = cache
        self._inbox = inbox
        self._clock = clock
        self._signals = signals
        self._wake = asyncio.Event()
        self._owner = inbox.owner
        self._windows = Windows(store, cache.types)
        self._broken: dict[tuple[str, str], str] = {}
        self._calendars = CalendarBook.of(store)
        self._read: dict[str, Snapshot] = {}
        self.last_tick: int | None = None
        self.lag_us = 0
        self._idle_looks = 0
        self.retimes: Retimes | None = None

    def wake(self) -> None:
        """Look at the rows again now: schedules have changed."""
        self._wake.set()

    async def loop(self) -> None:
        """Fire what is due, then wait for the next time; for ever."""
        while True:
            self._wake.clear()  # what wakes from here on is not forgotten by the next pause
            try:
                again = await self.tick()
                wait = 0.0 if again else await self._until_next()
            except StoreUnavailable:
                wait = POLL_SECONDS_MAX
            if wait > 0:
                await self._pause(wait)

    async def _until_next(self) -> float:
        due = await self._catalog.next_due()
        if due is None:
            return POLL_SECONDS_MAX
        # Due means `<= now`, and the wait is bounded: a clock that jumps is noticed within a second.
        wait = min(POLL_SECONDS_MAX, (due - self._clock.now()) / SECOND_US)
        if wait > 0:
            self._idle_looks = 0
            return max(wait, POLL_SECONDS_MIN)
        # Something is due that `tick` did not find: it came in between, or its row has no trigger to go with.
        self._idle_looks += 1
        return min(POLL_SECONDS_MAX, POLL_SECONDS_MIN * 2.0 ** min(self._idle_looks, 10))

    async def _pause(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._wake.wait())
        await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        for task in (sleeping, waking):
            task.cancel()

    async def tick(self) -> bool:
        """Settle all that is due now; return True when something may have become due meanwhile.

        The next rows are read and prepared while the last ones are on their way to disk.
        """
        now = self._clock.now()
        self.last_tick = now
        self.lag_us = 0
        on_their_way: deque[tuple[Entry, list[DueRow]]] = deque()
        place, fired = FIRST_DUE, False
        while True:
            epoch = self._cache.epoch  # taken before the rows are read: what moves in between makes them stale
            await self._windows.refresh(epoch, now)
            rows = await self._catalog.due(now, DUE_ROWS, place)
            if rows:
                last = rows[-1].schedule
                place = (last.next_fire_at or 0, last.tenant_id, last.trigger_id)
                self.lag_us = max(self.lag_us, now - (rows[0].schedule.next_fire_at or now))
                standing = await self._in_line(rows)
                await self._read_calendars(standing, now, epoch)
                on_their_way += [(self._submit(part, epoch), part) for part in _apart(standing) if part]
                fired = True
            while on_their_way and (not rows or len(on_their_way) > PREPARED_MAX):
                await self._written(*on_their_way.popleft())
            if not rows and not on_their_way:
                break
        if self._broken or self._catalog.malformed:
            await self._park_broken()
        return fired

    async def settle(self, tenant_id: str, trigger_id: str) -> None:
        """Settle what one schedule owes now, without waiting for its turn; nothing is left where others did it.

        Raises:
            Unavailable: the store is away; the loop goes on with it later.

        """
        while True:
            epoch = self._cache.epoch
            await self._windows.refresh(epoch, self._clock.now())
            row = await self._catalog.due_of(tenant_id, trigger_id, self._clock.now())
            if row is None:
                return
            if not await self._in_line([row]):
                continue
            await self._read_calendars([row], self._clock.now(), epoch)
            await self._written(self._submit([row], epoch), [row])
            if self._broken or self._catalog.malformed:
                await self._park_broken()

    async def _in_line(self, rows: list[DueRow]) -> list[DueRow]:
        """Return the rows whose times stand; the others are computed again, and found again if they are due."""
        retimes = self.retimes
        if retimes is None or not any(retimes.concerns(row.schedule) for row in rows):
            return rows
        return [row for row in rows if not retimes.concerns(row.schedule) or not await retimes.retime(row.schedule)]

    async def _read_calendars(self, rows: list[DueRow], now: int, epoch: int) -> None:
        """Have the calendars at hand that the triggers of `rows` follow, as they stand under `epoch`."""
        wanted: dict[str, set[str]] = {}
        for row in rows:
            if row.trigger.config.get("calendars"):
                wanted.setdefault(row.trigger.tenant_id, set()).update(named(row.trigger.config))
        self._read = {tenant: await self._calendars.load(tenant, names, now, epoch) for tenant, names in wanted.items()}

    def _bind(self, compiled: Compiled) -> None:
        """Put a trigger under the calendars it follows."""
        if compiled.trigger.config.get("calendars") and compiled.error is None:
            snapshot = self._read[compiled.trigger.tenant_id]
            compiled.module, compiled.config = snapshot.bind(compiled.module, compiled.config)

    def _submit(self, rows: list[DueRow], epoch: int) -> Entry:
        entry = Entry(asyncio.get_running_loop().create_future())
        entry.prepared_epoch = epoch
        self._prepare(rows, entry, self._clock.now())
        self._signals.emit("timer.fire.before")
        self._inbox.submit(entry)
        return entry

    async def _written(self, entry: Entry, rows: list[DueRow]) -> None:
        """Wait for a batch of fires; when the index has moved, the rows are still due and are prepared again.

        Where the store refuses the batch for what is in it, each row is tried alone, and the one to blame is parked.
        """
        assert entry.future is not None
        try:
            await entry.future
        except Stale:
            await self._cache.refresh()
        except Unavailable:
            raise
        except SchedulerError as error:
            if len(rows) == 1:
                schedule = rows[0].schedule
                self._broken[schedule.tenant_id, schedule.trigger_id] = error.detail
                return
            for row in rows:
                await self._written(self._submit([row], self._cache.epoch), [row])
        self._signals.emit("timer.fire.after")

    def _prepare(self, rows: list[DueRow], entry: Entry, now: int) -> None:
        prepared: list[Accepted] = []
        advances: list[ScheduleAdvance] = []
        occurrences: list[Occurrence] = []
        fired: dict[str, tuple[str, ...]] = {}
        limits: dict[str, int] = {}
        for row in rows:
            schedule = row.schedule
            compiled = self._cache.compile(row.trigger)
            if compiled.error is not None or schedule.next_nominal is None:
                self._broken[schedule.tenant_id, schedule.trigger_id] = compiled.error or "the due time is missing"
                continue
            try:
                self._bind(compiled)
                windows = self._windows.of(schedule.tenant_id, compiled.trigger.workflow)
                found = fire(schedule, compiled, now, self._owner, windows)
            except Exception as error:  # noqa: BLE001 -- a stored row can be wrong in any way, and has neighbours
                self._broken[schedule.tenant_id, schedule.trigger_id] = f"{type(error).__name__}: {error}"
                continue
            prepared += found.accepted
            if found.accepted:
                fired[schedule.trigger_id] = tuple(one.event.id for one in found.accepted)
            if found.most is not None:
                limits[schedule.trigger_id] = found.most
            occurrences += found.occurrences
            advances.append(found.advance)
            if found.accepted and entry.prepared_epoch is not None:
                self._cache.note_fired(compiled, entry.prepared_epoch)
        entry.prepared = prepared
        entry.advances = advances
        entry.occurrences = occurrences
        entry.fired = fired
        entry.limits = limits

    async def _park_broken(self) -> None:
        """Take schedules that cannot be read out of the loop, and list them as quarantined."""
        broken, self._broken = self._broken, {}
        for (tenant_id, kind, key), detail in list(self._catalog.malformed.items()):
            if kind == "schedules":
                broken[tenant_id, key] = detail
                del self._catalog.malformed[tenant_id, kind, key]
        for (tenant_id, trigger_id), detail in broken.items():
            await self._store.transact(claims.quarantine(tenant_id, "schedules", trigger_id, detail, self._clock.now()))


def _apart(rows: list[DueRow]) -> list[list[DueRow]]:
    """Return the rows in lists that are written together: those that must not overlap apart from the others."""
    free = [row for row in rows if row.trigger.overlap is None]
    if len(free) == len(rows):
        return [rows]
    bound = [row for row in rows if row.trigger.overlap is not None]
    parts = [bound[start : start + ASKING_ROWS] for start in range(0, len(bound), ASKING_ROWS)]
    return [free, *parts] if free else parts

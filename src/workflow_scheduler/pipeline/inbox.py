"""The inbox: everything that happens goes to disk here, many at a time, with its decisions and run intents.

Callers hand in an `Entry` and wait; the flush takes all that has gathered, has it decided in memory, and writes one
batch. While a batch is on its way to disk the next one gathers, so the batches are as large as the load needs and a
lone event waits for nothing. After the commit the runs go straight to the launcher, and the callers are answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from workflow_scheduler.core.errors import LeaseLost, StoreUnavailable, Unavailable
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.inbound.storable import check_storable
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Accepted, Batch, BatchResult, CursorMove, Store, Work
from workflow_scheduler.core.registry import Heard
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.doubts import Doubts
from workflow_scheduler.pipeline.ends import Ends
from workflow_scheduler.pipeline.entries import (
    Entry,
    Launches,
    Observer,
    Receipt,
    Stale,
    TurnTaker,
    fail,
    gather,
    receipt,
)
from workflow_scheduler.pipeline.intents import decide, without_runs
from workflow_scheduler.pipeline.listening import overheard
from workflow_scheduler.pipeline.transaction import Decided, Transactions, Written
from workflow_scheduler.pipeline.turns import Turns

T = TypeVar("T")
BATCH_ENTRIES_MAX = 1000
ASKING_ENTRIES_MAX = 100
WAITING_ENTRIES_MAX = 50_000
WAITING_BYTES_MAX = 64 << 20
STALE_RETRIES_MAX = 20


class Inbox:
    """Gathers entries and commits them in groups."""

    def __init__(
        self, store: Store, cache: CandidateCache, clock: Clock, owner: str, observer: Observer, signals: Signals
    ) -> None:
        """Write to `store`; the runs belong to the instance `owner`.

        `launches`, `turns` and `on_woken` (told when parked jobs were told something) are set by the composition root.
        """
        self._store = store
        self._cache = cache
        self._clock = clock
        self.owner = owner
        self._observer = observer
        self._signals = signals
        self._doubts = Doubts(store, clock, self._launch_late)
        self.transactions = Transactions(store, owner, Ends(cache, clock), self._doubt)
        self._waiting: list[Entry] = []
        self._waiting_bytes = 0
        self._flush_planned = False
        self._in_flight = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.launches: Launches | None = None
        self.turns: TurnTaker | None = None
        self.on_woken: Callable[[], None] | None = None
        self._passing: set[asyncio.Task[None]] = set()
        self.in_flight_max = 2

    def event(
        self, heard: Heard, *, tenant_id: str, provider: str, principal: Principal | None = None, **extra: Any
    ) -> Event:
        """Return the event for something heard, with a new id; without a key of its own the id is its key."""
        now = self._clock.now()
        event_id = mint(now)
        return Event(
            id=event_id,
            tenant_id=tenant_id,
            provider=provider,
            source=heard.source,
            type=heard.type,
            event_key=heard.event_key or event_id,
            time=heard.time if heard.time is not None else now,
            received_at=now,
            data=heard.data,
            attributes=heard.attributes,
            subject=heard.subject,
            index_keys=heard.index_keys,
            sub_keys=heard.sub_keys,
            traceparent=heard.traceparent,
            user_id=principal.user_id if principal else None,
            **extra,
        )

    async def accept(self, event: Event) -> Receipt:
        """Store one event with its decisions and run intents; returns after the durable commit.

        Raises:
            StoreUnavailable: nothing was stored; try again.
            Unavailable: too many events are waiting; try again later.

        """
        receipts = await self.accept_all((event,))
        return receipts[0]

    async def accept_all(self, events: Sequence[Event], move: CursorMove | None = None) -> list[Receipt]:
        """Store several events in one transaction, and return a receipt for each, in order.

        `move` takes the cursor of their source on, in the same transaction.

        Raises:
            StoreUnavailable: nothing was stored; try again.
            Unavailable: too many events are waiting; try again later.
            BadRequest: an event holds something that no database can keep.
            LeaseLost: the source that `move` is about is held by another instance now; nothing was stored.

        """
        full = len(self._waiting) >= WAITING_ENTRIES_MAX or self._waiting_bytes >= WAITING_BYTES_MAX
        if full or self._doubts.full:
            raise Unavailable("Too many events are waiting to be stored.", retry_after_seconds=1)
        if not events and move is None:
            return []
        for event in events:
            check_storable(event)
        future: asyncio.Future[list[Receipt]] = asyncio.get_running_loop().create_future()
        size = sum([len(event.data) for event in events])
        self._waiting_bytes += size
        entry = Entry(future, events)
        entry.move = move
        self.submit(entry)
        try:
            return list(await future)
        finally:
            self._waiting_bytes -= size

    @property
    def dialect(self) -> str:
        """The kind of database that is written to."""
        return self._store.dialect

    async def carry_out(self, work: Callable[[list[Accepted]], Work[T]]) -> T:
        """Do `work`, which writes events of its own and adds them to the list it is given, then start their runs.

        Raises:
            StoreUnavailable: whether it was written is not known; what was is started later.

        """
        written: list[Accepted] = []
        try:
            result = await self._store.transact(work(written))
        except StoreUnavailable:
            self._doubts.add(written)
            raise
        self._launch(written, self._clock.now())
        return result

    def submit(self, entry: Entry) -> None:
        """Take an entry for the next batch."""
        self._waiting.append(entry)
        if not self._flush_planned and self._in_flight < self.in_flight_max:
            self._flush_planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def drain(self) -> None:
        """Wait until everything that was submitted has been written."""
        while self._tasks or self._passing or self._waiting:
            if self._tasks or self._passing:
                await asyncio.wait(self._tasks | self._passing, return_when=asyncio.FIRST_COMPLETED)
            else:
                await asyncio.wait([asyncio.ensure_future(self._yield())])

    async def _yield(self) -> None:
        future = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(future.set_result, None)
        await future

    def _flush(self) -> None:
        self._flush_planned = False
        if not self._waiting:
            return
        if len(self._waiting) <= BATCH_ENTRIES_MAX:
            entries, self._waiting = self._waiting, []
        else:
            entries, self._waiting = self._waiting[:BATCH_ENTRIES_MAX], self._waiting[BATCH_ENTRIES_MAX:]
        self._in_flight += 1
        task = asyncio.get_running_loop().create_task(self._write(entries))
        self._tasks.add(task)
        task.add_done_callback(self._written)

    def _written(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._in_flight -= 1
        if self._waiting and not self._flush_planned:
            self._flush_planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def _write(self, entries: list[Entry]) -> None:
        try:
            for _ in range(STALE_RETRIES_MAX):
                entries = await self._write_once(entries)
                if not entries:
                    return
                await self._cache.refresh()
            moving = StoreUnavailable("The set of live triggers keeps changing.", retry_after_seconds=1)
            for entry in entries:
                fail(entry, moving)
        except BaseException as error:
            if len(entries) > 1 and isinstance(error, Exception) and not isinstance(error, StoreUnavailable):
                await self._write_apart(entries)
                return
            for entry in entries:
                fail(entry, error)
            if not isinstance(error, Exception):
                raise

    async def _write_apart(self, entries: list[Entry]) -> None:
        """Write entries one by one, because one of them cannot be stored: it fails alone."""
        for entry in entries:
            if entry.future is None or not entry.future.done():
                await self._write([entry])

    async def _write_once(self, entries: list[Entry]) -> list[Entry]:
        """Decide and commit; return the entries that must be decided again because the index moved."""
        epoch = self._cache.epoch
        now = self._clock.now()
        for entry in entries:
            if entry.prepared_epoch is not None and entry.prepared_epoch != epoch:
                fail(entry, Stale())
        entries = [entry for entry in entries if entry.future is None or not entry.future.done()]
        together: list[Decided] = []
        asking: list[Decided] = []
        for entry in entries:
            accepted = await self._decide(entry, now)
            asks = entry.leaving or entry.pauses or entry.dead or entry.schedule_end is not None
            asks = asks or any(one.asks or one.listening for one in accepted)
            (asking if asks else together).append((entry, accepted))
        if not asking:
            return await self._write_together(together, epoch, now)
        # Side by side, so that those who ask nothing wait for nobody.
        writing = [self._write_asking(asking, epoch, now)]
        writing += [self._write_together(together, epoch, now)] if together else []
        results = await asyncio.gather(*writing, return_exceptions=True)
        stale: list[Entry] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            stale += result
        return stale

    async def _write_together(self, together: list[Decided], epoch: int, now: int) -> list[Entry]:
        """Write entries in one batch; return them all where the index has moved."""
        if not together:
            return []
        batch = Batch(epoch=None)
        for entry, accepted in together:
            gather(batch, entry, accepted)
        if batch.accepted or any(entry.prepared_epoch is not None for entry, _ in together):
            batch.epoch = epoch
        self._signals.emit("inbox.commit.before")
        try:
            result = await self._store.commit(batch)
        except StoreUnavailable:
            self._doubts.add(batch.accepted)
            raise
        if result.stale:
            return [entry for entry, _ in together]
        self._signals.emit("inbox.commit.after")
        self._answer(together, batch, result, now)
        return []

    async def _write_asking(self, asking: list[Decided], epoch: int, now: int) -> list[Entry]:
        """Write entries whose decisions need the tables; return those for which the index has moved."""
        stale: list[Entry] = []
        for start in range(0, len(asking), ASKING_ENTRIES_MAX):
            part = asking[start : start + ASKING_ENTRIES_MAX]
            written = await self.transactions.commit(part, epoch, now)
            if written.stale:
                stale += [entry for entry, _ in part]
            else:
                self._answer_asking(part, written, now)
        return stale

    def _answer_asking(self, asking: list[Decided], written: Written, now: int) -> None:
        self._launch(written.accepted, now, turns=written.turns)
        changes = [ended.change for ended in written.turns.ended]
        for (entry, accepted), result in zip(asking, written.results, strict=True):
            changes += [change for change in entry.changes if change.run_id not in result.fenced]
            for one in accepted:
                if one.event.id in result.duplicates:
                    self._observer.duplicate(one.event.provider)
            if entry.future is None or entry.future.done():
                continue
            if result.lost_move:
                fail(entry, LeaseLost())
            elif accepted:
                final = {one.event.id: one for one in result.accepted}
                entry.future.set_result([receipt(final.get(one.event.id, one), result.duplicates) for one in accepted])
            else:
                entry.future.set_result(frozenset(result.fenced))
        if changes:
            self._observer.changed(changes)
        if written.woken and self.on_woken is not None:
            self.on_woken()
        self._pass_on(written.turns)

    def _pass_on(self, turns: Turns) -> None:
        if self.turns is not None and (turns.released or turns.stopped or turns.ended):
            ended = [one.run for one in turns.ended]
            task = asyncio.get_running_loop().create_task(self.turns.pass_on(turns.released, turns.stopped, ended))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    def _doubt(self, written: Written) -> None:
        """Look later what became of a transaction that had no answer."""
        self._doubts.add(written.accepted)
        if self.turns is not None:
            self.turns.doubt((run.tenant_id, run.id, run.fence) for run in written.turns.released)

    async def _decide(self, entry: Entry, now: int) -> list[Accepted]:
        accepted = list(entry.prepared)
        for event in entry.events:
            bucket = self._cache.cached(event)
            if bucket is None:
                bucket = await self._cache.find(event)
            decided = decide(event, bucket, now, self.owner)
            accepted.append(overheard(decided) if await self._cache.awaits(event.tenant_id) else decided)
        return accepted

    def _answer(
        self, together: list[tuple[Entry, list[Accepted]]], batch: Batch, result: BatchResult, now: int
    ) -> None:
        duplicates = result.duplicates
        stored: Sequence[Accepted] = batch.accepted
        if duplicates or result.lost_advances or result.lost_moves or result.fenced:
            gone = {event for trigger in result.lost_advances for event in batch.fired.get(trigger, ())}
            gone.update(event for source in result.lost_moves for event in batch.heard[source])
            gone.update(event for event, run in batch.ends.items() if run in result.fenced)
            gone.update(duplicates)
            for one in stored:
                if one.event.id in duplicates:
                    self._observer.duplicate(one.event.provider)
            stored = [one for one in stored if one.event.id not in gone]
        if result.refused_runs:
            stored = [without_runs(one, result.refused_runs) for one in stored]
        self._launch(stored, now)
        if batch.run_changes:
            self._observer.changed([one for one in batch.run_changes if one.run_id not in result.fenced])
        for entry, accepted in together:
            future = entry.future
            if future is None or future.done():
                continue
            if entry.move is not None and entry.move.id in result.lost_moves:
                fail(entry, LeaseLost())
            elif accepted:
                refused = result.refused_runs
                final = [without_runs(one, refused) for one in accepted] if refused else accepted
                future.set_result([receipt(one, duplicates) for one in final])
            else:
                future.set_result(result.fenced)

    def _launch_late(self, stored: Sequence[Accepted], now: int) -> None:
        self._launch([one for one in stored if one.runs], now)

    def _launch(self, stored: Sequence[Accepted], now: int, turns: Turns | None = None) -> None:
        """Launch the runs that were stored, but not those that `turns` let wait or has ended again."""
        if not stored:
            return
        self._observer.accepted(stored, now)
        if turns is not None:
            ended = {one.run.id for one in turns.ended}
            stored = [_in_turn(one, ended) for one in stored]
        if self.launches is not None:
            self.launches.launch(stored)


def _in_turn(accepted: Accepted, ended: set[str]) -> Accepted:
    """Leave out the runs that wait for their turn, and those that are over."""
    runs = [run for run in accepted.runs if not run.waits and run.id not in ended]
    return accepted if len(runs) == len(accepted.runs) else Accepted(accepted.event, accepted.decisions, runs)

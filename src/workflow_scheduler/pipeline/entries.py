"""What is handed to the inbox, and what it answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import JobRecord, LogLine, Run, RunChange, Wake
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Accepted, Batch, CursorMove, DeadLetter, ScheduleAdvance
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.stores.portable.failures import ClockRunEnd


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """The answer to an accepted event, given after the durable commit.

    For a duplicate, `event_id` is the id of the event that was stored first, and there are no decisions.
    """

    event_id: str
    duplicate: bool
    decisions: list[Decision]
    run_ids: list[str]
    tenant_id: str = ""


class Stale(Exception):
    """The live triggers changed while a prepared entry was on its way; nothing of it was written."""


class Entry:
    """Something to be written in one transaction.

    `events` are decided by the flush. `prepared` was decided by the caller (timer, manual start): when the index has
    moved since, the caller gets `Stale` and prepares again. `ends` is event id -> id of the run whose end the event
    is, `run_wakes` the id of an ended run -> what its end tells the job that waits for it. `leaving` are the runs among
    `changes` that end and share an overlap key; those that waited for their turn were skipped for the reason
    `retracted`, where there is one. `limits` is trigger id -> `max_fires`, where the transaction decides who starts.
    `pauses` says that runs among `changes` begin to wait for people. `move` is the cursor of the source that heard
    `events`: where the source is held by others now nothing is written, and the caller gets LeaseLost.
    The rest is written as it is.
    """

    __slots__ = (
        "advances", "changes", "dead", "ends", "events", "fired", "future", "jobs", "leaving", "limits", "logs", "move",
        "occurrences", "pauses", "prepared", "prepared_epoch", "retracted", "run_wakes", "schedule_end",
    )  # fmt: skip

    def __init__(self, future: asyncio.Future[Any] | None, events: Sequence[Event] = ()) -> None:
        """Begin an entry; `future` receives the list of receipts, or the set of fenced run ids for pure records."""
        self.future = future
        self.events = events
        self.prepared: Sequence[Accepted] = ()
        self.prepared_epoch: int | None = None
        self.changes: Sequence[RunChange] = ()
        self.jobs: Sequence[JobRecord] = ()
        self.logs: Sequence[LogLine] = ()
        self.advances: Sequence[ScheduleAdvance] = ()
        self.fired: dict[str, tuple[str, ...]] | None = None
        self.occurrences: Sequence[Occurrence] = ()
        self.dead: Sequence[DeadLetter] = ()
        self.ends: Mapping[str, str] = {}
        self.run_wakes: Mapping[str, Wake] = {}
        self.leaving: Sequence[Run] = ()
        self.retracted: Reason | None = None
        self.schedule_end: ClockRunEnd | None = None
        self.limits: Mapping[str, int] = {}
        self.pauses = False
        self.move: CursorMove | None = None


class Launches(Protocol):
    """Takes the runs whose intents have just been committed."""

    def launch(self, accepted: Sequence[Accepted]) -> None:
        """Start every run of the accepted events."""
        ...


class TurnTaker(Protocol):
    """Carries out what a transaction decided about runs that must not overlap (the recovery)."""

    async def pass_on(self, released: Sequence[Run], stopped: Sequence[Run], ended: Sequence[Run]) -> None:
        """Launch the runs whose turn it is, tell engines to stop those to be cancelled, and let go of ended ones."""
        ...

    def doubt(self, holds: Iterable[tuple[str, str, int]]) -> None:
        """Look later whether these runs (tenant, id, fence) became this instance's."""
        ...


class Observer(Protocol):
    """Counts what the inbox does (metrics and the live feed)."""

    def accepted(self, accepted: Sequence[Accepted], now: int) -> None:
        """Take note of events that were stored."""
        ...

    def changed(self, changes: Sequence[RunChange]) -> None:
        """Take note of runs whose status changed."""
        ...

    def duplicate(self, provider: str) -> None:
        """Take note of an event that had been stored before."""
        ...


def gather(batch: Batch, entry: Entry, accepted: list[Accepted]) -> None:
    """Add an entry, with what was decided about its events, to the batch that will be written."""
    batch.accepted += accepted
    if entry.changes:
        batch.run_changes += entry.changes
    if entry.jobs:
        batch.jobs += entry.jobs
    if entry.logs:
        batch.logs += entry.logs
    if entry.advances:
        batch.advances += entry.advances
        batch.occurrences += entry.occurrences
        batch.fired.update(entry.fired or {})
    if entry.move is not None:
        batch.moves.append(entry.move)
        batch.heard[entry.move.id] = tuple(event.id for event in entry.events)
    if entry.dead:
        batch.dead += entry.dead
    if entry.ends:
        batch.ends.update(entry.ends)
    if entry.run_wakes:
        batch.run_wakes.update(entry.run_wakes)


def receipt(accepted: Accepted, duplicates: Mapping[str, str]) -> Receipt:
    """Return the answer to one accepted event."""
    event_id, tenant = accepted.event.id, accepted.event.tenant_id
    if event_id in duplicates:
        return Receipt(duplicates[event_id], duplicate=True, decisions=[], run_ids=[], tenant_id=tenant)
    run_ids = [run.id for run in accepted.runs]
    return Receipt(event_id, duplicate=False, decisions=accepted.decisions, run_ids=run_ids, tenant_id=tenant)


def fail(entry: Entry, error: BaseException) -> None:
    """Tell whoever waits for an entry that nothing of it was written."""
    if entry.future is not None and not entry.future.done():
        if isinstance(error, Exception):
            entry.future.set_exception(error)
        else:
            entry.future.cancel()

"""What the program needs from a database: reads, transactions, and one fast path that writes many rows at once.

A transaction is written once for all stores, as a generator that yields statements and is sent their rows::

    def rename(tenant: str, id: str, name: str) -> Work[int]:
        rows = yield Sql("UPDATE workflows SET name = :name WHERE tenant_id = :tenant AND id = :id RETURNING id",
                         {"tenant": tenant, "id": id, "name": name})
        if not rows:
            raise NotFound(...)          # rolls this transaction back
        return len(rows)

    await store.transact(rename(...))

SQLite drives it in the writer thread inside the group commit (a savepoint each); PostgreSQL drives it with await.
SQL is the common subset of both, with `:named` parameters, `RETURNING`, `ON CONFLICT`, and one macro:
`{json:expr}` makes JSON kept as text or bytes usable with the operators `->` and `->>`.
A parameter named `tenant` or `tenant_id` also sets the tenant that PostgreSQL's row security lets the statement see.
Rows are tuples in the order of the select list. Times are BIGINT microseconds, ids TEXT, JSON TEXT or bytes,
booleans are stored as 0 and 1 (SMALLINT on PostgreSQL).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import msgspec

from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import JobRecord, LogLine, Run, RunChange, Wake
from workflow_scheduler.core.model.trigger import Occurrence

T = TypeVar("T")
Row = tuple[Any, ...]


class Sql(NamedTuple):
    """One statement with its named parameters."""

    text: str
    params: Mapping[str, Any] = {}


Work = Generator[Sql, list[Row], T]


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """An event with everything that was decided about it; all of it is written, or none.

    `asks` are the decisions that need the state in the tables, and `listening` says that it may answer a paused job, as
    the pipeline puts them; stores take no notice.
    """

    event: Event
    decisions: list[Decision]
    runs: list[Run]
    asks: Sequence[Any] = ()
    listening: Any = None


class ScheduleAdvance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Moves a schedule's due row on, only where revision and next_fire_at are still the ones that were read.

    `started` is how many of the fires started runs; the row counts them. `tzdata` is the version of the time zone data
    with which the next time was computed, None where it stays.
    """

    tenant_id: str
    trigger_id: str
    revision: int
    was_fire_at: int
    next_fire_at: int | None
    next_nominal: int | None
    last_nominal: int | None
    last_fired_at: int | None
    completed: bool = False
    started: int = 0
    tzdata: str | None = None


SourceId = tuple[str, str, str]
"""Tenant, trigger type and key of a source."""


class CursorMove(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Moves a source's cursor, only where the source is still held under `fence`. `at` and `event_at` in microseconds.

    None leaves the stored cursor; `event_at` is when the newest event came, None where nothing came. `items` are the
    names of a listing that are to be remembered with their versions; None forgets one.
    """

    tenant_id: str
    type: str
    key: str
    fence: int
    cursor: bytes | None
    event_at: int | None
    at: int
    items: Mapping[str, str | None] = {}

    @property
    def id(self) -> SourceId:
        """Which source it is."""
        return (self.tenant_id, self.type, self.key)


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that was given up on, with its cause; it can be edited and redriven."""

    id: str
    tenant_id: str
    kind: str
    event_id: str | None
    run_id: str | None
    trigger_id: str | None
    workflow_id: str | None
    reason: str
    detail: str
    payload: bytes
    attempts: int
    created_at: int


class Batch(msgspec.Struct, kw_only=True):
    """Everything that goes to disk in one transaction.

    Order inside the transaction: epoch check, schedule advances (an accepted event whose event id stands in
    `fired` under an advance that lost its guard is dropped, and so are that trigger's occurrences), cursor moves (an
    event that stands in `heard` under a source that is held by others now is dropped), job records and
    run changes (under their fence; those of runs created by this batch come after the runs), events (a duplicate's
    decisions and runs are dropped; an event id that stands in `ends` under a run whose change was refused is dropped),
    runs, decisions, occurrences, logs, dead letters, wakes (one in `run_wakes`, by run id, is dropped when that run's
    change was refused). `fired` is trigger id -> event ids, `heard` source -> event ids, `ends` event id -> run id.
    Writing a batch again after StoreUnavailable is safe: what is stored already under the same ids counts as written.
    """

    epoch: int | None = None
    accepted: list[Accepted] = msgspec.field(default_factory=list)
    advances: list[ScheduleAdvance] = msgspec.field(default_factory=list)
    fired: dict[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    moves: list[CursorMove] = msgspec.field(default_factory=list)
    heard: dict[SourceId, tuple[str, ...]] = msgspec.field(default_factory=dict)
    ends: dict[str, str] = msgspec.field(default_factory=dict)
    occurrences: list[Occurrence] = msgspec.field(default_factory=list)
    run_changes: list[RunChange] = msgspec.field(default_factory=list)
    jobs: list[JobRecord] = msgspec.field(default_factory=list)
    logs: list[LogLine] = msgspec.field(default_factory=list)
    dead: list[DeadLetter] = msgspec.field(default_factory=list)
    run_wakes: dict[str, Wake] = msgspec.field(default_factory=dict)


class BatchResult(msgspec.Struct, frozen=True, gc=False):
    """What the transaction found.

    `stale`: the index epoch has moved, nothing was written, decide again. `duplicates`: event id that was refused ->
    id of the event stored earlier under the same key. `lost_advances`: trigger ids whose guard failed.
    `lost_moves`: sources that are held by somebody else now.
    `fenced`: run ids whose change or job record was refused because another instance owns them or they have ended.
    `refused_runs`: run id that was not created -> id of the run that the same trigger has for the same event key (its
    decision is stored as `duplicate`); do not launch those.
    """

    stale: bool = False
    duplicates: Mapping[str, str] = {}
    lost_advances: frozenset[str] = frozenset()
    lost_moves: frozenset[SourceId] = frozenset()
    fenced: frozenset[str] = frozenset()
    refused_runs: Mapping[str, str] = {}


class Store(Protocol):
    """A database. One instance of the program holds one Store."""

    dialect: str

    async def open(self) -> None:
        """Connect, check the schema version, and start the writer."""
        ...

    async def close(self) -> None:
        """Finish what is queued and disconnect."""
        ...

    async def read(self, text: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        """Run one read-only statement and return its rows."""
        ...

    async def transact(self, work: Work[T]) -> T:
        """Run `work` in one durable transaction and return its result; an exception rolls it back.

        A violated constraint raises Conflict and ends the work: write ON CONFLICT where it is expected. The rows sent
        back are complete lists; the work must not wait for anything, since other writers wait for it.
        """
        ...

    async def commit(self, batch: Batch) -> BatchResult:
        """Write `batch` in one durable transaction, shared with other batches where the store can."""
        ...

    async def epoch(self) -> int:
        """Return the index epoch: it grows whenever the set of live triggers changes."""
        ...

    def on_epoch(self, callback: Callable[[int], None]) -> None:
        """Call `callback` on the loop with the new epoch after each change that this instance hears of."""
        ...


class Page(msgspec.Struct, frozen=True):
    """A slice of a list and the cursor of the next one."""

    items: Sequence[Any]
    next: str | None = None

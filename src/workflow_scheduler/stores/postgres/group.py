"""Writing batches: several submitters' batches in one transaction, one statement per table.

Every guarded statement returns the rows it wrote, so refusals are known at once. A statement cannot touch one row
twice; where a group wants that, the group is written in rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from workflow_scheduler.core.model.run import FINAL, JobRecord, Run, RunChange
from workflow_scheduler.core.ports.store import Accepted, Batch
from workflow_scheduler.stores.portable import columns, source_items
from workflow_scheduler.stores.portable.merge import (
    Refusals,
    as_settled,
    parts,
    seen,
    wakes_of,
    without_fenced_ends,
    without_lost,
    without_lost_moves,
)
from workflow_scheduler.stores.postgres import statements
from workflow_scheduler.stores.postgres.sql import native

T = TypeVar("T")
_row = columns.plain_row


class StaleEpochError(Exception):
    """The index epoch has moved on; nothing may be written."""


def rounds(items: Sequence[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    """Return the items in lists without repeated keys; items with one key keep their order."""
    found: list[list[T]] = []
    counts: dict[Hashable, int] = {}
    for item in items:
        own = key(item)
        place = counts.get(own, 0)
        counts[own] = place + 1
        if place == len(found):
            found.append([])
        found[place].append(item)
    return found


class GroupWriter:
    """Writes one (merged) batch through one connection, inside the transaction that the caller has begun."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def write(self, batch: Batch) -> Refusals:
        """Write everything and return what was refused.

        Raises:
            StaleEpochError: the batch was decided at an epoch that has passed.

        """
        refused = Refusals()
        for advances in rounds(sorted(batch.advances, key=lambda item: item.trigger_id), lambda item: item.trigger_id):
            written = await self._returning(statements.ADVANCE, [_row(item) for item in advances])
            refused.lost.update(item.trigger_id for item in advances if item.trigger_id not in written)
        if batch.epoch is not None and await self._connection.fetchval(statements.EPOCH_HELD) != batch.epoch:
            raise StaleEpochError
        accepted, occurrences = without_lost(batch, refused.lost)
        if batch.moves:
            await self._move(batch, refused)
            accepted = without_lost_moves(batch, accepted, refused.moves)
        split = parts(batch, accepted)
        await self._finish(split.jobs, split.changes, refused)
        accepted = without_fenced_ends(batch, accepted, refused.fenced)
        if accepted:
            await self._accept(accepted, refused)
        await self._insert(statements.INSERT_OCCURRENCES, [_row(item) for item in as_settled(occurrences, refused)])
        await self._finish(split.late_jobs, split.late_changes, refused)
        await self._insert(statements.INSERT_LOGS, [_row(line) for line in batch.logs])
        await self._insert(statements.INSERT_DEAD_LETTERS, [_row(letter) for letter in batch.dead])
        await self._insert(statements.INSERT_WAKES, [_row(wake) for wake in wakes_of(batch, refused.fenced)])
        return refused

    async def _move(self, batch: Batch, refused: Refusals) -> None:
        rows = [columns.move_row(item) for item in sorted(batch.moves, key=lambda item: item.id)]
        written = {tuple(row) for row in await self._connection.fetch(statements.MOVE, *zip(*rows, strict=True))}
        refused.moves.update(item.id for item in batch.moves if item.id not in written)
        for move in batch.moves:
            if move.items and move.id in written:
                for sql in source_items.write(move):
                    text, values = native(sql.text, sql.params)
                    await self._connection.execute(text, *values)

    async def _insert(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> int:
        """Insert `rows` and return how many were not there yet."""
        if not rows:
            return 0
        status: str = await self._connection.execute(statement, *zip(*rows, strict=True))
        return int(status.rsplit(" ", 1)[1])

    async def _returning(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> set[str]:
        return {row[0] for row in await self._connection.fetch(statement, *zip(*rows, strict=True))}

    async def _finish(self, jobs: Sequence[JobRecord], changes: Sequence[RunChange], refused: Refusals) -> None:
        """Write job records, then run changes: a record that comes with the end of its run still finds it open."""
        for part in rounds(sorted(jobs, key=lambda job: job.run_id), lambda job: (job.run_id, job.job_id)):
            for same in rounds_by_fence(part):
                written = await self._returning(
                    statements.UPSERT_JOBS, [(*columns.job_row(job), job.fence) for job in same]
                )
                refused.fenced.update(job.run_id for job in same if job.run_id not in written)
        ordered = sorted(changes, key=lambda change: change.run_id)
        for once in rounds(ordered, lambda change: change.run_id):
            written = await self._returning(statements.UPDATE_RUNS, [_row(change) for change in once])
            refused.fenced.update(change.run_id for change in once if change.run_id not in written)

    async def _accept(self, accepted: Sequence[Accepted], refused: Refusals) -> None:
        """Write events, runs and decisions; ordered by key, so that two instances cannot wait for each other."""
        accepted = sorted(accepted, key=lambda item: (item.event.source, item.event.event_key))
        events = [columns.event_row(item.event) for item in accepted]
        if await self._insert(statements.INSERT_EVENTS, events) != len(events):
            await self._find_duplicates(accepted, refused)
            accepted = [item for item in accepted if item.event.id not in refused.duplicates]
        runs = [run for item in accepted for run in item.runs]
        if await self._insert(statements.INSERT_RUNS, [_row(run) for run in runs]) != len(runs):
            await self._find_refused_runs(runs, refused)
        decisions = [seen(decision, refused.runs) for item in accepted for decision in item.decisions]
        await self._insert(statements.INSERT_DECISIONS, [_row(decision) for decision in decisions])

    async def _find_duplicates(self, accepted: Sequence[Accepted], refused: Refusals) -> None:
        pairs = [(item.event.tenant_id, item.event.id) for item in accepted]
        stored = await self._returning(statements.PRESENT_EVENTS, pairs)
        for item in accepted:
            event = item.event
            if event.id not in stored:
                key = (event.tenant_id, event.source, event.event_key)
                refused.duplicates[event.id] = await self._connection.fetchval(statements.COUNT_DUPLICATE, *key)

    async def _find_refused_runs(self, runs: Sequence[Run], refused: Refusals) -> None:
        stored = await self._returning(statements.PRESENT_RUNS, [(run.tenant_id, run.id) for run in runs])
        for run in runs:
            if run.id not in stored:
                key = (run.tenant_id, run.trigger_id, run.event_key)
                refused.runs[run.id] = await self._connection.fetchval(statements.EARLIER_RUN, *key)


def rounds_by_fence(jobs: Sequence[JobRecord]) -> list[list[JobRecord]]:
    """Return the records in lists in which each run has one fence only."""
    fences: dict[str, int] = {}
    first = [job for job in jobs if fences.setdefault(job.run_id, job.fence) == job.fence]
    if len(first) == len(jobs):
        return [first] if first else []
    return [first, *rounds_by_fence([job for job in jobs if fences[job.run_id] != job.fence])]


def mergeable(batches: Sequence[Batch]) -> bool:
    """Return whether refusals can be told apart when the batches are written together."""
    fences: dict[str, int] = {}
    ended: set[str] = set()
    for batch in batches:
        for change in batch.run_changes:
            if fences.setdefault(change.run_id, change.fence) != change.fence or change.run_id in ended:
                return False
            if change.status in FINAL:
                ended.add(change.run_id)
        if any(fences.setdefault(job.run_id, job.fence) != job.fence for job in batch.jobs):
            return False
    advanced = [advance.trigger_id for batch in batches for advance in batch.advances]
    moved = [move.id for batch in batches for move in batch.moves]
    return len(set(advanced)) == len(advanced) and len(set(moved)) == len(moved)

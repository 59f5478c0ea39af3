"""Writing batches: several submitters' batches side by side, as few statements as possible.

The fast way (`merged`) writes all batches together and counts rows. Where a guard did not hold for every row (an
advance, a fence) it gives up, and the caller rolls back and writes batch by batch (`one`), row by row, so that every
refusal is known exactly. Duplicate events need no second way: what was not inserted is looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import apsw
import msgspec

from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.run import JobRecord, Run, RunChange
from workflow_scheduler.core.ports.store import Accepted, Batch, BatchResult
from workflow_scheduler.stores.portable import columns, source_items
from workflow_scheduler.stores.portable.merge import (
    WRITTEN,
    GuardLostError,
    Refusals,
    as_settled,
    folded,
    parts,
    result_of,
    seen,
    side_by_side,
    wakes_of,
    without_fenced_ends,
    without_lost,
    without_lost_moves,
)
from workflow_scheduler.stores.sqlite import statements

_row = columns.plain_row


class GroupWriter:
    """Writes batches through one connection, inside the transaction that the caller has begun."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._cursor = connection.cursor()

    def merged(self, batches: Sequence[Batch]) -> list[BatchResult]:
        """Write all batches together.

        Raises:
            GuardLostError: an advance or a fence did not hold; roll back and write one by one.

        """
        whole = batches[0] if len(batches) == 1 else side_by_side(batches)
        refused = self._write(whole, exact=False)
        if not refused.duplicates and not refused.runs:
            return [WRITTEN] * len(batches)
        return [result_of(batch, refused) for batch in batches]

    def one(self, batch: Batch) -> BatchResult:
        """Write one batch row by row where guards are concerned, and say what was refused."""
        return result_of(batch, self._write(batch, exact=True))

    def _write(self, batch: Batch, *, exact: bool) -> Refusals:
        refused = Refusals()
        if batch.advances:
            self._advance(batch, refused, exact=exact)
        accepted, occurrences = without_lost(batch, refused.lost)
        if batch.moves:
            self._move(batch, refused, exact=exact)
            accepted = without_lost_moves(batch, accepted, refused.moves)
        split = parts(batch, accepted)
        self._finish(split.jobs, split.changes, refused, exact=exact)
        accepted = without_fenced_ends(batch, accepted, refused.fenced)
        if accepted:
            self._accept(accepted, refused)
        self._insert(statements.insert_occurrences, [_row(item) for item in as_settled(occurrences, refused)])
        self._finish(split.late_jobs, split.late_changes, refused, exact=exact)
        self._insert(statements.insert_logs, [_row(line) for line in batch.logs])
        self._insert(statements.insert_dead_letters, [_row(letter) for letter in batch.dead])
        self._insert(statements.insert_wakes, [_row(wake) for wake in wakes_of(batch, refused.fenced)])
        return refused

    def _insert(self, statement: Callable[[int], str], rows: Sequence[tuple[Any, ...]]) -> int:
        """Write `rows` with statements of the prepared sizes, and return how many rows were changed."""
        changed = 0
        for start, size in statements.pieces(len(rows)):
            part = rows if size == len(rows) else rows[start : start + size]
            self._cursor.execute(statement(size), statements.flat(part))
            changed += self._connection.changes()
        return changed

    def _guarded(self, statement: Callable[[int], str], rows: Sequence[tuple[Any, ...]], *, exact: bool) -> list[int]:
        """Write rows under a guard and return the positions that were refused."""
        if exact:
            return [index for index, row in enumerate(rows) if not self._insert(statement, [row])]
        if rows and self._insert(statement, rows) != len(rows):
            raise GuardLostError
        return []

    def _advance(self, batch: Batch, refused: Refusals, *, exact: bool) -> None:
        advances = batch.advances
        if not exact and len({advance.trigger_id for advance in advances}) != len(advances):
            raise GuardLostError
        marked = any(advance.tzdata is not None for advance in advances)
        statement = partial(statements.advance_schedules, tzdata=marked)
        lost = self._guarded(statement, [_row(item) for item in advances], exact=exact)
        refused.lost.update(advances[index].trigger_id for index in lost)

    def _move(self, batch: Batch, refused: Refusals, *, exact: bool) -> None:
        moves = batch.moves
        if not exact and len({move.id for move in moves}) != len(moves):
            raise GuardLostError
        lost = self._guarded(statements.move_cursors, [columns.move_row(item) for item in moves], exact=exact)
        refused.moves.update(moves[index].id for index in lost)
        for move in moves:
            if move.items and move.id not in refused.moves:
                for sql in source_items.write(move):
                    self._cursor.execute(sql.text, dict(sql.params))

    def _finish(
        self, jobs: Sequence[JobRecord], changes: Sequence[RunChange], refused: Refusals, *, exact: bool
    ) -> None:
        """Write job records, then run changes: a record that comes with the end of its run still finds it open."""
        if jobs:
            rows = [(*columns.job_row(job), job.fence) for job in jobs]
            lost = self._guarded(statements.upsert_jobs, rows, exact=exact)
            refused.fenced.update(jobs[index].run_id for index in lost)
        if changes:
            if not exact and len(changes) > 1:
                changes = folded(changes)
            lost = self._guarded(statements.update_runs, [_row(item) for item in changes], exact=exact)
            refused.fenced.update(changes[index].run_id for index in lost)

    def _accept(self, accepted: Sequence[Accepted], refused: Refusals) -> None:
        events = [columns.event_row(item.event) for item in accepted]
        if self._insert(statements.insert_events, events) != len(events):
            self._find_duplicates(accepted, refused)
            accepted = [item for item in accepted if item.event.id not in refused.duplicates]
        runs = [run for item in accepted for run in item.runs]
        if runs and self._insert(statements.insert_runs, [_row(run) for run in runs]) != len(runs):
            self._find_refused_runs(runs, refused)
        decisions: Iterable[Decision] = [decision for item in accepted for decision in item.decisions]
        if refused.runs:
            decisions = [seen(decision, refused.runs) for decision in decisions]
        self._insert(statements.insert_decisions, [_row(decision) for decision in decisions])

    def _find_duplicates(self, accepted: Sequence[Accepted], refused: Refusals) -> None:
        """Record which events another one with the same key stands in the way of, and count the repetition."""
        stored = self._present("events", [(item.event.tenant_id, item.event.id) for item in accepted])
        for item in accepted:
            event = item.event
            if event.id not in stored:
                key = (event.tenant_id, event.source, event.event_key)
                rows = self._cursor.execute(statements.COUNT_DUPLICATE, key).fetchall()
                refused.duplicates[event.id] = str(rows[0][0])

    def _find_refused_runs(self, runs: Sequence[Run], refused: Refusals) -> None:
        """Record which runs an earlier run of the same trigger for the same key stands in the way of."""
        stored = self._present("runs", [(run.tenant_id, run.id) for run in runs])
        for run in runs:
            if run.id not in stored:
                key = (run.tenant_id, run.trigger_id, run.event_key)
                rows = self._cursor.execute(statements.EARLIER_RUN, key).fetchall()
                refused.runs[run.id] = str(rows[0][0])

    def _present(self, table: str, pairs: Sequence[tuple[str, str]]) -> set[str]:
        found: set[str] = set()
        for start, size in statements.pieces(len(pairs)):
            values = statements.flat(pairs[start : start + size])
            for (ids,) in self._cursor.execute(statements.present(table, size), values):
                found.update(msgspec.json.decode(ids))
        return found

"""The SQL of the batch path: one statement writes many rows, so that hundreds of rows cost one step.

apsw lets go of the interpreter lock around each step. A writer that steps once per row would fight the event loop for
it hundreds of times per commit; statements with 1, 2, 3, 4, 6, 8 … 192 rows of VALUES, kept prepared by the
connection, need one or two steps per table instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any

from workflow_scheduler.stores.portable import columns

SIZES = (192, 128, 96, 64, 48, 32, 24, 16, 12, 8, 6, 4, 3, 2, 1)
_SIZE_OF = {count: next(size for size in SIZES if size <= count) for count in range(1, SIZES[0] + 1)}
_NOT_FINAL = "('QUEUED', 'RUNNING', 'PAUSED')"
_KEEP = " ON CONFLICT DO NOTHING"


def pieces(count: int) -> Iterator[tuple[int, int]]:
    """Yield `(start, size)` of the prepared statement sizes that together cover `count` rows."""
    start = 0
    while start < count:
        size = _SIZE_OF[min(count - start, SIZES[0])]
        yield start, size
        start += size


def flat(rows: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the values of all rows in one list, as positional bindings."""
    return list(chain.from_iterable(rows))


def _values(width: int, size: int) -> str:
    return ",".join(["(" + ",".join("?" * width) + ")"] * size)


def _insert(table: str, names: Sequence[str], size: int, tail: str = _KEEP) -> str:
    return f"INSERT INTO {table} ({','.join(names)}) VALUES {_values(len(names), size)}{tail}"


@cache
def insert_events(size: int) -> str:
    """Insert events; rows whose id or key is stored already are left out."""
    return _insert("events", columns.EVENT, size)


@cache
def insert_runs(size: int) -> str:
    """Insert runs; rows whose id or key is stored already are left out."""
    return _insert("runs", columns.RUN, size)


@cache
def insert_decisions(size: int) -> str:
    """Insert decisions; a decision that is there already stays."""
    return _insert("decisions", columns.DECISION, size)


@cache
def insert_occurrences(size: int) -> str:
    """Insert occurrences; what was recorded for a nominal time stays, unless only now it starts something."""
    return _insert("occurrences", columns.OCCURRENCE, size, columns.OCCURRENCE_KEPT)


@cache
def insert_logs(size: int) -> str:
    """Insert log lines."""
    return _insert("job_logs", columns.LOG, size)


@cache
def insert_dead_letters(size: int) -> str:
    """Insert dead letters."""
    return _insert("dead_letters", columns.DEAD_LETTER, size)


@cache
def insert_wakes(size: int) -> str:
    """Insert wakes; one that is there already stays."""
    return _insert("wakes", columns.WAKE, size)


@cache
def upsert_jobs(size: int) -> str:
    """Insert or replace job records; the last value of each row is the fence, which the open run must still have."""
    names = ",".join(columns.JOB)
    kept = ",".join(f"{name}=excluded.{name}" for name in columns.JOB[3:])
    return (
        f"WITH v({names},fence) AS (VALUES {_values(len(columns.JOB) + 1, size)}) "
        f"INSERT INTO jobs ({names}) SELECT {','.join('v.' + name for name in columns.JOB)} "
        "FROM v CROSS JOIN runs r ON r.tenant_id=v.tenant_id AND r.id=v.run_id "
        f"WHERE r.fence=v.fence AND r.status IN {_NOT_FINAL} "
        f"ON CONFLICT (tenant_id, run_id, job_id) DO UPDATE SET {kept}"
    )


@cache
def update_runs(size: int) -> str:
    """Apply run changes where the fence fits and the run is open; None keeps the stored value."""
    kept = ("started_at", "ended_at", "output", "error", "external_id")
    sets = ",".join(f"{name}=coalesce(v.{name},runs.{name})" for name in kept)
    return (
        f"WITH v({','.join(columns.RUN_CHANGE)}) AS (VALUES {_values(len(columns.RUN_CHANGE), size)}) "
        f"UPDATE runs SET status=v.status,{sets},"
        "next_attempt_at=coalesce(v.next_attempt_at,runs.next_attempt_at),owner=coalesce(v.owner,runs.owner),"
        f"wake_at={columns.WAKE_AT} FROM v "
        f"WHERE runs.tenant_id=v.tenant_id AND runs.id=v.run_id AND runs.fence=v.fence AND runs.status IN {_NOT_FINAL}"
    )


@cache
def advance_schedules(size: int, *, tzdata: bool = True) -> str:
    """Move due rows on where revision and due time are still the ones that were read.

    Without `tzdata` that column is left out, and with it the work on its index.
    """
    mark = ", tzdata=coalesce(v.tzdata,schedules.tzdata)" if tzdata else ""
    return (
        f"WITH v({','.join(columns.ADVANCE)}) AS (VALUES {_values(len(columns.ADVANCE), size)}) "
        "UPDATE schedules SET next_fire_at=v.next_fire_at, next_nominal=v.next_nominal, "
        "last_nominal=coalesce(v.last_nominal,schedules.last_nominal), "
        "last_fired_at=coalesce(v.last_fired_at,schedules.last_fired_at), completed=v.completed, "
        f"fires=schedules.fires+v.started{mark} FROM v "
        "WHERE schedules.tenant_id=v.tenant_id AND schedules.trigger_id=v.trigger_id "
        "AND schedules.revision=v.revision AND schedules.next_fire_at=v.was_fire_at"
    )


@cache
def move_cursors(size: int) -> str:
    """Move the cursors of sources that are still held under the fence; None keeps what is stored."""
    return (
        f"WITH v({','.join(columns.MOVE)}) AS (VALUES {_values(len(columns.MOVE), size)}) "
        "UPDATE sources SET cursor=coalesce(v.cursor,sources.cursor), "
        "event_at=coalesce(v.event_at,sources.event_at), updated_at=v.at FROM v "
        "WHERE sources.tenant_id=v.tenant_id AND sources.type=v.type AND sources.key=v.key "
        "AND sources.fence=v.fence AND sources.owner IS NOT NULL"
    )


@cache
def present(table: str, size: int) -> str:
    """Return which of `size` (tenant, id) pairs are rows of `table`, as one JSON array of ids."""
    return (
        f"WITH v(t,i) AS (VALUES {_values(2, size)}) "
        f"SELECT json_group_array(v.i) FROM v CROSS JOIN {table} r ON r.tenant_id=v.t AND r.id=v.i"
    )


COUNT_DUPLICATE = (
    "UPDATE events SET duplicates = duplicates + 1 WHERE tenant_id = ? AND source = ? AND event_key = ? RETURNING id"
)
EARLIER_RUN = "SELECT id FROM runs WHERE tenant_id = ? AND trigger_id = ? AND event_key = ?"
EPOCH = "SELECT epoch FROM index_epoch"

"""Runs that share an overlap key: which are under way, which wait, and whose turn it is. Steps of a transaction.

Whoever decides by what stands here holds the lock on the key until its commit, and so does whoever ends such a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.overlap import limited_workflow
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.stores.portable.claims import RUN_COLUMNS, quarantine, run_from_row

Key = tuple[str, str]
"""Tenant and overlap key."""
HAND_OVER_US = SECOND_US
_OPEN = "status IN ('QUEUED', 'RUNNING', 'PAUSED')"
_OF_KEY = f"tenant_id = :tenant AND overlap_key = :key AND {_OPEN}"
_RUNNING = f"{_OF_KEY} AND owner IS NOT NULL AND owner <> 'quarantine'"
_WAITING = f"{_OF_KEY} AND owner IS NULL"
_PORTION = 500
_UNLIMITED = 1_000_000


def _params(key: Key, **more: Any) -> dict[str, Any]:
    return {"tenant": key[0], "key": key[1], **more}


def lock(dialect: str, key: Key) -> Work[None]:
    """Hold the key until the end of the transaction; SQLite's transactions have the database for themselves."""
    if dialect == "postgres":
        yield Sql(
            "SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))",
            {"tenant": key[0], "name": f"{key[0]}/{key[1]}"},
        )


def running(key: Key, limit: int) -> Work[list[str]]:
    """Return the ids of runs that are under way, or begin as soon as there is room, the oldest first."""
    rows = yield Sql(f"SELECT id FROM runs WHERE {_RUNNING} ORDER BY id LIMIT :limit", _params(key, limit=limit))
    return [str(row[0]) for row in rows]


def count_running(key: Key, limit: int) -> Work[int]:
    """Return how many runs are under way; the count stops at `limit`."""
    rows = yield Sql(
        f"SELECT count(*) FROM (SELECT 1 FROM runs WHERE {_RUNNING} LIMIT :limit) AS found", _params(key, limit=limit)
    )
    return int(rows[0][0])


def places(key: Key) -> Work[int]:
    """Return how many runs of a key may be under way at once.

    A limit of runs at once is that of the live version, so that what a deployment changes counts for those who wait.
    """
    workflow = limited_workflow(key[1])
    if workflow is None:
        return 1
    rows = yield Sql(
        "SELECT v.definition FROM workflows w JOIN workflow_versions v ON v.tenant_id = w.tenant_id "
        "AND v.workflow_id = w.id AND v.version = COALESCE(w.live_version, w.latest_version) "
        "WHERE w.tenant_id = :tenant AND w.id = :workflow",
        {"tenant": key[0], "workflow": workflow},
    )
    try:
        found = msgspec.json.decode(rows[0][0], type=_Limited, strict=False).concurrency.max_runs if rows else None
    except msgspec.MsgspecError:
        return 1
    return found or _UNLIMITED


def is_full(key: Key) -> Work[bool]:
    """Return whether another run of a key would have to wait."""
    allowed = yield from places(key)
    busy = yield from count_running(key, allowed)
    queue = yield from waiting(key, 1)
    return busy >= allowed or queue > 0


class _Runs(msgspec.Struct, frozen=True):
    """The part of `concurrency` that is read here."""

    max_runs: int | None = None


class _Limited(msgspec.Struct, frozen=True):
    """The part of a definition that is read here."""

    concurrency: _Runs = _Runs()


def waiting(key: Key, limit: int) -> Work[int]:
    """Return how many runs wait; the count stops at `limit`."""
    rows = yield Sql(
        f"SELECT count(*) FROM (SELECT 1 FROM runs WHERE {_WAITING} LIMIT :limit) AS found", _params(key, limit=limit)
    )
    return int(rows[0][0])


def rows_under_way(key: Key) -> Work[list[Run]]:
    """Return the runs that are under way."""
    rows = yield Sql(f"SELECT {RUN_COLUMNS} FROM runs WHERE {_RUNNING} ORDER BY id", _params(key))
    return _readable(rows)


def rows_waiting(key: Key) -> Work[list[Run]]:
    """Return the runs that wait."""
    rows = yield Sql(f"SELECT {RUN_COLUMNS} FROM runs WHERE {_WAITING} ORDER BY id", _params(key))
    return _readable(rows)


def _readable(rows: Sequence[Row]) -> list[Run]:
    """Return the runs of rows that can be read; the inspection finds the others."""
    found = []
    for row in rows:
        try:
            found.append(run_from_row(row))
        except (ValueError, TypeError):
            continue
    return found


def ask_to_stop(key: Key) -> Work[list[Run]]:
    """Mark what is under way as to be cancelled, and return what was not marked before."""
    rows = yield Sql(
        "UPDATE runs SET cancel_requested = 1, next_attempt_at = CASE WHEN status = 'QUEUED' AND next_attempt_at "
        "IS NOT NULL THEN created_at ELSE next_attempt_at END, wake_at = CASE WHEN owner = 'parked' THEN 0 END "
        f"WHERE {_RUNNING} AND cancel_requested = 0 "
        f"RETURNING {RUN_COLUMNS}",
        _params(key),
    )
    return _readable(rows)


def end(run: Run, now: int, error: bytes) -> Work[bool]:
    """End a run as cancelled, under a higher fence, whoever has it, with its open jobs; return False if it is over."""
    key = {"tenant": run.tenant_id, "id": run.id}
    rows = yield Sql(
        "UPDATE runs SET status = 'CANCELLED', fence = fence + 1, ended_at = :now, error = :error, "
        f"cancel_requested = 1 WHERE tenant_id = :tenant AND id = :id AND {_OPEN} RETURNING id",
        {**key, "now": now, "error": error},
    )
    if not rows:
        return False
    yield Sql(
        "UPDATE jobs SET status = 'CANCELLED', ended_at = :now, wake_at = NULL "
        f"WHERE tenant_id = :tenant AND run_id = :id AND {_OPEN}",
        {**key, "now": now},
    )
    return True


def retract(run: Run, reason: Reason) -> Work[None]:
    """Record that a run that waited will never start: its decision, and the time of its schedule, were skipped."""
    facts = {"tenant": run.tenant_id, "trigger": run.trigger_id, "run": run.id, "outcome": Outcome.SKIPPED.value,
             "reason": reason.value}  # fmt: skip
    yield Sql(
        "UPDATE decisions SET outcome = :outcome, reason = :reason "
        "WHERE tenant_id = :tenant AND event_id = :event AND trigger_id = :trigger AND run_id = :run",
        {**facts, "event": run.event_id},
    )
    if run.scheduled_for is not None:
        yield Sql(
            "UPDATE occurrences SET outcome = :outcome, reason = :reason "
            "WHERE tenant_id = :tenant AND trigger_id = :trigger AND nominal = :nominal AND run_id = :run",
            {**facts, "nominal": run.scheduled_for},
        )


def take_next(key: Key, me: str, now: int) -> Work[Run | None]:
    """Make the first of the runs that wait this instance's, where there is room for one more; return it.

    That is the one of the highest priority, and the oldest of those.
    """
    allowed = yield from places(key)
    while True:
        busy = yield from count_running(key, allowed)
        if busy >= allowed:
            return None
        rows = yield Sql(
            "UPDATE runs SET owner = :me, fence = fence + 1, next_attempt_at = CASE WHEN engine = 'embedded' "
            f"THEN NULL ELSE :soon END WHERE tenant_id = :tenant AND id = (SELECT id FROM runs WHERE {_WAITING} "
            f"ORDER BY priority DESC, id LIMIT 1) AND owner IS NULL AND {_OPEN} RETURNING {RUN_COLUMNS}",
            _params(key, me=me, soon=now + HAND_OVER_US),
        )
        if not rows:
            return None
        try:
            return run_from_row(rows[0])
        except (ValueError, TypeError) as error:
            yield from quarantine(key[0], "runs", str(rows[0][0]), str(error), now)


def wake(dialect: str, key: Key, me: str, now: int) -> Work[Run | None]:
    """Take the next run of a key in a transaction of its own."""
    yield from lock(dialect, key)
    return (yield from take_next(key, me, now))


async def stuck(store: Store, limit: int) -> list[Key]:
    """Return keys whose runs wait although none is under way; there are none unless a row was damaged or removed."""
    rows = await store.read(
        "SELECT DISTINCT w.tenant_id, w.overlap_key FROM runs w WHERE w.overlap_key IS NOT NULL AND w.owner IS NULL "
        "AND w.status IN ('QUEUED', 'RUNNING', 'PAUSED') AND NOT EXISTS (SELECT 1 FROM runs r WHERE "
        "r.tenant_id = w.tenant_id AND r.overlap_key = w.overlap_key AND r.owner IS NOT NULL "
        "AND r.owner <> 'quarantine' AND r.status IN ('QUEUED', 'RUNNING', 'PAUSED')) LIMIT :limit",
        {"limit": limit},
    )
    return [(str(row[0]), str(row[1])) for row in rows]


async def waiting_of(store: Store, tenant_id: str, column: str, ids: Sequence[str]) -> dict[str, int]:
    """Return how many runs wait, by the triggers or workflows `ids` (`column`: trigger_id or workflow_id)."""
    if not ids:
        return {}
    slots = {f"i{place}": value for place, value in enumerate(ids)}
    rows = await store.read(
        f"SELECT {column}, count(*) FROM runs WHERE tenant_id = :tenant AND overlap_key IS NOT NULL AND owner IS NULL "
        f"AND {_OPEN} AND {column} IN ({', '.join(':' + name for name in slots)}) GROUP BY {column}",
        {"tenant": tenant_id, **slots},
    )
    return {str(row[0]): int(row[1]) for row in rows}


async def under_way(store: Store, run: Run) -> list[str]:
    """Return the ids of the runs whose end a waiting run waits for; five at most."""
    assert run.overlap_key is not None
    params = _params((run.tenant_id, run.overlap_key))
    rows = await store.read(f"SELECT id FROM runs WHERE {_RUNNING} ORDER BY id LIMIT 5", params)
    return [str(row[0]) for row in rows]


async def queue_of(store: Store, tenant_id: str, column: str, value: str) -> list[Run]:
    """Return the runs of a trigger or a workflow (`column`: trigger_id or workflow_id) that wait, the oldest first."""
    rows = await store.read(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE tenant_id = :tenant AND overlap_key IS NOT NULL AND owner IS NULL "
        f"AND {_OPEN} AND {column} = :value ORDER BY id",
        {"tenant": tenant_id, "value": value},
    )
    return _readable(rows)


async def fences(store: Store, tenant_id: str, run_ids: Sequence[str]) -> dict[str, int]:
    """Return the fence of those of the runs that are open."""
    found: dict[str, int] = {}
    for start in range(0, len(run_ids), _PORTION):
        slots = {f"r{place}": run_id for place, run_id in enumerate(run_ids[start : start + _PORTION])}
        rows = await store.read(
            f"SELECT id, fence FROM runs WHERE tenant_id = :tenant AND {_OPEN} "
            f"AND id IN ({', '.join(':' + name for name in slots)})",
            {"tenant": tenant_id, **slots},
        )
        found |= {str(row[0]): int(row[1]) for row in rows}
    return found

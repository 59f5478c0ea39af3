"""Who executes which run: instances and their leases, claiming, cancelling, reviving, and reading a run back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import JobRecord, JobStatus, Run, RunStatus
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.stores.portable.rows import numbered
from workflow_scheduler.stores.portable.trouble import trigger_failed

_NAMES = (
    "id", "tenant_id", "workflow_id", "workflow", "version", "trigger_id", "trigger_type", "event_id", "event_key",
    "created_at", "engine", "status", "owner", "fence", "deliveries", "input", "scheduled_for", "started_at",
    "next_attempt_at", "external_id", "depth", "cause_run_id", "replay_of", "traceparent", "user_id", "bearer",
    "cancel_requested", "backfill_id", "overlap_key", "priority", "rerun_of",
)  # fmt: skip
RUN_COLUMNS = ", ".join(_NAMES)
SUSPECT_DELIVERIES = 3
Hold = tuple[str, str, int]  # tenant, run, fence
_OPEN = "status IN ('QUEUED', 'RUNNING', 'PAUSED')"
# Between the end of what a job waited for and the start of the next job lies a commit that makes the run RUNNING: one
# that is PAUSED, was told nothing, and has no job that is due, did nothing when its process ended.
_RESTS = """status = 'PAUSED'
  AND NOT EXISTS (SELECT 1 FROM wakes w WHERE w.tenant_id = runs.tenant_id AND w.run_id = runs.id)
  AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.tenant_id = runs.tenant_id AND j.run_id = runs.id
    AND j.status IN ('PAUSED', 'QUEUED') AND j.wake_at <= :now)"""


def run_from_row(row: Sequence[Any]) -> Run:
    """Return the run of a row selected as RUN_COLUMNS.

    Raises:
        ValueError: the row is malformed.

    """
    values = dict(zip(_NAMES, row, strict=True))
    values["status"] = RunStatus(values["status"])
    values["cancel_requested"] = bool(values["cancel_requested"])
    if not isinstance(values["input"], bytes) or not isinstance(values["fence"], int):
        message = "a column of this run has the wrong type"
        raise ValueError(message)  # noqa: TRY004 -- one error type for every malformed row
    return Run(**values)


def register(instance: dict[str, Any], *, alone: bool) -> Work[None]:
    """Insert an instance (id started_at lease_until roles tzdata version); `alone` ends every other lease."""
    if alone:
        yield Sql("UPDATE instances SET lease_until = 0")
    yield Sql(
        "INSERT INTO instances (id, started_at, lease_until, roles, tzdata, version) "
        "VALUES (:id, :started_at, :lease_until, :roles, :tzdata, :version)",
        instance,
    )


def lease(instance: str, until: int) -> Work[bool]:
    """Set how long an instance's lease runs; return False when the instance was forgotten meanwhile."""
    rows = yield Sql("UPDATE instances SET lease_until = :until WHERE id = :id RETURNING id",
                     {"until": until, "id": instance})  # fmt: skip
    return bool(rows)


def forget(instance: str) -> Work[None]:
    """Remove an instance that has no runs left."""
    yield Sql(
        f"DELETE FROM instances WHERE id = :id AND NOT EXISTS (SELECT 1 FROM runs WHERE owner = :id AND {_OPEN})",
        {"id": instance},
    )


async def orphans(store: Store, me: str) -> list[str]:
    """Return the owners of open runs that are registered no more.

    An instance that is taken for dead while it stands still can own new runs before it registers again.
    """
    rows = await store.read(
        f"SELECT DISTINCT owner FROM runs WHERE {_OPEN} AND owner <> :me AND owner NOT IN ('quarantine', 'parked') "
        "AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.id = runs.owner)",
        {"me": me},
    )
    return [row[0] for row in rows]


async def dead_instances(store: Store, now: int, me: str) -> list[str]:
    """Return the instances whose lease has run out."""
    rows = await store.read("SELECT id FROM instances WHERE lease_until < :now AND id <> :me", {"now": now, "me": me})
    return [row[0] for row in rows]


def claim(dead: str, me: str, limit: int, now: int) -> Work[list[Row]]:
    """Make up to `limit` open runs of a dead instance this one's, under a higher fence; return their rows.

    The delivery is counted here, except for runs that an engine elsewhere has, that wait for their next attempt or
    for people (they were not at work in the process that died), and for suspects, which are counted when their turn
    comes.
    The owner is compared once more on the row itself: of two instances that claim at once on PostgreSQL, the one that
    waited for the row's lock must leave it alone.
    """
    rows = yield Sql(
        "UPDATE runs SET owner = :me, fence = fence + 1, deliveries = deliveries + CASE WHEN deliveries < :suspect "
        f"AND external_id IS NULL AND next_attempt_at IS NULL AND NOT ({_RESTS}) THEN 1 ELSE 0 END "
        "WHERE owner = :dead AND (tenant_id, id) IN "
        f"(SELECT tenant_id, id FROM runs WHERE owner = :dead AND {_OPEN} LIMIT :limit) RETURNING {RUN_COLUMNS}",
        {"me": me, "dead": dead, "limit": limit, "suspect": SUSPECT_DELIVERIES, "now": now},
    )
    return rows


def begin(run: Run) -> Work[bool]:
    """Note that a run's time has come; False when it is over or belongs to another instance now."""
    rows = yield Sql(
        "UPDATE runs SET next_attempt_at = NULL WHERE tenant_id = :tenant AND id = :id AND fence = :fence "
        f"AND {_OPEN} RETURNING id",
        {"tenant": run.tenant_id, "id": run.id, "fence": run.fence},
    )
    return bool(rows)


def count_delivery(run: Run) -> Work[bool]:
    """Count one more delivery of a suspect; return False when the run is over or belongs to another instance now."""
    rows = yield Sql(
        "UPDATE runs SET deliveries = deliveries + 1 WHERE tenant_id = :tenant AND id = :id AND fence = :fence "
        f"AND {_OPEN} RETURNING id",
        {"tenant": run.tenant_id, "id": run.id, "fence": run.fence},
    )
    return bool(rows)


def clear_deliveries(run: Run) -> Work[None]:
    """Count the deliveries of a run from one again."""
    yield Sql(
        f"UPDATE runs SET deliveries = 1 WHERE tenant_id = :tenant AND id = :id AND fence = :fence AND {_OPEN}",
        {"tenant": run.tenant_id, "id": run.id, "fence": run.fence},
    )


def hand_back(me: str) -> Work[None]:
    """End an instance's lease in good order: what it had under way is not counted against the runs."""
    yield Sql(
        f"UPDATE runs SET deliveries = deliveries - 1 WHERE owner = :me AND deliveries > 0 AND {_OPEN}", {"me": me}
    )
    yield from lease(me, 0)


def quarantine(tenant_id: str, kind: str, key: str, detail: str, now: int) -> Work[None]:
    """List a row that cannot be read; `kind` is its table. A run has no owner any more, a schedule no next time."""
    listed = yield Sql(
        "INSERT INTO quarantine (tenant_id, kind, id, detail, found_at) VALUES (:tenant, :kind, :id, :detail, :now) "
        "ON CONFLICT DO NOTHING RETURNING id",
        {"tenant": tenant_id, "kind": kind, "id": key, "detail": detail[:500], "now": now},
    )
    if listed and kind in {"schedules", "trigger_index"}:
        yield from trigger_failed(tenant_id, key, detail, now)
    if kind == "runs":
        yield Sql(
            "UPDATE runs SET owner = 'quarantine' WHERE tenant_id = :tenant AND id = :id",
            {"tenant": tenant_id, "id": key},
        )
    if kind == "schedules":
        yield Sql(
            "UPDATE schedules SET next_fire_at = NULL WHERE tenant_id = :tenant AND trigger_id = :id",
            {"tenant": tenant_id, "id": key},
        )


def request_cancel(tenant_id: str, run_id: str) -> Work[Run | None]:
    """Mark an open run as to be cancelled and return it; None when it is not open.

    One that waits for its next attempt at an outside engine is due at once, and so is one that rests.
    """
    rows = yield Sql(
        "UPDATE runs SET cancel_requested = 1, next_attempt_at = CASE WHEN status = 'QUEUED' AND next_attempt_at "
        "IS NOT NULL THEN created_at ELSE next_attempt_at END, wake_at = CASE WHEN owner = 'parked' THEN 0 END "
        f"WHERE tenant_id = :tenant AND id = :id AND {_OPEN} "
        f"RETURNING {RUN_COLUMNS}",
        {"tenant": tenant_id, "id": run_id},
    )
    return run_from_row(rows[0]) if rows else None


async def cancels(store: Store, me: str) -> list[Row]:
    """Return the rows of this instance's open runs, and of those that nobody has yet, that are to be cancelled."""
    rows = await store.read(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE cancel_requested = 1 AND (owner = :me OR owner IS NULL) AND {_OPEN} "
        "LIMIT 1000",
        {"me": me},
    )
    return list(rows)


async def due_runs(store: Store, now: int, me: str, limit: int) -> list[Row]:
    """Return the rows of this instance's runs on outside engines whose next attempt or look is due."""
    rows = await store.read(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE {_OPEN} AND next_attempt_at <= :now "
        "AND owner = :me AND engine <> 'embedded' ORDER BY next_attempt_at LIMIT :limit",
        {"now": now, "me": me, "limit": limit},
    )
    return list(rows)


def look_again(run: Run, at: int) -> Work[None]:
    """Let an outside engine be asked about a run at an instant, unless somebody has asked for another one meanwhile."""
    yield Sql(
        "UPDATE runs SET next_attempt_at = :at WHERE tenant_id = :tenant AND id = :id AND fence = :fence "
        f"AND next_attempt_at = :was AND {_OPEN}",
        {"tenant": run.tenant_id, "id": run.id, "fence": run.fence, "at": at, "was": run.next_attempt_at},
    )


def look_soon(tenant_id: str, run_id: str, now: int) -> Work[None]:
    """Let an outside engine that has the run be asked about it at once: there is something to tell it."""
    yield Sql(
        "UPDATE runs SET next_attempt_at = :now WHERE tenant_id = :tenant AND id = :id AND external_id IS NOT NULL "
        f"AND next_attempt_at > :now AND {_OPEN}",
        {"tenant": tenant_id, "id": run_id, "now": now},
    )


async def open_run(store: Store, tenant_id: str, run_id: str) -> Run | None:
    """Return an open run, whoever owns it; None when it is over or unknown.

    Raises:
        ValueError: its row is malformed.

    """
    rows = await store.read(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE tenant_id = :tenant AND id = :id AND {_OPEN}",
        {"tenant": tenant_id, "id": run_id},
    )
    return run_from_row(rows[0]) if rows else None


def hold_of(row: Row) -> Hold:
    """Return how a row selected as RUN_COLUMNS is held."""
    return str(row[_NAMES.index("tenant_id")]), str(row[_NAMES.index("id")]), int(row[_NAMES.index("fence")])


async def held(store: Store, me: str, hold: Hold) -> list[Row]:
    """Return the row (RUN_COLUMNS) of an open run if this instance owns it under that very fence."""
    return await store.read(
        f"SELECT {RUN_COLUMNS} FROM runs WHERE tenant_id = :tenant AND id = :id AND fence = :fence AND owner = :me "
        f"AND {_OPEN}",
        {"tenant": hold[0], "id": hold[1], "fence": hold[2], "me": me},
    )


async def readable_runs(store: Store, rows: Sequence[Row], now: int) -> list[Run]:
    """Return the runs of rows selected as RUN_COLUMNS; those that cannot be read are put into quarantine."""
    found = []
    for row in rows:
        try:
            found.append(run_from_row(row))
        except (ValueError, TypeError) as error:
            await store.transact(quarantine(str(row[1]), "runs", str(row[0]), str(error), now))
    return found


async def jobs_of(store: Store, run: Run, job_ids: Sequence[str] | None = None) -> list[JobRecord]:
    """Return the records of these jobs of a run, all of them without, under the run's present fence."""
    chosen, params = "", {"tenant": run.tenant_id, "run": run.id}
    if job_ids is not None:
        names, ids = numbered("job", job_ids)
        chosen, params = f" AND job_id IN ({names})", params | ids
    rows = await store.read(
        "SELECT job_id, status, attempt, started_at, ended_at, output, error, wake_at FROM jobs "
        f"WHERE tenant_id = :tenant AND run_id = :run{chosen}",
        params,
    )
    return [
        JobRecord(tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, job_id=row[0], status=JobStatus(row[1]),
                  attempt=row[2], started_at=row[3], ended_at=row[4], output=row[5], error=row[6], wake_at=row[7])
        for row in rows
    ]  # fmt: skip


async def jobs_under_way(store: Store, run: Run) -> list[tuple[str, JobStatus, int | None]]:
    """Return id, status and next time of the jobs of a run that have begun and not ended."""
    rows = await store.read(
        "SELECT job_id, status, wake_at FROM jobs WHERE tenant_id = :tenant AND run_id = :run "
        "AND status IN ('QUEUED', 'RUNNING', 'PAUSED')",
        {"tenant": run.tenant_id, "run": run.id},
    )
    return [(row[0], JobStatus(row[1]), row[2]) for row in rows]


async def event_of(store: Store, run: Run) -> Event | None:
    """Return the event that started a run, or None when retention has removed it."""
    rows = await store.read(
        "SELECT provider, source, type, subject, time, received_at, data, attributes FROM events "
        "WHERE tenant_id = :tenant AND id = :id",
        {"tenant": run.tenant_id, "id": run.event_id},
    )
    if not rows:
        return None
    row = rows[0]
    return Event(
        id=run.event_id, tenant_id=run.tenant_id, event_key=run.event_key, provider=row[0], source=row[1], type=row[2],
        subject=row[3], time=row[4], received_at=row[5], data=row[6], attributes=row[7],
    )  # fmt: skip

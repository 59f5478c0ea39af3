"""The rows of one accepted event, written inside a Work: for decisions that need to read before they write."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import JobRecord, LogLine, Run, RunChange, Wake
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import DeadLetter, Row, ScheduleAdvance, Sql, Store
from workflow_scheduler.stores.portable import columns

Steps = Generator[Sql, list[Row], Any]


def _insert(table: str, names: Sequence[str], values: Sequence[Any], tail: str = "") -> Sql:
    slots = ", ".join(f":{name}" for name in names)
    text = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({slots}) ON CONFLICT DO NOTHING{tail}"
    return Sql(text, dict(zip(names, values, strict=True)))


def put_event(event: Event) -> Steps:
    """Insert an event; return None, or the id of the event that was stored earlier under its key."""
    rows = yield _insert("events", columns.EVENT, columns.event_row(event), " RETURNING id")
    if rows:
        return None
    earlier = yield Sql(
        "UPDATE events SET duplicates = duplicates + 1 "
        "WHERE tenant_id = :tenant AND source = :source AND event_key = :key RETURNING id",
        {"tenant": event.tenant_id, "source": event.source, "key": event.event_key},
    )
    return earlier[0][0] if earlier else event.id


def put_decision(decision: Decision) -> Steps:
    """Insert a decision."""
    yield _insert("decisions", columns.DECISION, columns.plain_row(decision))


def put_run(run: Run) -> Steps:
    """Insert a run intent; return None, or the id of the run that its trigger has for this event key already."""
    rows = yield _insert("runs", columns.RUN, columns.plain_row(run), " RETURNING id")
    if rows:
        return None
    earlier = yield from run_of_key(run)
    return run.id if earlier is None else earlier


async def queued_among(store: Store, tenant_id: str, run_ids: Sequence[str]) -> set[str]:
    """Return which of the runs are stored and to be started by who stored them; not those that wait for their turn."""
    slots = {f"r{place}": run_id for place, run_id in enumerate(run_ids)}
    rows = await store.read(
        "SELECT id FROM runs WHERE tenant_id = :tenant AND status = 'QUEUED' AND owner IS NOT NULL AND fence = 1 "
        f"AND id IN ({', '.join(':' + name for name in slots)})",
        {**slots, "tenant": tenant_id},
    )
    return {row[0] for row in rows}


def run_of_key(run: Run) -> Steps:
    """Return the id of the run that the trigger of `run` has for its event key already, or None."""
    rows = yield Sql(
        "SELECT id FROM runs WHERE tenant_id = :tenant AND trigger_id = :trigger AND event_key = :key",
        {"tenant": run.tenant_id, "trigger": run.trigger_id, "key": run.event_key},
    )
    return rows[0][0] if rows else None


def put_occurrence(occurrence: Occurrence) -> Sql:
    """Return the statement that records a time of a schedule; what was recorded for it before stays."""
    return _insert("occurrences", columns.OCCURRENCE, columns.plain_row(occurrence))


def advance_schedule(advance: ScheduleAdvance) -> Steps:
    """Move a due row on; return whether it was still as it was read."""
    values = dict(zip(columns.ADVANCE, columns.plain_row(advance), strict=True))
    rows = yield Sql(
        """UPDATE schedules SET next_fire_at = :next_fire_at, next_nominal = :next_nominal,
             last_nominal = COALESCE(:last_nominal, last_nominal),
             last_fired_at = COALESCE(:last_fired_at, last_fired_at), completed = :completed,
             fires = fires + :started, tzdata = COALESCE(:tzdata, tzdata)
           WHERE tenant_id = :tenant_id AND trigger_id = :trigger_id AND revision = :revision
             AND next_fire_at = :was_fire_at RETURNING trigger_id""",
        values,
    )
    return bool(rows)


def put_log(line: LogLine) -> Steps:
    """Insert a log line."""
    yield _insert("job_logs", columns.LOG, columns.plain_row(line))


def put_dead_letter(letter: DeadLetter) -> Steps:
    """Insert a dead letter."""
    yield _insert("dead_letters", columns.DEAD_LETTER, columns.plain_row(letter))


def put_wake(wake: Wake) -> Steps:
    """Tell the parked job of `wake` what became of the thing it waits for; what was told first counts.

    It is taken in within a second by the instance that owns the run, whichever instance calls this.
    """
    yield _insert("wakes", columns.WAKE, columns.plain_row(wake))


def put_job(job: JobRecord) -> Steps:
    """Insert or replace a job record; the caller has checked the fence."""
    names = columns.JOB
    kept = ", ".join(f"{name} = excluded.{name}" for name in names[3:])
    slots = ", ".join(f":{name}" for name in names)
    text = (
        f"INSERT INTO jobs ({', '.join(names)}) VALUES ({slots}) "
        f"ON CONFLICT (tenant_id, run_id, job_id) DO UPDATE SET {kept}"
    )
    yield Sql(text, dict(zip(names, columns.job_row(job), strict=True)))


def change_run(change: RunChange) -> Steps:
    """Apply a run change; return whether its fence held."""
    kept = ("started_at", "ended_at", "output", "error", "external_id", "next_attempt_at")
    sets = ", ".join(f"{name} = COALESCE(:{name}, {name})" for name in kept)
    values = {name: getattr(change, name) for name in (*kept, "owner", "wake_at")}
    rows = yield Sql(
        f"UPDATE runs SET status = :status, {sets}, owner = COALESCE(:owner, owner), "
        "wake_at = CASE WHEN :owner IS NULL THEN wake_at WHEN cancel_requested = 1 THEN 0 ELSE :wake_at END "
        "WHERE tenant_id = :tenant AND id = :id AND fence = :fence "
        "AND status IN ('QUEUED', 'RUNNING', 'PAUSED') RETURNING id",
        {**values, "status": change.status, "tenant": change.tenant_id, "id": change.run_id, "fence": change.fence},
    )
    return bool(rows)

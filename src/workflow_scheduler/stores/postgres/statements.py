"""The SQL of the batch path: one statement per table and group, its rows sent as one array per column."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_scheduler.stores.portable import columns

_NUMBERS = frozenset({
    "time", "received_at", "depth", "decided_at", "version", "fence", "deliveries", "scheduled_for", "created_at",
    "started_at", "ended_at", "next_attempt_at", "attempt", "wake_at", "seq", "at", "nominal", "fold", "recorded_at",
    "attempts", "priority", "revision", "was_fire_at", "next_fire_at", "next_nominal", "last_nominal", "last_fired_at",
    "started", "event_at",
})  # fmt: skip
_SWITCHES = frozenset({"cancel_requested", "completed"})
_BYTES = frozenset({"data", "attributes", "predicates", "input", "output", "error", "bearer", "payload", "cursor"})
# Written so that it does not look like the predicate of the partial index runs_open: the way to a run is its key.
_OPEN = "NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED')"


def _type(name: str) -> str:
    if name in _NUMBERS:
        return "bigint"
    if name in _SWITCHES:
        return "boolean"
    return "bytea" if name in _BYTES else "text"


def _arrays(names: Sequence[str]) -> str:
    return "unnest(" + ",".join(f"${place}::{_type(name)}[]" for place, name in enumerate(names, 1)) + ")"


def _named(names: Sequence[str]) -> str:
    return f"{_arrays(names)} AS v({','.join(names)})"


def _insert(table: str, names: Sequence[str], tail: str = " ON CONFLICT DO NOTHING") -> str:
    chosen = ",".join(f"v.{name}::int::smallint" if name in _SWITCHES else f"v.{name}" for name in names)
    return f"INSERT INTO {table} ({','.join(names)}) SELECT {chosen} FROM {_named(names)}{tail}"


def _pairs(table: str) -> str:
    return (
        f"SELECT r.id FROM {table} r JOIN unnest($1::text[], $2::text[]) AS v(t, i) ON r.tenant_id = v.t AND r.id = v.i"
    )


INSERT_EVENTS = _insert("events", columns.EVENT)
INSERT_RUNS = _insert("runs", columns.RUN)
INSERT_DECISIONS = _insert("decisions", columns.DECISION)
INSERT_OCCURRENCES = _insert("occurrences", columns.OCCURRENCE, columns.OCCURRENCE_KEPT)
INSERT_LOGS = _insert("job_logs", columns.LOG)
INSERT_DEAD_LETTERS = _insert("dead_letters", columns.DEAD_LETTER)
INSERT_WAKES = _insert("wakes", columns.WAKE)
PRESENT_EVENTS = _pairs("events")
PRESENT_RUNS = _pairs("runs")

_JOB_NAMES = ",".join(columns.JOB)
# The run's row is locked, so that no other instance takes the run over between this look at its fence and the commit.
UPSERT_JOBS = f"""
INSERT INTO jobs ({_JOB_NAMES})
SELECT {",".join("v." + name for name in columns.JOB)} FROM {_named((*columns.JOB, "fence"))} CROSS JOIN LATERAL (
  SELECT 1 FROM runs r WHERE r.tenant_id = v.tenant_id AND r.id = v.run_id AND r.fence = v.fence AND r.status {_OPEN}
  FOR NO KEY UPDATE
) held
ON CONFLICT (tenant_id, run_id, job_id) DO UPDATE SET
  {",".join(f"{name} = excluded.{name}" for name in columns.JOB[3:])}
RETURNING run_id"""

UPDATE_RUNS = f"""
UPDATE runs SET status = v.status, started_at = coalesce(v.started_at, runs.started_at),
  ended_at = coalesce(v.ended_at, runs.ended_at), output = coalesce(v.output, runs.output),
  error = coalesce(v.error, runs.error), external_id = coalesce(v.external_id, runs.external_id),
  next_attempt_at = coalesce(v.next_attempt_at, runs.next_attempt_at), owner = coalesce(v.owner, runs.owner),
  wake_at = {columns.WAKE_AT}
FROM {_named(columns.RUN_CHANGE)}
WHERE runs.tenant_id = v.tenant_id AND runs.id = v.run_id AND runs.fence = v.fence AND runs.status {_OPEN}
RETURNING runs.id"""

ADVANCE = f"""
UPDATE schedules SET next_fire_at = v.next_fire_at, next_nominal = v.next_nominal,
  last_nominal = coalesce(v.last_nominal, schedules.last_nominal),
  last_fired_at = coalesce(v.last_fired_at, schedules.last_fired_at), completed = v.completed::int::smallint,
  fires = schedules.fires + v.started, tzdata = coalesce(v.tzdata, schedules.tzdata)
FROM {_named(columns.ADVANCE)}
WHERE schedules.tenant_id = v.tenant_id AND schedules.trigger_id = v.trigger_id
  AND schedules.revision = v.revision AND schedules.next_fire_at = v.was_fire_at
RETURNING schedules.trigger_id"""

MOVE = f"""
UPDATE sources SET cursor = coalesce(v.cursor, sources.cursor), event_at = coalesce(v.event_at, sources.event_at),
  updated_at = v.at
FROM {_named(columns.MOVE)}
WHERE sources.tenant_id = v.tenant_id AND sources.type = v.type AND sources.key = v.key AND sources.fence = v.fence
  AND sources.owner IS NOT NULL
RETURNING sources.tenant_id, sources.type, sources.key"""

COUNT_DUPLICATE = (
    "UPDATE events SET duplicates = duplicates + 1 WHERE tenant_id = $1 AND source = $2 AND event_key = $3 RETURNING id"
)
EARLIER_RUN = "SELECT id FROM runs WHERE tenant_id = $1 AND trigger_id = $2 AND event_key = $3"
EPOCH_HELD = "SELECT wfs_epoch()"
EPOCH = "SELECT epoch FROM index_epoch WHERE id = 1"

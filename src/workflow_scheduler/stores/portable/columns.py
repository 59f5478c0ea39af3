"""How the model's structs become rows: column lists in the order of the values, shared by both stores."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import astuple

from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import JobRecord, LogLine, Run, RunChange, Wake
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import CursorMove, DeadLetter, ScheduleAdvance
from workflow_scheduler.core.time.records import STRETCH_NOTE

Row = tuple[Any, ...]

EVENT = (
    "id", "tenant_id", "provider", "source", "type", "event_key", "time", "received_at", "data", "attributes",
    "subject", "index_keys", "sub_keys", "target_trigger_id", "depth", "cause_run_id", "traceparent", "user_id",
    "replay_of",
)  # fmt: skip
DECISION = Decision.__struct_fields__
RUN = Run.__struct_fields__
JOB = tuple(name for name in JobRecord.__struct_fields__ if name != "fence")
LOG = LogLine.__struct_fields__
OCCURRENCE = Occurrence.__struct_fields__
# A time that starts something after all, because the clock was set back, is recorded as that.
OCCURRENCE_KEPT = (
    " ON CONFLICT (tenant_id, trigger_id, nominal) DO UPDATE SET "
    + ", ".join(
        f"{name} = excluded.{name}" for name in ("outcome", "reason", "note", "run_id", "event_id", "recorded_at")
    )
    + " WHERE excluded.event_id IS NOT NULL AND occurrences.event_id IS NULL"
    f" AND (occurrences.note IS NULL OR occurrences.note NOT LIKE '%{STRETCH_NOTE}%')"
)
DEAD_LETTER = DeadLetter.__struct_fields__
RUN_CHANGE = RunChange.__struct_fields__
WAKE = Wake.__struct_fields__
ADVANCE = ScheduleAdvance.__struct_fields__
MOVE = tuple(name for name in CursorMove.__struct_fields__ if name != "items")

WAKE_AT = "CASE WHEN v.owner IS NULL THEN runs.wake_at WHEN runs.cancel_requested = 1 THEN 0 ELSE v.wake_at END"
"""When a run that is let go is taken up again; at once where somebody wants it cancelled."""

_encode = msgspec.json.encode
_NO_KEYS = "[]"
_PLAIN_KEY = '[""]'


def _keys(keys: tuple[str, ...]) -> str:
    if not keys:
        return _NO_KEYS
    return _PLAIN_KEY if keys == ("",) else _encode(keys).decode()


def event_row(event: Event) -> Row:
    """Return the values of `EVENT`. The sealed bearer and the manual input stay with the run, not with the event."""
    return (
        event.id, event.tenant_id, event.provider, event.source, event.type, event.event_key, event.time,
        event.received_at, event.data, event.attributes, event.subject, _keys(event.index_keys),
        _keys(event.sub_keys), event.target_trigger_id, event.depth, event.cause_run_id, event.traceparent,
        event.user_id, event.replay_of,
    )  # fmt: skip


def job_row(job: JobRecord) -> Row:
    """Return the values of `JOB`."""
    return (
        job.tenant_id, job.run_id, job.job_id, job.status, job.attempt, job.started_at, job.ended_at, job.output,
        job.error, job.wake_at,
    )  # fmt: skip


def move_row(move: CursorMove) -> Row:
    """Return the values of `MOVE`."""
    return (move.tenant_id, move.type, move.key, move.fence, move.cursor, move.event_at, move.at)


plain_row = astuple
"""The values of all the others: the struct's fields in order."""

"""The JSON shapes of events, decisions, runs and jobs, with secrets masked. Times become ISO 8601 UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

import msgspec

from workflow_scheduler.core.dag.parallel import parallelism
from workflow_scheduler.core.dag.repeat import split_instance
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import LogLine, Run
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.stores.portable.decisions import DecisionRow
from workflow_scheduler.stores.portable.events import StoredEvent
from workflow_scheduler.stores.portable.rows import Malformed, decode_json
from workflow_scheduler.stores.portable.runs import JobRow

T = TypeVar("T")
MASK = "***"
_SENSITIVE = (
    "authorization", "cookie", "token", "secret", "signature", "password", "passwd", "api-key", "api_key", "apikey",
    "credential", "private-key", "access-key", "x-amz-security", "session",
)  # fmt: skip
_SENSITIVE_EXACT = frozenset({"sig", "key", "auth", "code"})


def instant(at: int | None) -> str | None:
    """Return a time in microseconds as ISO 8601 UTC; None stays None."""
    return None if at is None else to_iso(at)


def sensitive(name: str) -> bool:
    """Return whether a header, query or attribute of this name may hold a secret."""
    low = name.lower()
    return low in _SENSITIVE_EXACT or any(part in low for part in _SENSITIVE)


def masked_query(query: str) -> str:
    """Return a query string with the values of sensitive names masked."""
    pairs = parse_qsl(query, keep_blank_values=True, encoding="utf-8", errors="replace")
    return urlencode([(name, MASK if sensitive(name) else value) for name, value in pairs], safe="*")


def masked(attributes: Any) -> Any:
    """Return the transport facts of an event with everything masked that may be a secret."""
    if not isinstance(attributes, dict):
        return attributes
    shown = {}
    for name, value in attributes.items():
        if name == "query" and isinstance(value, str):
            shown[name] = masked_query(value)
        elif isinstance(value, dict):
            shown[name] = masked(value)
        else:
            shown[name] = MASK if sensitive(name) else value
    return shown


def malformed_shape(row: Malformed) -> dict[str, Any]:
    """Return what is shown of a row that cannot be read."""
    return {"id": row.id, "error": {"code": "malformed", "message": f"This row cannot be read: {row.detail}"}}


def shaped(
    rows: Iterable[T | Malformed], kind: str, name: Callable[[T], str], shape: Callable[[T], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[Malformed]]:
    """Return each row in its shape, and the rows whose JSON or times turned out to be unreadable."""
    items, broken = [], []
    for row in rows:
        if isinstance(row, Malformed):
            items.append(malformed_shape(row))
            continue
        try:
            items.append(shape(row))
        except (msgspec.MsgspecError, ValueError, OverflowError, TypeError) as error:
            bad = Malformed(kind, name(row), str(error))
            broken.append(bad)
            items.append(malformed_shape(bad))
    return items, broken


def event_shape(event: Event) -> dict[str, Any]:
    """Return an event as the API shows it."""
    return {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "provider": event.provider,
        "time": instant(event.time),
        "received_at": instant(event.received_at),
        "data": decode_json(event.data),
        "event_key": event.event_key,
        "attributes": masked(decode_json(event.attributes)),
        "index_keys": list(event.index_keys),
        "sub_keys": list(event.sub_keys),
        "target_trigger_id": event.target_trigger_id,
        "depth": event.depth,
        "cause_run_id": event.cause_run_id,
        "replay_of": event.replay_of,
        "traceparent": event.traceparent,
        "user_id": event.user_id,
        "duplicates": event.duplicates if isinstance(event, StoredEvent) else 0,
    }


def event_brief(event: Event) -> dict[str, Any]:
    """Return an event without its payload and transport facts, for use inside other objects."""
    names = ("id", "source", "type", "subject", "provider", "time", "received_at", "event_key", "replay_of")
    whole = event_shape(event)
    return {name: whole[name] for name in names}


def decision_shape(row: DecisionRow) -> dict[str, Any]:
    """Return a recorded decision as the API shows it."""
    return {
        "event_id": row.event_id,
        "trigger_id": row.trigger_id,
        "trigger": row.trigger,
        "trigger_type": row.trigger_type,
        "workflow_id": row.workflow_id,
        "workflow": row.workflow,
        "outcome": row.outcome.value,
        "reason": row.reason.value,
        "predicates": decode_json(row.predicates),
        "run_id": row.run_id,
        "run_status": row.run_status,
        "decided_at": instant(row.decided_at),
        "recorded": True,
    }


def job_shape(job: JobRow) -> dict[str, Any]:
    """Return a job of a run as the API shows it."""
    return {
        "id": job.job_id,
        "status": job.status.value,
        "attempt": job.attempt,
        "started_at": instant(job.started_at),
        "ended_at": instant(job.ended_at),
        "wake_at": instant(job.wake_at),
        "output": decode_json(job.output),
        "error": decode_json(job.error),
        "reused_from": job.reused_from,
    }


def run_shape(run: Run) -> dict[str, Any]:
    """Return a run as the API shows it, without its jobs."""
    elapsed = None if run.started_at is None or run.ended_at is None else (run.ended_at - run.started_at) / 1000
    return {
        "id": run.id,
        "workflow_id": run.workflow_id,
        "workflow": run.workflow,
        "version": run.version,
        "status": run.status.value,
        "trigger_id": run.trigger_id,
        "trigger_type": run.trigger_type,
        "event_id": run.event_id,
        "event_key": run.event_key,
        "scheduled_for": instant(run.scheduled_for),
        "input": decode_json(run.input),
        "output": decode_json(run.output),
        "error": decode_json(run.error),
        "created_at": instant(run.created_at),
        "started_at": instant(run.started_at),
        "ended_at": instant(run.ended_at),
        "duration_ms": elapsed,
        "engine": run.engine,
        "external_id": run.external_id,
        "deliveries": run.deliveries,
        "next_attempt_at": instant(run.next_attempt_at),
        "cancel_requested": run.cancel_requested,
        "depth": run.depth,
        "cause_run_id": run.cause_run_id,
        "replay_of": run.replay_of,
        "backfill_id": run.backfill_id,
        "rerun_of": run.rerun_of,
        "traceparent": run.traceparent,
        "user_id": run.user_id,
        "overlap_key": run.overlap_key,
        "priority": run.priority,
        "waiting": run.waits,
    }


def parallelism_shape(jobs: Sequence[JobRow | Malformed]) -> dict[str, Any] | None:
    """Return how parallel an ended run was, None where no job ran; of a repeated job its instances count.

    Results that a rerun kept were made by another run.
    """
    known = [job for job in jobs if isinstance(job, JobRow) and job.started_at is not None and job.reused_from is None]
    repeated = {parts[0] for job in known if (parts := split_instance(job.job_id)) is not None}
    found = parallelism(
        (job.started_at, job.ended_at)
        for job in known
        if job.started_at is not None and job.ended_at is not None and job.job_id not in repeated
    )
    if found is None:
        return None
    return {
        "max": found.most,
        "mean": round(found.mean, 3),
        "elapsed_ms": found.elapsed / 1000,
        "sequential_ms": found.sequential / 1000,
        "saved_ms": found.saved / 1000,
    }


def log_shape(line: LogLine) -> dict[str, Any]:
    """Return one log line as the API shows it."""
    return {
        "seq": line.seq,
        "job": line.job_id,
        "attempt": line.attempt,
        "at": instant(line.at),
        "stream": line.stream,
        "line": line.line,
    }

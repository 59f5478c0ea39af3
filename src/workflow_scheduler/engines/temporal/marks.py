"""From the states that a workflow keeps to records, and back."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.dag.park import waiting_for
from workflow_scheduler.core.model.run import JobRecord, JobStatus
from workflow_scheduler.engines.temporal.orders import Mark, Reply


class _Known(msgspec.Struct):
    """The part of a stored error that matters here."""

    code: str = "failed"
    retryable: bool = False


def record_of(mark: Mark) -> JobRecord:
    """Return the record that the planner reads a state from; it is never stored."""
    return JobRecord(
        tenant_id="",
        run_id="",
        job_id=mark.job_id,
        fence=0,
        status=JobStatus(mark.status),
        attempt=mark.attempt,
        started_at=mark.started_at,
        wake_at=mark.wake_at,
        error=None if mark.code is None else msgspec.json.encode({"code": mark.code}),
    )


def reply_of(record: JobRecord) -> Reply:
    """Return what became of an attempt whose end was written down before its worker could tell."""
    known = _known(record)
    is_skipped = record.status is JobStatus.SKIPPED
    return Reply(
        str(record.status),
        code=known.code if record.status is JobStatus.FAILED else None,
        retryable=known.retryable,
        reason=known.code if is_skipped else None,
        wake_at=record.wake_at,
        name=waiting_for(record.output) if record.status is JobStatus.PAUSED and record.wake_at is None else None,
        started_at=record.started_at,
    )


def mark_of(record: JobRecord) -> Mark:
    """Return the state that a stored record stands for."""
    reply = reply_of(record)
    return Mark(
        record.job_id, reply.status, record.attempt, reply.wake_at, reply.reason or reply.code, reply.name,
        reply.started_at,
    )  # fmt: skip


def _known(record: JobRecord) -> _Known:
    try:
        return msgspec.json.decode(record.error or b"{}", type=_Known)
    except msgspec.MsgspecError:
        return _Known()

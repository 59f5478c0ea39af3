"""Runs that a job of another run started: how they are keyed, and what their end tells that job."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from workflow_scheduler.core.model.run import JobStatus, Run, RunChange, RunStatus, Wake
from workflow_scheduler.core.model.workflow import Definition

JOB_TYPE: Final = "workflow"
_WAITED = "call:"
_DETACHED = "start:"


def called_workflows(definition: Definition) -> tuple[str, ...]:
    """Return the names of the workflows that the jobs of a definition run, as far as the file says."""
    named = (job.with_.get("workflow") for job in definition.jobs.values() if job.uses == JOB_TYPE)
    return tuple(dict.fromkeys(name for name in named if isinstance(name, str) and "${" not in name))


def call_key(run_id: str, job_id: str, *, wait: bool) -> str:
    """Return the event key of the run that a job starts: the same for every attempt of the job."""
    return f"{_WAITED if wait else _DETACHED}{run_id}:{job_id}"


def wake_name(run_id: str) -> str:
    """Return the name under which a job waits for the end of a run."""
    return f"run:{run_id}"


def wake_of(run: Run, change: RunChange) -> Wake | None:
    """Return what the end of `run` tells the job that waits for it; None when nobody waits.

    A key that a caller made up names no cause, and tells nobody anything.
    """
    if run.cause_run_id is None or not run.event_key.startswith(f"{_WAITED}{run.cause_run_id}:"):
        return None
    succeeded = change.status is RunStatus.SUCCEEDED
    return Wake(
        tenant_id=run.tenant_id,
        run_id=run.cause_run_id,
        job_id=run.event_key[len(_WAITED) + len(run.cause_run_id) + 1 :],
        name=wake_name(run.id),
        status=JobStatus(change.status.value),
        at=change.ended_at or 0,
        output=change.output if succeeded else None,
        error=None if succeeded else failure_body(run.id, run.workflow, change.status, change.error),
    )


def failure_body(run_id: str, workflow: str, status: RunStatus, error: bytes | None) -> bytes:
    """Return the JSON of the error of a job whose run did not succeed."""
    text = failure_text(run_id, workflow, status, error)
    return msgspec.json.encode({"code": "child_failed", "message": text, "retryable": False, "run_id": run_id})


def failure_text(run_id: str, workflow: str, status: RunStatus, error: bytes | None) -> str:
    """Return the sentence about a run that did not succeed."""
    if status is RunStatus.CANCELLED:
        return f"run {run_id} of workflow `{workflow}` was cancelled"
    known: Any = msgspec.json.decode(error or b"null")
    reason = known.get("message") if isinstance(known, dict) else None
    return f"run {run_id} of workflow `{workflow}` failed: {reason or 'no reason is recorded'}"

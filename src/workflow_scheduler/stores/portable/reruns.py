"""Copying the good results of an ended run into its rerun, as steps of the transaction that stores the rerun."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_scheduler.core.ports.store import Sql, Work
from workflow_scheduler.stores.portable.rows import numbered

_PORTION = 500
_COPIED = "status, attempt, started_at, ended_at, output, error"


def copy_results(tenant_id: str, from_run: str, to_run: str, job_ids: Sequence[str]) -> Work[int]:
    """Copy what succeeded of these jobs; return how many records were there.

    Each copy names the run in which the job was executed, through any number of reruns.
    """
    count = 0
    for start in range(0, len(job_ids), _PORTION):
        names, params = numbered("job", job_ids[start : start + _PORTION])
        rows = yield Sql(
            f"INSERT INTO jobs (tenant_id, run_id, job_id, {_COPIED}, reused_from) "
            f"SELECT tenant_id, :new, job_id, {_COPIED}, COALESCE(reused_from, run_id) FROM jobs "
            f"WHERE tenant_id = :tenant AND run_id = :old AND status = 'SUCCEEDED' AND job_id IN ({names}) "
            "RETURNING 1",
            {"tenant": tenant_id, "old": from_run, "new": to_run, **params},
        )
        count += len(rows)
    return count


def is_over(tenant_id: str, run_id: str) -> Work[bool]:
    """Return whether a run has ended, and hold its row: nobody revives it before the commit."""
    rows = yield Sql(
        "UPDATE runs SET status = status WHERE tenant_id = :tenant AND id = :id "
        "AND status IN ('SUCCEEDED', 'FAILED', 'CANCELLED') RETURNING 1",
        {"tenant": tenant_id, "id": run_id},
    )
    return bool(rows)


def run_of_event(tenant_id: str, event_id: str) -> Work[str | None]:
    """Return the run that was started for an event."""
    rows = yield Sql(
        "SELECT run_id FROM decisions WHERE tenant_id = :tenant AND event_id = :id",
        {"tenant": tenant_id, "id": event_id},
    )
    return None if not rows or rows[0][0] is None else str(rows[0][0])

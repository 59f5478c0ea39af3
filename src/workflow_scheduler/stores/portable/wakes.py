"""What parked jobs were told, as it is found by the instance that owns their runs, and removed once it is taken in."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.model.run import JobStatus, Wake
from workflow_scheduler.core.ports.store import Sql, Store, Work

_OPEN = "('QUEUED', 'RUNNING', 'PAUSED')"
_FOLLOWS = """(w.tenant_id > :t OR (w.tenant_id = :t AND (w.run_id > :r OR (w.run_id = :r AND
  (w.job_id > :j OR (w.job_id = :j AND w.name > :n))))))"""
Place = tuple[str, str, str, str]
FIRST: Place = ("", "", "", "")
_BROKEN = msgspec.json.encode(
    {"code": "malformed", "message": "what the job was told cannot be read", "retryable": False}
)


async def found(
    store: Store, me: str, after: Place, limit: int, engine: str = "embedded"
) -> tuple[list[Wake], Place | None]:
    """Return up to `limit` wakes for the open runs of `me` on an engine, and the place to go on after, None at the end.

    A row that cannot be read counts as a failure of what was waited for: a parked job must not wait for ever.
    """
    params = dict(zip("trjn", after, strict=True))
    rows = await store.read(
        f"""SELECT w.tenant_id, w.run_id, w.job_id, w.name, w.status, w.output, w.error, w.at FROM wakes w
            JOIN runs r ON r.tenant_id = w.tenant_id AND r.id = w.run_id
            WHERE r.owner = :me AND r.engine = :engine AND r.status IN {_OPEN} AND {_FOLLOWS}
            ORDER BY w.tenant_id, w.run_id, w.job_id, w.name LIMIT :limit""",
        {**params, "me": me, "limit": limit, "engine": engine},
    )
    return [_wake(row) for row in rows], (rows[-1][0], rows[-1][1], rows[-1][2], rows[-1][3]) if len(
        rows
    ) == limit else None


def _wake(row: tuple[Any, ...]) -> Wake:
    tenant, run, job, name, status, output, error, at = row
    try:
        for text in (output, error):
            if text is not None:
                msgspec.json.decode(text, type=msgspec.Raw)
        known = JobStatus(status)
    except (ValueError, TypeError):
        known, output, error = JobStatus.FAILED, None, _BROKEN
    return Wake(
        tenant_id=tenant, run_id=run, job_id=job, name=name, status=known, at=at, output=output, error=error
    )  # fmt: skip


async def told(store: Store, tenant_id: str, run_id: str, job_id: str, name: str) -> Wake | None:
    """Return what was stored for a job under a name; None when nothing is."""
    rows = await store.read(
        """SELECT tenant_id, run_id, job_id, name, status, output, error, at FROM wakes
           WHERE tenant_id = :tenant AND run_id = :run AND job_id = :job AND name = :name""",
        {"tenant": tenant_id, "run": run_id, "job": job_id, "name": name},
    )
    return _wake(rows[0]) if rows else None


def remove(wake: Wake) -> Work[None]:
    """Remove a wake that an engine elsewhere has taken."""
    yield Sql(
        "DELETE FROM wakes WHERE tenant_id = :tenant AND run_id = :run AND job_id = :job AND name = :name",
        {"tenant": wake.tenant_id, "run": wake.run_id, "job": wake.job_id, "name": wake.name},
    )


def remove_taken(wake: Wake) -> Work[bool]:
    """Remove a wake if the end of its job is on disk; return whether it was."""
    rows = yield Sql(
        """DELETE FROM wakes WHERE tenant_id = :tenant AND run_id = :run AND job_id = :job AND name = :name
           AND EXISTS (SELECT 1 FROM jobs j WHERE j.tenant_id = :tenant AND j.run_id = :run AND j.job_id = :job
                       AND j.status IN ('SUCCEEDED', 'FAILED', 'CANCELLED', 'SKIPPED')) RETURNING 1""",
        {"tenant": wake.tenant_id, "run": wake.run_id, "job": wake.job_id, "name": wake.name},
    )
    return bool(rows)

"""Runs that wait in their rows because their workflow has enough running and memory holds enough waiting ones."""

from __future__ import annotations

from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.stores.portable.claims import RUN_COLUMNS, run_from_row

_WAITING = (
    f"SELECT {RUN_COLUMNS} FROM runs WHERE tenant_id = :tenant AND workflow_id = :workflow AND id >= :first "
    "AND owner = :me AND status IN ('QUEUED', 'RUNNING', 'PAUSED') AND backfill_id IS NULL ORDER BY id LIMIT :limit"
)


async def waiting_runs(
    store: Store, owner: str, workflow: tuple[str, str], first: str, limit: int
) -> tuple[list[Run], str | None]:
    """Return the owner's open runs of a workflow (tenant, id) from the id `first` on, and where to read on.

    The place is None when these were the last ones. Rows that cannot be read are left out; the inspection lists them.
    """
    tenant_id, workflow_id = workflow
    params = {"tenant": tenant_id, "workflow": workflow_id, "first": first, "me": owner, "limit": limit}
    rows = await store.read(_WAITING, params)
    runs = []
    for row in rows:
        try:
            runs.append(run_from_row(row))
        except (ValueError, TypeError):
            continue
    return runs, str(rows[-1][0]) if len(rows) == limit else None

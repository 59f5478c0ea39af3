"""Which open runs an instance owns, asked when its lease was in doubt."""

from __future__ import annotations

from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Store

_OPEN = "status IN ('QUEUED', 'RUNNING', 'PAUSED')"


async def owned_fences(store: Store, me: str) -> dict[str, int]:
    """Return the fence of every open run of this instance, by the run's id."""
    rows = await store.read(f"SELECT id, fence FROM runs WHERE owner = :me AND {_OPEN}", {"me": me})
    return {str(row[0]): int(row[1]) for row in rows}


async def owns(store: Store, me: str, run: Run) -> bool:
    """Return whether the run is open and this instance's, under the fence that it has in memory."""
    rows = await store.read(
        f"SELECT 1 FROM runs WHERE tenant_id = :tenant AND id = :id AND owner = :me AND fence = :fence AND {_OPEN}",
        {"tenant": run.tenant_id, "id": run.id, "me": me, "fence": run.fence},
    )
    return bool(rows)

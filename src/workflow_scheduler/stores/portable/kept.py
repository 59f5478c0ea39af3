"""The decisions about events that triggers keep."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.stores.portable.rows import numbered

_KEPT = "outcome IN ('suspended', 'held') AND reason NOT IN ('released', 'discarded')"


async def of_trigger(store: Store, tenant_id: str, trigger_id: str, limit: int) -> list[str]:
    """Return the ids of up to `limit` events that a trigger keeps, the oldest first."""
    rows = await store.read(
        f"SELECT event_id FROM decisions WHERE tenant_id = :tenant AND trigger_id = :trigger AND {_KEPT} "
        "ORDER BY event_id LIMIT :limit",
        {"tenant": tenant_id, "trigger": trigger_id, "limit": limit},
    )
    return [str(row[0]) for row in rows]


def mark(tenant_id: str, trigger_id: str, event_ids: Sequence[str], reason: Reason) -> Work[None]:
    """Note what became of kept events."""
    if event_ids:
        places, params = numbered("event", event_ids)
        yield Sql(
            f"UPDATE decisions SET reason = :reason WHERE tenant_id = :tenant AND trigger_id = :trigger "
            f"AND event_id IN ({places}) AND {_KEPT}",
            {**params, "tenant": tenant_id, "trigger": trigger_id, "reason": reason.value},
        )

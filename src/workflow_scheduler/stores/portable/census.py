"""Counts over everything that is stored, and the instances that are alive; for health and metrics."""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import to_iso


class Census:
    """Counts workflows and triggers, and lists instances."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store

    async def totals(self) -> dict[str, Any]:
        """Return how many workflows and live triggers there are over all tenants, and triggers by type."""
        workflows = await self._store.read("SELECT COUNT(*) FROM workflows")
        rows = await self._store.read(
            "SELECT trigger_subtype, COUNT(*) FROM trigger_index WHERE deployment_status = 'active'"
            " GROUP BY trigger_subtype ORDER BY trigger_subtype"
        )
        by_type = {str(name).upper(): count for name, count in rows}
        return {
            "total_workflows": workflows[0][0],
            "total_triggers": sum(by_type.values()),
            "trigger_types": by_type,
        }

    async def instances(self, now: int) -> list[dict[str, Any]]:
        """Return the instances whose lease has not run out."""
        rows = await self._store.read(
            "SELECT id, started_at, roles, tzdata, version FROM instances WHERE lease_until > :now ORDER BY started_at",
            {"now": now},
        )
        return [
            {"id": row[0], "started_at": to_iso(row[1]), "roles": row[2], "tzdata": row[3], "version": row[4]}
            for row in rows
        ]

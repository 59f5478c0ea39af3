"""The audit log: who asked for which change of the tenant, and how it was answered.

A row is durable before the work begins, so that no change is without one; its status is added with the answer. A row
without a status means that the process ended in between.
"""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.stores.portable.audit import AuditRepository, AuditRow

PATH_CHARACTERS_MAX = 500


class Audit:
    """Keeps the audit log."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Write to `store`."""
        self._rows = AuditRepository(store)
        self._clock = clock

    async def begin(self, principal: Principal, method: str, path: str) -> str:
        """Store that the caller asks for a change, and return the id of the row.

        Raises:
            StoreUnavailable: it cannot be stored; the change must not be made.

        """
        now = self._clock.now()
        row = AuditRow(
            tenant_id=principal.tenant_id, id=mint(now), at=now, user_id=principal.user_id, role=principal.role,
            authentication=principal.method, method=method, path=path[:PATH_CHARACTERS_MAX],
        )  # fmt: skip
        await self._rows.begin(row)
        return row.id

    async def end(self, principal: Principal, audit_id: str, status: int) -> None:
        """Store the HTTP status of the answer."""
        await self._rows.end(principal.tenant_id, audit_id, status)

    async def page(
        self, principal: Principal, *, user_id: str | None = None, limit: int = 50, before: str | None = None
    ) -> Page:
        """Return entries, the newest first; `next` is the id to go on before."""
        rows = await self._rows.page(principal.tenant_id, before, limit + 1, user_id)
        following = rows[limit - 1].id if len(rows) > limit else None
        return Page([_shape(row) for row in rows[:limit]], following)


def _shape(row: AuditRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "at": to_iso(row.at),
        "user_id": row.user_id,
        "role": row.role,
        "authentication": row.authentication,
        "method": row.method,
        "path": row.path,
        "status": row.status,
    }

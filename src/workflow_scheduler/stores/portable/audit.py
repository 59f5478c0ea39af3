"""The audit log in the database: one row for each change that somebody asked for."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.ports.store import Sql, Store, Work

_COLUMNS = "tenant_id, id, at, user_id, role, authentication, method, path, status"
_AFTER_ALL = "\x7f"  # greater than every id


class AuditRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Who asked for what, when (microseconds UTC), and the HTTP status of the answer; None where it is not known."""

    tenant_id: str
    id: str
    at: int
    user_id: str
    role: str
    authentication: str
    method: str
    path: str
    status: int | None = None


class AuditRepository:
    """Writes and reads the audit log."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def begin(self, row: AuditRow) -> None:
        """Store that something was asked for."""
        await self._store.transact(_begin(row))

    async def end(self, tenant_id: str, audit_id: str, status: int) -> None:
        """Store how it was answered."""
        await self._store.transact(_end(tenant_id, audit_id, status))

    async def page(self, tenant_id: str, before: str | None, limit: int, user_id: str | None = None) -> list[AuditRow]:
        """Return up to `limit` rows, the newest first, older than the id `before`."""
        of_user = "" if user_id is None else " AND user_id = :user"
        params = {"tenant": tenant_id, "before": before or _AFTER_ALL, "limit": limit}
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM audit WHERE tenant_id = :tenant AND id < :before{of_user} "
            "ORDER BY id DESC LIMIT :limit",
            params if user_id is None else {**params, "user": user_id},
        )
        return [AuditRow(**dict(zip(AuditRow.__struct_fields__, row, strict=True))) for row in rows]


def _begin(row: AuditRow) -> Work[None]:
    yield Sql(
        f"""INSERT INTO audit ({_COLUMNS}) VALUES (:tenant_id, :id, :at, :user_id, :role, :authentication, :method,
              :path, :status)""",
        msgspec.structs.asdict(row),
    )


def _end(tenant_id: str, audit_id: str, status: int) -> Work[None]:
    yield Sql(
        "UPDATE audit SET status = :status WHERE tenant_id = :tenant AND id = :id",
        {"tenant": tenant_id, "id": audit_id, "status": status},
    )

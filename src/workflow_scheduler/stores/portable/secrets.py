"""Named secrets in the database, sealed: nothing here can read them."""

from __future__ import annotations

from workflow_scheduler.core.ports.secrets import SecretRow
from workflow_scheduler.core.ports.store import Sql, Store, Work


class SecretRepository:
    """Implements core.ports.secrets.SecretRows over any Store."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def put(self, tenant_id: str, name: str, sealed: bytes, *, now: int, actor: str) -> SecretRow:
        """Store a secret, or replace its value."""
        return await self._store.transact(_put(tenant_id, name, sealed, now, actor))

    async def sealed(self, tenant_id: str, name: str) -> bytes | None:
        """Return the sealed value."""
        rows = await self._store.read(
            "SELECT sealed FROM secrets WHERE tenant_id = :tenant AND name = :name",
            {"tenant": tenant_id, "name": name},
        )
        return bytes(rows[0][0]) if rows else None

    async def list(self, tenant_id: str, after: str | None, limit: int) -> list[SecretRow]:
        """Return up to `limit` secrets of a tenant by name, later than the name `after`."""
        rows = await self._store.read(
            "SELECT name, created_at, updated_at, updated_by FROM secrets"
            " WHERE tenant_id = :tenant AND name > :after ORDER BY name LIMIT :limit",
            {"tenant": tenant_id, "after": after or "", "limit": limit},
        )
        return [SecretRow(name=row[0], created_at=row[1], updated_at=row[2], updated_by=row[3]) for row in rows]

    async def delete(self, tenant_id: str, name: str) -> bool:
        """Remove a secret; False when the tenant has none of that name."""
        return await self._store.transact(_delete(tenant_id, name))


def _put(tenant_id: str, name: str, sealed: bytes, now: int, actor: str) -> Work[SecretRow]:
    rows = yield Sql(
        "INSERT INTO secrets (tenant_id, name, sealed, created_at, updated_at, updated_by)"
        " VALUES (:tenant, :name, :sealed, :now, :now, :actor)"
        " ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at,"
        " updated_by = excluded.updated_by RETURNING name, created_at, updated_at, updated_by",
        {"tenant": tenant_id, "name": name, "sealed": sealed, "now": now, "actor": actor},
    )
    name, created_at, updated_at, updated_by = rows[0]
    return SecretRow(name=name, created_at=created_at, updated_at=updated_at, updated_by=updated_by)


def _delete(tenant_id: str, name: str) -> Work[bool]:
    rows = yield Sql(
        "DELETE FROM secrets WHERE tenant_id = :tenant AND name = :name RETURNING name",
        {"tenant": tenant_id, "name": name},
    )
    return bool(rows)

"""Named secrets in the database, sealed: nothing here can read them."""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.ports.secrets import Sealed, SecretRow
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work

_SHOWN = "name, created_at, updated_at, updated_by, previous_until"


class SecretRepository:
    """Implements core.ports.secrets.SecretRows over any Store."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def put(
        self, tenant_id: str, name: str, sealed: bytes, *, now: int, actor: str, previous_until: int | None = None
    ) -> SecretRow:
        """Store a secret, or replace its value; with `previous_until` the value before is kept until then."""
        row = {"tenant": tenant_id, "name": name, "sealed": sealed, "now": now, "actor": actor}
        return await self._store.transact(_put({**row, "until": previous_until}))

    async def sealed(self, tenant_id: str, name: str) -> Sealed | None:
        """Return the sealed values."""
        rows = await self._store.read(
            "SELECT sealed, previous, previous_until FROM secrets WHERE tenant_id = :tenant AND name = :name",
            {"tenant": tenant_id, "name": name},
        )
        if not rows:
            return None
        value, previous, until = rows[0]
        return Sealed(bytes(value), bytes(previous) if previous is not None else None, until or 0)

    async def list(self, tenant_id: str, after: str | None, limit: int) -> list[SecretRow]:
        """Return up to `limit` secrets of a tenant by name, later than the name `after`."""
        rows = await self._store.read(
            f"SELECT {_SHOWN} FROM secrets WHERE tenant_id = :tenant AND name > :after ORDER BY name LIMIT :limit",
            {"tenant": tenant_id, "after": after or "", "limit": limit},
        )
        return [_row(row) for row in rows]

    async def delete(self, tenant_id: str, name: str) -> bool:
        """Remove a secret; False when the tenant has none of that name."""
        return await self._store.transact(_delete(tenant_id, name))


def _put(row: dict[str, Any]) -> Work[SecretRow]:
    rows = yield Sql(
        f"""INSERT INTO secrets (tenant_id, name, sealed, created_at, updated_at, updated_by)
            VALUES (:tenant, :name, :sealed, :now, :now, :actor)
            ON CONFLICT (tenant_id, name) DO UPDATE SET sealed = excluded.sealed, updated_at = excluded.updated_at,
            updated_by = excluded.updated_by, previous_until = :until,
            previous = CASE WHEN :until IS NULL THEN NULL ELSE secrets.sealed END RETURNING {_SHOWN}""",
        row,
    )
    return _row(rows[0])


def _row(row: Row) -> SecretRow:
    name, created_at, updated_at, updated_by, until = row
    return SecretRow(
        name=name, created_at=created_at, updated_at=updated_at, updated_by=updated_by, previous_until=until
    )


def _delete(tenant_id: str, name: str) -> Work[bool]:
    rows = yield Sql(
        "DELETE FROM secrets WHERE tenant_id = :tenant AND name = :name RETURNING name",
        {"tenant": tenant_id, "name": name},
    )
    return bool(rows)

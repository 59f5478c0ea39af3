"""API keys in the database: digests only."""

from __future__ import annotations

from workflow_scheduler.core.model.system_event import SOURCE_ACCESS, SystemEvent
from workflow_scheduler.core.ports.keys import KeyRow
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.stores.portable import outbox

_COLUMNS = "tenant_id, id, name, digest, prefix, user_id, role, created_at, expires_at, revoked_at"


class KeyRepository:
    """Implements core.ports.keys.KeyRows over any Store."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def add(self, row: KeyRow) -> None:
        """Store a new key."""
        await self._store.transact(_add(row))

    async def list(self, tenant_id: str, after: str | None, limit: int) -> list[KeyRow]:
        """Return up to `limit` keys of a tenant, in the order they were made, later than the id `after`."""
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM api_keys WHERE tenant_id = :tenant AND id > :after ORDER BY id LIMIT :limit",
            {"tenant": tenant_id, "after": after or "", "limit": limit},
        )
        return [_row(row) for row in rows]

    async def revoke(self, tenant_id: str, key_id: str, now: int) -> bool:
        """Revoke a key; False when the tenant has no such key. A second time changes nothing."""
        return await self._store.transact(_revoke(tenant_id, key_id, now))

    async def by_digest(self, digest: str) -> KeyRow | None:
        """Return the key with that digest, over all tenants, unless it is revoked."""
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM api_keys WHERE digest = :digest AND revoked_at IS NULL",
            {"digest": digest},
        )
        return _row(rows[0]) if rows else None

    async def any_active(self) -> bool:
        """Return whether any tenant has a key that is not revoked."""
        return bool(await self._store.read("SELECT 1 FROM api_keys WHERE revoked_at IS NULL LIMIT 1"))


def _add(row: KeyRow) -> Work[None]:
    yield Sql(
        "INSERT INTO api_keys (tenant_id, id, name, digest, prefix, user_id, role, created_at, expires_at)"
        " VALUES (:tenant, :id, :name, :digest, :prefix, :user, :role, :created, :expires)",
        {
            "tenant": row.tenant_id,
            "id": row.id,
            "name": row.name,
            "digest": row.digest,
            "prefix": row.prefix,
            "user": row.user_id,
            "role": row.role,
            "created": row.created_at,
            "expires": row.expires_at,
        },
    )
    fact = SystemEvent(
        tenant_id=row.tenant_id,
        type="api_key_created",
        source=SOURCE_ACCESS,
        subject=row.id,
        data={
            "key_id": row.id,
            "name": row.name,
            "role": row.role,
            "user_id": row.user_id,
            "prefix": row.prefix,
            "expires_at": None if row.expires_at is None else to_iso(row.expires_at),
        },
    )
    yield outbox.put(fact, row.created_at)


def _revoke(tenant_id: str, key_id: str, now: int) -> Work[bool]:
    rows = yield Sql(
        "UPDATE api_keys SET revoked_at = COALESCE(revoked_at, :now)"
        " WHERE tenant_id = :tenant AND id = :id RETURNING id",
        {"tenant": tenant_id, "id": key_id, "now": now},
    )
    return bool(rows)


def _row(row: Row) -> KeyRow:
    tenant_id, key_id, name, digest, prefix, user_id, role, created_at, expires_at, revoked_at = row
    return KeyRow(
        tenant_id=tenant_id,
        id=key_id,
        name=name,
        digest=digest,
        prefix=prefix,
        user_id=user_id,
        role=role,
        created_at=created_at,
        expires_at=expires_at,
        revoked_at=revoked_at,
    )

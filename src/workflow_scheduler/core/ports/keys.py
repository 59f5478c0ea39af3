"""What the key service needs from a database."""

from __future__ import annotations

from typing import Protocol

import msgspec


class KeyRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored API key: its digest and first characters, never the key. Times are microseconds UTC."""

    tenant_id: str
    id: str
    name: str
    digest: str
    prefix: str
    user_id: str
    role: str
    created_at: int
    expires_at: int | None = None
    revoked_at: int | None = None


class KeyRows(Protocol):
    """API keys in the database."""

    async def add(self, row: KeyRow) -> None:
        """Store a new key."""
        ...

    async def list(self, tenant_id: str, after: str | None, limit: int) -> list[KeyRow]:
        """Return up to `limit` keys of a tenant, in the order they were made, later than the id `after`."""
        ...

    async def revoke(self, tenant_id: str, key_id: str, now: int) -> bool:
        """Revoke a key; False when the tenant has no such key."""
        ...

    async def by_digest(self, digest: str) -> KeyRow | None:
        """Return the key with that digest, over all tenants, unless it is revoked."""
        ...

    async def any_active(self) -> bool:
        """Return whether any tenant has a key that is not revoked."""
        ...

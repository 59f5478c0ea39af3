"""What the secret service needs from a database."""

from __future__ import annotations

from typing import Protocol

import msgspec


class SecretRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored secret without its value. Times are microseconds UTC."""

    name: str
    created_at: int
    updated_at: int
    updated_by: str | None = None


class SecretRows(Protocol):
    """Sealed secrets in the database."""

    async def put(self, tenant_id: str, name: str, sealed: bytes, *, now: int, actor: str) -> SecretRow:
        """Store a secret, or replace its value."""
        ...

    async def sealed(self, tenant_id: str, name: str) -> bytes | None:
        """Return the sealed value."""
        ...

    async def list(self, tenant_id: str, after: str | None, limit: int) -> list[SecretRow]:
        """Return up to `limit` secrets of a tenant by name, later than the name `after`."""
        ...

    async def delete(self, tenant_id: str, name: str) -> bool:
        """Remove a secret; False when the tenant has none of that name."""
        ...

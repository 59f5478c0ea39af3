"""What the secret service needs from a database."""

from __future__ import annotations

from typing import Protocol

import msgspec


class SecretRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored secret without its value. Times are microseconds UTC.

    `previous_until`: the value before is taken as well until then.
    """

    name: str
    created_at: int
    updated_at: int
    updated_by: str | None = None
    previous_until: int | None = None


class Sealed(msgspec.Struct, frozen=True, gc=False):
    """What is stored of a secret's values: the one of now, and the one before, taken until an instant."""

    value: bytes
    previous: bytes | None = None
    previous_until: int = 0


class SecretRows(Protocol):
    """Sealed secrets in the database."""

    async def put(
        self, tenant_id: str, name: str, sealed: bytes, *, now: int, actor: str, previous_until: int | None = None
    ) -> SecretRow:
        """Store a secret, or replace its value; with `previous_until` the value before is kept until then."""
        ...

    async def sealed(self, tenant_id: str, name: str) -> Sealed | None:
        """Return the sealed values."""
        ...

    async def list(self, tenant_id: str, after: str | None, limit: int) -> list[SecretRow]:
        """Return up to `limit` secrets of a tenant by name, later than the name `after`."""
        ...

    async def delete(self, tenant_id: str, name: str) -> bool:
        """Remove a secret; False when the tenant has none of that name."""
        ...

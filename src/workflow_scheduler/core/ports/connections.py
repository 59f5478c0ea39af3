"""What the connection service needs from a database, and what jobs need from the connection service."""

from __future__ import annotations

from typing import Protocol

import msgspec

from workflow_scheduler.core.model.connection import Connection
from workflow_scheduler.core.model.consent import Pending, Token


class ConnectionRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A stored connection: `fields` are the open ones as JSON, `sealed` the secret ones. Times are microseconds UTC.

    `revision` grows with every change. `tested_at`, `test_ok` and `test_detail` tell of the last test. `token` is there
    where a person consented to it at a provider: it holds secrets that `sealed` does not.
    """

    tenant_id: str
    name: str
    kind: str
    fields: str
    sealed: bytes
    revision: int
    created_at: int
    updated_at: int
    updated_by: str | None = None
    rotated_at: int | None = None
    expires_at: int | None = None
    tested_at: int | None = None
    test_ok: bool | None = None
    test_detail: str | None = None
    token: Token | None = None


class ConnectionRows(Protocol):
    """Connections in the database."""

    async def add(self, row: ConnectionRow) -> bool:
        """Store a new connection; False when the tenant has one of that name."""
        ...

    async def replace(self, row: ConnectionRow, revision: int) -> bool:
        """Replace what is stored at `revision`; False when it is at another one. Without `row.token` its token goes."""
        ...

    async def grant(self, row: ConnectionRow, revision: int | None) -> bool:
        """Store a connection with its token: a new one, or in place of what is at `revision`; False when it is not."""
        ...

    async def claim_renewal(self, token: Token, now: int, until: int) -> bool:
        """Take the renewal of a token until `until`; False when another instance has it, or has done it already."""
        ...

    async def release_renewal(self, token: Token) -> None:
        """Give the renewal of a token back that came to nothing."""
        ...

    async def renewed(self, token: Token, ends_at: int | None) -> bool:
        """Store a token that was renewed, and when its consent ends; False when its connection has another one now."""
        ...

    async def get(self, tenant_id: str, name: str) -> ConnectionRow | None:
        """Return one connection."""
        ...

    async def delete(self, tenant_id: str, name: str) -> list[str] | None:
        """Remove a connection unless live workflows use it; return their names, or None when there is none."""
        ...

    async def list(self, tenant_id: str, after: str | None, limit: int) -> list[ConnectionRow]:
        """Return up to `limit` connections of a tenant by name, later than the name `after`."""
        ...

    async def tested(self, tenant_id: str, name: str, *, at: int, ok: bool, detail: str) -> None:
        """Keep the outcome of a test."""
        ...


class Connections(Protocol):
    """Named connections of a tenant, opened."""

    async def open(self, tenant_id: str, name: str) -> Connection | None:
        """Return the connection with its secrets, or None when the tenant has none of that name.

        Raises:
            Rejected: its secrets cannot be opened any more.

        """
        ...


class ConsentRows(Protocol):
    """Consents in the database that were asked for and not answered yet."""

    async def add(self, row: Pending) -> None:
        """Store one; those that have expired go."""
        ...

    async def find(self, digest: str) -> Pending | None:
        """Return the one with that digest, over all tenants: it is what names the tenant."""
        ...

    async def take(self, row: Pending) -> bool:
        """Remove one; False when somebody else has taken it."""
        ...

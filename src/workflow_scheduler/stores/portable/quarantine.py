"""Rows that could not be read: whoever meets one writes it down (`claims.quarantine`); here they are listed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workflow_scheduler.core.ports.store import Page, Sql, Store, Work
from workflow_scheduler.stores.portable import claims
from workflow_scheduler.stores.portable.inspection import Finding


class Quarantined(msgspec.Struct, frozen=True, gc=False):
    """A malformed row: the table it stands in, its id, what is wrong with it, and when that was found."""

    kind: str
    id: str
    detail: str
    found_at: int


class QuarantineRepository:
    """The quarantine of all tenants, over any Store."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def add(self, rows: Sequence[Finding], now: int) -> None:
        """List rows that cannot be used, and take them out of the work."""
        await self._store.transact(_add(rows, now))

    async def release(self, tenant_id: str, kind: str, row_id: str) -> bool:
        """Forget a row that was mended or deleted; return whether it stood there."""
        return await self._store.transact(_release(tenant_id, kind, row_id))

    async def count(self) -> int:
        """Return how many rows of all tenants are in quarantine."""
        rows = await self._store.read("SELECT count(*) FROM quarantine")
        return int(rows[0][0])

    async def list(self, tenant_id: str, *, after: str | None = None, limit: int = 100) -> Page:
        """Return a page of a tenant's malformed rows, by kind and id; `after` is the cursor of the page before."""
        kind, _, row_id = (after or "").partition("/")
        rows = await self._store.read(
            "SELECT kind, id, detail, found_at FROM quarantine WHERE tenant_id = :tenant "
            "AND (kind > :kind OR (kind = :kind AND id > :id)) ORDER BY kind, id LIMIT :limit",
            {"tenant": tenant_id, "kind": kind, "id": row_id, "limit": limit + 1},
        )
        items = [Quarantined(*row) for row in rows[:limit]]
        return Page(items, f"{items[-1].kind}/{items[-1].id}" if len(rows) > limit else None)


def _add(rows: Sequence[Finding], now: int) -> Work[None]:
    for row in rows:
        yield from claims.quarantine(row.tenant_id, row.kind, row.id, row.detail, now)


def _release(tenant_id: str, kind: str, row_id: str) -> Work[bool]:
    rows = yield Sql(
        "DELETE FROM quarantine WHERE tenant_id = :tenant AND kind = :kind AND id = :id RETURNING id",
        {"tenant": tenant_id, "kind": kind, "id": row_id},
    )
    return bool(rows)

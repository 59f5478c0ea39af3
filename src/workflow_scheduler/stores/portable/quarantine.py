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

    async def release_followers(self, tenant_id: str, calendars: Sequence[str]) -> int:
        """Let schedules go on that were listed because one of these calendars could not be read; return how many."""
        return await self._store.transact(_release_followers(tenant_id, calendars))

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
    if rows and kind == "schedules":
        yield from _arm(tenant_id, row_id)
    return bool(rows)


def _release_followers(tenant_id: str, calendars: Sequence[str]) -> Work[int]:
    count = 0
    for name in calendars:
        rows = yield Sql(
            "DELETE FROM quarantine WHERE tenant_id = :tenant AND kind = 'schedules' AND detail LIKE :detail "
            "RETURNING id",
            {"tenant": tenant_id, "detail": f"%the calendar `{name}` cannot be read%"},
        )
        count += len(rows)
        for row in rows:
            yield from _arm(tenant_id, str(row[0]))
    return count


def _arm(tenant_id: str, trigger_id: str) -> Work[None]:
    """Let a schedule go on from the time at which it was found; what has passed since is late."""
    yield Sql(
        "UPDATE schedules SET next_fire_at = next_nominal, revision = revision + 1 WHERE tenant_id = :tenant "
        "AND trigger_id = :id AND next_fire_at IS NULL AND paused = 0 AND completed = 0",
        {"tenant": tenant_id, "id": trigger_id},
    )

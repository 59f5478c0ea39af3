"""Blackout windows of tenants, as JSON under their names."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.errors import Conflict, NotFound, PreconditionFailed
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.stores.portable.publishing import BUMP_EPOCH

_COLUMNS = "name, definition, revision, created_at, updated_at, updated_by"
# What waits for the end of a window is looked at again: the window may be another one now, or gone.
_WAKE = """UPDATE schedules SET next_fire_at = next_nominal WHERE tenant_id = :tenant AND next_nominal <= :now
  AND next_fire_at > :now AND paused = 0 AND (paused_until IS NULL OR paused_until <= :now)"""

_RELEASE = "DELETE FROM quarantine WHERE tenant_id = :tenant AND kind = 'blackouts' AND id = :name"


class BlackoutRow(msgspec.Struct, frozen=True):
    """A stored window; `definition` is JSON text, times are microseconds."""

    name: str
    definition: str
    revision: int
    created_at: int
    updated_at: int
    updated_by: str | None


class BlackoutRepository:
    """Reads and writes the windows of a tenant."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def page(self, tenant_id: str, after: str | None, limit: int) -> list[BlackoutRow]:
        """Return up to `limit` windows by name, later than the name `after`."""
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM blackouts WHERE tenant_id = :tenant AND name > :after ORDER BY name LIMIT :limit",
            {"tenant": tenant_id, "after": after or "", "limit": limit},
        )
        return [BlackoutRow(*row) for row in rows]

    async def get(self, tenant_id: str, name: str) -> BlackoutRow:
        """Return one window.

        Raises:
            NotFound: the tenant has none of that name.

        """
        rows = await self._store.read(
            f"SELECT {_COLUMNS} FROM blackouts WHERE tenant_id = :tenant AND name = :name",
            {"tenant": tenant_id, "name": name},
        )
        if not rows:
            raise unknown(name)
        return BlackoutRow(*rows[0])

    async def create(self, who: dict[str, Any], definition: str) -> None:
        """Store a window (tenant name now actor).

        Raises:
            Conflict: there is one of that name.

        """
        await self._store.transact(_create(who, definition))

    async def replace(self, who: dict[str, Any], definition: str, if_match: int | None) -> None:
        """Replace a window (tenant name now actor).

        Raises:
            NotFound: there is none of that name.
            PreconditionFailed: its revision is not `if_match`.

        """
        await self._store.transact(_replace(who, definition, if_match))

    async def delete(self, tenant_id: str, name: str, now: int) -> None:
        """Remove a window.

        Raises:
            NotFound: there is none of that name.

        """
        await self._store.transact(_delete(tenant_id, name, now))


def unknown(name: str) -> NotFound:
    """Return the error for a name that the tenant has no window of."""
    return NotFound(f"There is no blackout `{name[:200]}`.", fix="List them: workflow-scheduler blackout ls")


async def every_blackout(store: Store, tenant_id: str | None = None) -> list[tuple[str, str, str]]:
    """Return (tenant, name, definition) of all windows, or of those of one tenant."""
    where, params = ("", {}) if tenant_id is None else ("WHERE tenant_id = :tenant", {"tenant": tenant_id})
    text = f"SELECT tenant_id, name, definition FROM blackouts {where} ORDER BY tenant_id, name"
    rows = await store.read(text, params)
    return [(str(row[0]), str(row[1]), str(row[2])) for row in rows]


def _create(who: dict[str, Any], definition: str) -> Work[None]:
    yield BUMP_EPOCH
    rows = yield Sql(
        """INSERT INTO blackouts (tenant_id, name, definition, created_at, updated_at, updated_by)
           VALUES (:tenant, :name, :definition, :now, :now, :actor) ON CONFLICT DO NOTHING RETURNING name""",
        {**who, "definition": definition},
    )
    if not rows:
        raise Conflict(f"There is a blackout `{who['name']}` already.", fix="Change it with PUT, or delete it first.")


def _replace(who: dict[str, Any], definition: str, if_match: int | None) -> Work[None]:
    yield BUMP_EPOCH
    rows = yield Sql(
        """UPDATE blackouts SET definition = :definition, revision = revision + 1, updated_at = :now,
             updated_by = :actor WHERE tenant_id = :tenant AND name = :name RETURNING revision""",
        {**who, "definition": definition},
    )
    if not rows:
        raise unknown(str(who["name"]))
    if if_match is not None and rows[0][0] != if_match + 1:
        raise PreconditionFailed(f"The blackout is at revision {rows[0][0] - 1}, not {if_match}.", fix="Read it again.")
    yield Sql(_RELEASE, {"tenant": who["tenant"], "name": who["name"]})
    yield Sql(_WAKE, {"tenant": who["tenant"], "now": who["now"]})


def _delete(tenant_id: str, name: str, now: int) -> Work[None]:
    yield BUMP_EPOCH
    rows = yield Sql(
        "DELETE FROM blackouts WHERE tenant_id = :tenant AND name = :name RETURNING name",
        {"tenant": tenant_id, "name": name},
    )
    if not rows:
        raise unknown(name)
    yield Sql(_RELEASE, {"tenant": tenant_id, "name": name})
    yield Sql(_WAKE, {"tenant": tenant_id, "now": now})

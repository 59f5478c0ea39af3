"""Consents in the database that were asked for and not answered yet: found by the state's digest, used once."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.model.consent import Pending
from workflow_scheduler.core.ports.store import Sql, Store, Work

_NAMES = Pending.__struct_fields__


class ConsentRepository:
    """Implements core.ports.connections.ConsentRows over any Store."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def add(self, row: Pending) -> None:
        """Store one; those that have expired go."""
        await self._store.transact(_add(row))

    async def find(self, digest: str) -> Pending | None:
        """Return the one with that digest, over all tenants: it is what names the tenant."""
        rows = await self._store.read(
            f"SELECT {', '.join(_NAMES)} FROM consents WHERE digest = :digest", {"digest": digest}
        )
        if not rows:
            return None
        values = dict(zip(_NAMES, rows[0], strict=True))
        return Pending(**{**values, "sealed": bytes(values["sealed"])})

    async def take(self, row: Pending) -> bool:
        """Remove one; False when somebody else has taken it."""
        return await self._store.transact(_take(row))


def _add(row: Pending) -> Work[None]:
    yield Sql("DELETE FROM consents WHERE expires_at <= :now", {"now": row.created_at})
    yield Sql(
        f"INSERT INTO consents ({', '.join(_NAMES)}) VALUES ({', '.join(':' + name for name in _NAMES)})",
        msgspec.structs.asdict(row),
    )


def _take(row: Pending) -> Work[bool]:
    rows = yield Sql(
        "DELETE FROM consents WHERE tenant_id = :tenant AND digest = :digest RETURNING digest",
        {"tenant": row.tenant_id, "digest": row.digest},
    )
    return bool(rows)

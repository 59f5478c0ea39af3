"""Requests whose time is signed, remembered while they could be sent again under another identity."""

from __future__ import annotations

from workflow_scheduler.core.ports.store import Sql, Store, Work


class ReplayGuard:
    """One row per request that could be copied, in the database: it holds for every instance, and after a crash."""

    def __init__(self, store: Store) -> None:
        """Remember in `store`."""
        self._store = store

    async def admit(self, tenant_id: str, key: str, identity: str, now: int, until: int) -> bool:
        """Return whether the request `key` may be heard as `identity`: it was not heard as another one before.

        It is remembered until `until` (microseconds UTC); then its own time stamp is too old.
        """
        return await self._store.transact(_admit(tenant_id, key, identity, now, until))


def _admit(tenant_id: str, key: str, identity: str, now: int, until: int) -> Work[bool]:
    yield Sql(
        "DELETE FROM replay_guards WHERE tenant_id = :tenant AND expires_at < :now", {"tenant": tenant_id, "now": now}
    )
    rows = yield Sql(
        "INSERT INTO replay_guards (tenant_id, key, identity, expires_at) VALUES (:tenant, :key, :identity, :until)"
        " ON CONFLICT (tenant_id, key) DO UPDATE SET expires_at = replay_guards.expires_at RETURNING identity",
        {"tenant": tenant_id, "key": key, "identity": identity, "until": until},
    )
    return bool(rows[0][0] == identity)

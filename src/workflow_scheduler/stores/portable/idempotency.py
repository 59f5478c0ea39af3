"""Idempotency keys in the database: reserved before the work, completed with its answer."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.time.clock import DAY_US

LIFETIME_US = DAY_US
_WHERE = " WHERE tenant_id = :tenant AND scope = :scope AND key = :key"


class Place(msgspec.Struct, frozen=True):
    """Where a key is kept: tenant, what was asked (method and path), the key, and the fingerprint of the body."""

    tenant_id: str
    scope: str
    key: str
    fingerprint: str

    def params(self) -> dict[str, str]:
        """Return the parameters that name the row."""
        return {"tenant": self.tenant_id, "scope": self.scope, "key": self.key}


class Stored(msgspec.Struct, frozen=True):
    """What is kept under a key; status 0 means that the work was begun and no answer is known."""

    status: int
    body: bytes

    @property
    def finished(self) -> bool:
        """Whether the answer is known."""
        return self.status != 0


class IdempotencyRepository:
    """Reserves, completes and releases keys."""

    def __init__(self, store: Store) -> None:
        """Write to `store`."""
        self._store = store

    async def reserve(self, place: Place, now: int) -> Stored | None:
        """Reserve the key and return None, or return what is stored under it.

        Raises:
            ValidationFailed: it was used with another body.

        """
        return await self._store.transact(_reserve(place, now))

    async def complete(self, place: Place, status: int, body: bytes) -> None:
        """Keep the answer under the key."""
        await self._store.transact(_complete(place, status, body))

    async def release(self, place: Place) -> None:
        """Forget the reservation: nothing was done, the key may be used again."""
        await self._store.transact(_release(place))


def _reserve(place: Place, now: int) -> Work[Stored | None]:
    yield Sql(
        "DELETE FROM idempotency_keys" + _WHERE + " AND created_at < :oldest",
        {**place.params(), "oldest": now - LIFETIME_US},
    )
    fresh = yield Sql(
        "INSERT INTO idempotency_keys (tenant_id, scope, key, fingerprint, status, body, created_at)"
        " VALUES (:tenant, :scope, :key, :fingerprint, 0, :body, :now) ON CONFLICT DO NOTHING RETURNING status",
        {**place.params(), "fingerprint": place.fingerprint, "body": b"", "now": now},
    )
    if fresh:
        return None
    rows = yield Sql("SELECT fingerprint, status, body FROM idempotency_keys" + _WHERE, place.params())
    fingerprint, status, body = rows[0]
    if fingerprint != place.fingerprint:
        raise ValidationFailed("this Idempotency-Key was used with another body", fix="use a new key for a new request")
    return Stored(status, bytes(body))


def _complete(place: Place, status: int, body: bytes) -> Work[None]:
    yield Sql(
        "UPDATE idempotency_keys SET status = :status, body = :body" + _WHERE,
        {**place.params(), "status": status, "body": body},
    )


def _release(place: Place) -> Work[None]:
    yield Sql("DELETE FROM idempotency_keys" + _WHERE + " AND status = 0", place.params())

"""API keys: made, listed and revoked. A key is shown once, when it is made; only its digest is stored."""

from __future__ import annotations

import hashlib
import secrets as randomness
from collections.abc import Callable
from typing import Any

import msgspec

from workflow_scheduler.core.errors import FieldError, NotFound, ValidationFailed
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.principal import Principal, Role
from workflow_scheduler.core.ports.keys import KeyRow, KeyRows
from workflow_scheduler.core.ports.store import Page
from workflow_scheduler.core.time.clock import Clock, to_iso

KEY_PREFIX = "wfs_"
SHOWN_CHARACTERS = 12
NAME_CHARACTERS_MAX = 128
ROLES = tuple(Role)
_RANDOM_BYTES = 32


class KeyOwner(msgspec.Struct, frozen=True, gc=False):
    """Whose an API key is. `expires_at` in microseconds UTC."""

    tenant_id: str
    user_id: str
    role: str
    expires_at: int | None = None


def digest(key: str) -> str:
    """Return what is stored of a key. Keys hold 256 random bits, so a plain hash cannot be searched."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class Keys:
    """The API keys of all tenants."""

    def __init__(self, rows: KeyRows, clock: Clock) -> None:
        """Keep keys in `rows`. `on_create` and `on_revoke` are called after a key was made or revoked."""
        self._rows = rows
        self._clock = clock
        self.on_revoke: Callable[[], None] | None = None
        self.on_create: Callable[[], None] | None = None

    async def create(
        self, principal: Principal, name: str, *, role: str | None = None, expires_at: int | None = None
    ) -> dict[str, Any]:
        """Make a key for the caller's tenant and return it with the key itself, this one time.

        Raises:
            ValidationFailed: the name, the role or the expiry cannot be used.

        """
        now = self._clock.now()
        wanted = role or principal.role
        _check(name, wanted, expires_at, now)
        key = KEY_PREFIX + randomness.token_urlsafe(_RANDOM_BYTES)
        row = KeyRow(
            tenant_id=principal.tenant_id,
            id=mint(now),
            name=name,
            digest=digest(key),
            prefix=key[:SHOWN_CHARACTERS],
            user_id=principal.user_id,
            role=wanted,
            created_at=now,
            expires_at=expires_at,
        )
        await self._rows.add(row)
        if self.on_create:
            self.on_create()
        return {**shape(row), "key": key}

    async def page(self, principal: Principal, *, limit: int = 50, after: str | None = None) -> Page:
        """Return the tenant's keys, the oldest first; `next` is the id to go on after."""
        rows = await self._rows.list(principal.tenant_id, after, limit + 1)
        following = rows[limit - 1].id if len(rows) > limit else None
        return Page([shape(row) for row in rows[:limit]], following)

    async def revoke(self, principal: Principal, key_id: str) -> None:
        """Revoke a key at once on this instance, within seconds on others.

        Raises:
            NotFound: the tenant has no such key.

        """
        if not await self._rows.revoke(principal.tenant_id, key_id, self._clock.now()):
            raise NotFound(f"there is no API key `{key_id}`", fix="list the keys: GET /api/v1/keys")
        if self.on_revoke:
            self.on_revoke()

    async def owner(self, key_digest: str) -> KeyOwner | None:
        """Return whose the key with this digest is, over all tenants, unless it is revoked."""
        row = await self._rows.by_digest(key_digest)
        return None if row is None else KeyOwner(row.tenant_id, row.user_id, row.role, row.expires_at)

    async def any_active(self) -> bool:
        """Return whether any tenant has a key that is not revoked."""
        return await self._rows.any_active()


def shape(row: KeyRow) -> dict[str, Any]:
    """Return a key as the API shows it."""
    return {
        "id": row.id,
        "name": row.name,
        "prefix": row.prefix,
        "user_id": row.user_id,
        "role": row.role,
        "created_at": to_iso(row.created_at),
        "expires_at": None if row.expires_at is None else to_iso(row.expires_at),
        "revoked_at": None if row.revoked_at is None else to_iso(row.revoked_at),
    }


def _check(name: str, role: str, expires_at: int | None, now: int) -> None:
    errors = []
    if not 0 < len(name) <= NAME_CHARACTERS_MAX or not name.isprintable():
        errors.append(FieldError("name", f"must be 1 to {NAME_CHARACTERS_MAX} printable characters"))
    if role not in ROLES:
        errors.append(FieldError("role", f"must be one of {', '.join(ROLES)}"))
    if expires_at is not None and expires_at <= now:
        errors.append(FieldError("expires_at", "must be in the future"))
    if errors:
        raise ValidationFailed("; ".join(f"{line.field} {line.message}" for line in errors), errors=errors)

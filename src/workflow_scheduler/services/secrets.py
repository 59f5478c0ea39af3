"""Secrets: set, listed and deleted by people, read by triggers and jobs only. A value is never shown again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workflow_scheduler.core.errors import FieldError, NotFound, Rejected, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL_TENANT, Principal
from workflow_scheduler.core.ports.secrets import SecretRow, SecretRows
from workflow_scheduler.core.ports.store import Page
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import SECOND_US, Clock, to_iso

NAME_CHARACTERS_MAX = 128
VALUE_BYTES_MAX = 65_536
CACHE_SECONDS = 10.0
KEPT_SECONDS_MAX = 30 * 86_400.0
CACHE_ENTRIES_MAX = 10_000
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class SecretStore:
    """The named secrets of all tenants; implements core.ports.vault.Secrets.

    Opened values are kept in memory for a few seconds: a webhook's signature is checked on every request.
    """

    def __init__(self, rows: SecretRows, vault: Vault, clock: Clock, local: Mapping[str, str] | None = None) -> None:
        """Keep sealed values in `rows`; seal and open them with `vault`.

        `local` are secrets of the environment. Only the local tenant may use them: among several tenants a secret of
        the whole service would let each of them hear the others' deliveries.
        """
        self._local = {name: value for name, value in (local or {}).items() if value}
        self._rows = rows
        self._vault = vault
        self._clock = clock
        self._opened: dict[tuple[str, str], tuple[tuple[tuple[str, int | None], ...], float]] = {}

    async def get(self, tenant_id: str, name: str) -> str | None:
        """Return the value, or None when the tenant has no secret of that name or it cannot be opened any more."""
        values = await self._values(tenant_id, name)
        return values[0][0] if values and values[0][1] is None else None

    async def live(self, tenant_id: str, name: str) -> tuple[str, ...]:
        """Return the value, then the one before while the secret is being rotated; empty as `get` returns None."""
        now = self._clock.now()
        return tuple(value for value, until in await self._values(tenant_id, name) if until is None or now < until)

    async def _values(self, tenant_id: str, name: str) -> tuple[tuple[str, int | None], ...]:
        """Return the opened values, each with the instant until which it is taken; None for the one of now."""
        key = (tenant_id, name)
        known = self._opened.get(key)
        now = self._clock.monotonic()
        if known is not None and known[1] > now:
            return known[0]
        sealed = await self._rows.sealed(tenant_id, name)
        found: list[tuple[str | None, int | None]] = []
        if sealed is not None:
            found.append((self._open(tenant_id, name, sealed.value), None))
            if sealed.previous is not None:
                found.append((self._open(tenant_id, name, sealed.previous), sealed.previous_until))
        elif tenant_id == LOCAL_TENANT:
            found.append((self._local.get(name), None))
        values = tuple((value, until) for value, until in found if value is not None)
        if len(self._opened) >= CACHE_ENTRIES_MAX:
            self._opened.clear()
        self._opened[key] = (values, now + CACHE_SECONDS)
        return values

    def _open(self, tenant_id: str, name: str, sealed: bytes) -> str | None:
        try:
            return self._vault.open(sealed, _context(tenant_id, name)).decode()
        except (Rejected, UnicodeDecodeError):
            return None

    async def put(
        self, principal: Principal, name: str, value: str, keep_previous_seconds: float | None = None
    ) -> dict[str, Any]:
        """Set a secret and return everything about it but its value.

        With `keep_previous_seconds` requests that are signed with the value before are taken for that long as well,
        so that nothing is refused while the other side changes over.

        Raises:
            ValidationFailed: the name or the value cannot be used, or the time is longer than 30 days.

        """
        _check(name, value)
        now = self._clock.now()
        until = None if keep_previous_seconds is None else now + int(_kept(keep_previous_seconds) * SECOND_US)
        sealed = self._vault.seal(value.encode(), _context(principal.tenant_id, name))
        row = await self._rows.put(
            principal.tenant_id, name, sealed, now=now, actor=principal.user_id, previous_until=until
        )
        self._opened.pop((principal.tenant_id, name), None)
        return shape(row)

    async def page(self, principal: Principal, *, limit: int = 50, after: str | None = None) -> Page:
        """Return the tenant's secrets by name, without values; `next` is the name to go on after."""
        rows = await self._rows.list(principal.tenant_id, after, limit + 1)
        following = rows[limit - 1].name if len(rows) > limit else None
        return Page([shape(row) for row in rows[:limit]], following)

    async def delete(self, principal: Principal, name: str) -> None:
        """Remove a secret.

        Raises:
            NotFound: the tenant has none of that name.

        """
        if not await self._rows.delete(principal.tenant_id, name):
            raise NotFound(f"there is no secret `{name}`", fix="list the secrets: GET /api/v1/secrets")
        self._opened.pop((principal.tenant_id, name), None)

    async def missing(self, tenant_id: str, names: Iterable[str]) -> list[str]:
        """Return those of `names` the tenant has no secret for."""
        return [name for name in names if await self.get(tenant_id, name) is None]


def shape(row: SecretRow) -> dict[str, Any]:
    """Return a secret as the API shows it: never its value."""
    return {
        "name": row.name,
        "created_at": to_iso(row.created_at),
        "updated_at": to_iso(row.updated_at),
        "updated_by": row.updated_by,
        "previous_until": None if row.previous_until is None else to_iso(row.previous_until),
    }


def _context(tenant_id: str, name: str) -> str:
    """Bind the ciphertext to its place, so that it opens nowhere else."""
    return f"secret:{tenant_id}:{name}"


def _kept(seconds: float) -> float:
    if not 0 < seconds <= KEPT_SECONDS_MAX:
        message = "must be more than 0 and at most 30 days"
        raise ValidationFailed(f"keep_previous {message}", errors=[FieldError("keep_previous", message)])
    return seconds


def _check(name: str, value: str) -> None:
    errors = []
    if not 0 < len(name) <= NAME_CHARACTERS_MAX or not _NAME_CHARACTERS.issuperset(name):
        errors.append(
            FieldError("name", f"must be 1 to {NAME_CHARACTERS_MAX} letters, digits, underscores, dots or dashes")
        )
    if not value:
        errors.append(FieldError("value", "must not be empty"))
    elif len(value.encode("utf-8", "surrogatepass")) > VALUE_BYTES_MAX:
        errors.append(FieldError("value", f"must not be longer than {VALUE_BYTES_MAX} bytes"))
    elif "\x00" in value:
        errors.append(FieldError("value", "must not hold a NUL character"))
    if errors:
        raise ValidationFailed("; ".join(f"{line.field} {line.message}" for line in errors), errors=errors)

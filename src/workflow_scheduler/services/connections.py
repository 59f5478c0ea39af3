"""Connections: made, tested, rotated and deleted by people, opened for jobs only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from workflow_scheduler.core.errors import (
    Conflict,
    FieldError,
    NotConnected,
    Rejected,
    SchedulerError,
    Unavailable,
    ValidationFailed,
    unknown_field,
)
from workflow_scheduler.core.model.connection import KINDS, Connection, secret_names
from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.model.consent import Granted, Provider
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.connections import ConnectionRow, ConnectionRows
from workflow_scheduler.core.ports.store import Page
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.services.connection_rules import (
    changed,
    check_destination,
    check_expiry,
    check_name,
    checked,
    missing,
)
from workflow_scheduler.services.consent_tokens import ConsentTokens, consent_shape, unreadable

DETAIL_CHARACTERS_MAX = 500
_encode = msgspec.json.encode
Probe = Callable[[Principal, Connection], Awaitable[str]]


class Draft(msgspec.Struct, frozen=True):
    """What a person says about a connection. `expires_at` in microseconds UTC."""

    kind: str
    fields: Mapping[str, Any]
    expires_at: int | None = None


class _Base(NamedTuple):
    """What a row takes the place of, if anything, and the secrets of a consent, which stay with its token."""

    known: ConnectionRow | None = None
    granted: Mapping[str, Any] = MappingProxyType({})


_NEW = _Base()


class ConnectionStore:
    """The connections of all tenants; implements core.ports.connections.Connections.

    Nothing is kept in memory: after a rotation the next job of any instance gets the new secret.
    """

    def __init__(
        self, rows: ConnectionRows, vault: Vault, clock: Clock, probe: Probe, tokens: ConsentTokens | None = None
    ) -> None:
        """Keep them in `rows`, secrets sealed by `vault`; `probe` connects for a test and says what it found.

        `tokens` knows the providers at which people consent.
        """
        self._rows = rows
        self._vault = vault
        self._clock = clock
        self._probe = probe
        self._tokens = tokens or ConsentTokens(rows, vault, clock)

    async def open(self, tenant_id: str, name: str) -> Connection | None:
        """Return the connection with its secrets, or None when the tenant has none of that name.

        A token that ends soon is renewed first, where its provider lets it be.

        Raises:
            Rejected: its secrets cannot be opened any more, or the consent that it lives on has ended.
            Unavailable, NotConnected: its token has ended and cannot be renewed now.

        """
        row = await self._rows.get(tenant_id, name)
        return None if row is None else self._opened(await self._tokens.fresh(row))

    async def create(self, principal: Principal, name: str, draft: Draft) -> dict[str, Any]:
        """Store a connection. The same connection once more is no conflict: a repeated request does no harm.

        Raises:
            ValidationFailed: the name, the kind or a field cannot be used.
            Conflict: there is another one of that name.

        """
        check_name(name)
        fields = checked(draft.kind, draft.fields)
        now = self._clock.now()
        check_expiry(draft.expires_at, now)
        row = self._sealed(principal, name, fields, draft, now)
        if await self._rows.add(row):
            return shape(row, fields, now)
        known = await self._row(principal, name)
        if known.kind == draft.kind and known.expires_at == draft.expires_at and self._fields(known) == fields:
            return shape(known, fields, now)
        raise Conflict(
            f"there is a connection `{name}` already",
            fix=f"change it (PUT /api/v1/connections/{name}), or choose another name",
        )

    async def page(self, principal: Principal, *, limit: int = 50, after: str | None = None) -> Page:
        """Return the tenant's connections by name, without secrets; `next` is the name to go on after."""
        rows = await self._rows.list(principal.tenant_id, after, limit + 1)
        following = rows[limit - 1].name if len(rows) > limit else None
        return Page([self._shape(row) for row in rows[:limit]], following)

    async def get(self, principal: Principal, name: str) -> dict[str, Any]:
        """Return one connection without its secrets.

        Raises:
            NotFound: the tenant has none of that name.

        """
        return self._shape(await self._row(principal, name))

    async def replace(self, principal: Principal, name: str, draft: Draft, revision: int | None) -> dict[str, Any]:
        """Change a connection; secrets that `draft` leaves out stay as they are.

        Raises:
            NotFound: the tenant has none of that name.
            ValidationFailed: a field cannot be used.
            PreconditionFailed: it is not at `revision` any more.

        """
        known = await self._row(principal, name)
        if revision is not None and revision != known.revision:
            raise changed(name)
        same = draft.kind == known.kind
        granted = self._tokens.secrets(known) if same else {}
        lives_on = bool(granted) and not granted.keys() & draft.fields.keys()
        kept = {key: value for key, value in self._secrets(known).items() if key not in draft.fields} if same else {}
        fields = checked(draft.kind, {**kept, **draft.fields}, consented=lives_on)
        check_destination(kept, _json(known.fields), fields)
        now = self._clock.now()
        check_expiry(draft.expires_at, now)
        if lives_on and draft.expires_at is None:
            draft = msgspec.structs.replace(draft, expires_at=known.expires_at)
        row = self._sealed(principal, name, fields, draft, now, _Base(known, granted if lives_on else {}))
        if not await self._rows.replace(row, known.revision):
            raise changed(name)
        return shape(row, fields, now)

    async def rotate(
        self, principal: Principal, name: str, secrets: Mapping[str, Any], *, test: bool, expires_at: int | None
    ) -> dict[str, Any]:
        """Replace secrets by new ones, in one step: every job before has the old ones, every job after the new ones.

        With `test` the new secrets are tried first, and the old ones stay where they do not work.

        Raises:
            NotFound: the tenant has none of that name.
            ValidationFailed: these are no secrets of its kind.
            Conflict: the new secrets do not work, or somebody changed the connection meanwhile.

        """
        known = await self._row(principal, name)
        names = secret_names(KINDS[known.kind])
        wrong = [FieldError(f"secrets.{key}", unknown_field(key, names)) for key in secrets if key not in names]
        if wrong or not secrets:
            listed = wrong or [FieldError("secrets", f"name at least one of {', '.join(names)}")]
            raise ValidationFailed(f"{listed[0].field}: {listed[0].message}", errors=listed)
        now = self._clock.now()
        check_expiry(expires_at, now)
        granted = self._tokens.secrets(known)
        lives_on = bool(granted) and not granted.keys() & secrets.keys()
        given = {**_json(known.fields), **self._secrets(known), **secrets}
        fields = checked(known.kind, given, "secrets", consented=lives_on)
        if test:
            ok, detail = await self._try(principal, Connection(name, known.kind, self._tokens.lend(fields), expires_at))
            if not ok:
                raise Conflict(f"the new secrets do not work, the old ones stay: {detail}")
        draft = Draft(known.kind, {}, expires_at or known.expires_at if lives_on else expires_at)
        sealed = self._sealed(principal, name, fields, draft, now, _Base(known, granted if lives_on else {}))
        row = msgspec.structs.replace(sealed, rotated_at=now)
        if not await self._rows.replace(row, known.revision):
            raise changed(name)
        return shape(row, fields, now)

    async def test(self, principal: Principal, name: str) -> dict[str, Any]:
        """Connect with it and return `{ok, detail, at}`; the outcome is kept beside the connection.

        Raises:
            NotFound: the tenant has none of that name.

        """
        row = await self._row(principal, name)
        try:
            connection = self._opened(await self._tokens.fresh(row))
        except (Rejected, Unavailable, NotConnected) as error:
            ok, detail = False, error.detail
        else:
            ok, detail = await self._try(principal, connection)
        now = self._clock.now()
        await self._rows.tested(principal.tenant_id, name, at=now, ok=ok, detail=detail)
        return {"name": name, "kind": row.kind, "ok": ok, "detail": detail, "at": to_iso(now)}

    async def delete(self, principal: Principal, name: str) -> None:
        """Remove a connection.

        Raises:
            NotFound: the tenant has none of that name.
            Conflict: live workflows use it; they are named.

        """
        users = await self._rows.delete(principal.tenant_id, name)
        if users is None:
            raise missing(name)
        if users:
            raise Conflict(
                f"the connection `{name}` is used by the live workflow `{users[0]}`"
                + (f" and {len(users) - 1} more" if users[1:] else ""),
                fix="undeploy it, or deploy a version that does not use the connection",
                errors=[FieldError("name", f"used by the live workflow `{user}`") for user in users],
            )

    async def missing(self, tenant_id: str, wanted: Mapping[str, str]) -> list[FieldError]:
        """Return an error for each field of `wanted` (path -> connection) whose connection the tenant lacks."""
        names = {name for name in wanted.values() if "${" not in name}
        absent = {name for name in names if await self._rows.get(tenant_id, name) is None}
        return [FieldError(path, f"there is no connection `{name}`") for path, name in wanted.items() if name in absent]

    async def check_grantable(self, principal: Principal, name: str, provider: Provider) -> ConnectionRow | None:
        """Return what a consent at `provider` would replace: nothing, or a connection that lives on one already.

        Raises:
            ValidationFailed: the name cannot be used.
            Conflict: there is another connection of that name.

        """
        check_name(name)
        known = await self._rows.get(principal.tenant_id, name)
        if known is not None and (known.token is None or known.token.provider != provider.name):
            raise Conflict(
                f"there is a connection `{name}` already that was not made by a consent at {provider.title}",
                fix="choose another name, or delete that connection first",
                errors=[FieldError("connection", f"`{name}` is another connection")],
            )
        return known

    async def grant(self, principal: Principal, name: str, provider: Provider, granted: Granted) -> dict[str, Any]:
        """Store what a person consented to, as a new connection or in place of what an earlier consent gave.

        Raises:
            Conflict: there is another connection of that name.
            PreconditionFailed: somebody changed it meanwhile.

        """
        known = await self.check_grantable(principal, name, provider)
        before: dict[str, Any] = {} if known is None else {**_json(known.fields), **self._own(known)}
        fields = checked(provider.kind, {**before, **granted.fields, **granted.secrets}, consented=True)
        now = self._clock.now()
        draft = Draft(provider.kind, {}, granted.ends_at)
        row = self._sealed(principal, name, fields, draft, now, _Base(known, granted.secrets))
        token = self._tokens.sealed(principal, name, provider, granted, now)
        row = msgspec.structs.replace(row, token=token, rotated_at=None if known is None else now)
        if not await self._rows.grant(row, None if known is None else known.revision):
            raise changed(name)
        return shape(row, fields, now)

    async def _row(self, principal: Principal, name: str) -> ConnectionRow:
        row = await self._rows.get(principal.tenant_id, name)
        if row is None:
            raise missing(name)
        return row

    async def _try(self, principal: Principal, connection: Connection) -> tuple[bool, str]:
        try:
            return True, (await self._probe(principal, connection))[:DETAIL_CHARACTERS_MAX]
        except SchedulerError as error:
            more = f" {error.fix}" if error.fix else ""
            return False, f"{error.detail}{more}"[:DETAIL_CHARACTERS_MAX]

    def _sealed(
        self,
        principal: Principal,
        name: str,
        fields: Fields,
        draft: Draft,
        now: int,
        base: _Base = _NEW,
    ) -> ConnectionRow:
        known, granted = base
        whole = fields.model_dump(mode="json", by_alias=True)
        names = secret_names(type(fields))
        hidden = {key: whole.pop(key) for key in names if whole.get(key) is not None}
        own = {key: value for key, value in hidden.items() if key not in granted}
        return ConnectionRow(
            tenant_id=principal.tenant_id,
            name=name,
            kind=draft.kind,
            fields=_encode({key: value for key, value in whole.items() if value is not None}).decode(),
            sealed=self._vault.seal(_encode(own), _context(principal.tenant_id, name)),
            revision=1 if known is None else known.revision + 1,
            created_at=now if known is None else known.created_at,
            updated_at=now,
            updated_by=principal.user_id,
            rotated_at=None if known is None else known.rotated_at,
            expires_at=draft.expires_at,
            token=known.token if known is not None and granted else None,
        )

    def _secrets(self, row: ConnectionRow) -> dict[str, Any]:
        return {**self._own(row), **self._tokens.secrets(row)}

    def _own(self, row: ConnectionRow) -> dict[str, Any]:
        try:
            return _json(self._vault.open(row.sealed, _context(row.tenant_id, row.name)))
        except Rejected:
            raise unreadable(row.name) from None

    def _fields(self, row: ConnectionRow) -> Fields:
        return checked(row.kind, {**_json(row.fields), **self._secrets(row)}, consented=row.token is not None)

    def _opened(self, row: ConnectionRow) -> Connection:
        return Connection(row.name, row.kind, self._tokens.lend(self._fields(row)), row.expires_at)

    def _shape(self, row: ConnectionRow) -> dict[str, Any]:
        try:
            known = sorted(self._secrets(row))
        except Rejected:
            known = []
        return _shape(row, _json(row.fields), known, self._clock.now())


def shape(row: ConnectionRow, fields: Fields, now: int) -> dict[str, Any]:
    """Return a connection as the API shows it: never its secrets."""
    known = [name for name in secret_names(type(fields)) if getattr(fields, name) is not None]
    return _shape(row, _json(row.fields), sorted(known), now)


def _shape(row: ConnectionRow, fields: dict[str, Any], secrets: list[str], now: int) -> dict[str, Any]:
    tested = None
    if row.tested_at is not None:
        tested = {"ok": bool(row.test_ok), "detail": row.test_detail or "", "at": to_iso(row.tested_at)}
    return {
        "name": row.name,
        "kind": row.kind,
        "fields": fields,
        "secrets": secrets,
        "revision": row.revision,
        "created_at": to_iso(row.created_at),
        "updated_at": to_iso(row.updated_at),
        "updated_by": row.updated_by,
        "rotated_at": None if row.rotated_at is None else to_iso(row.rotated_at),
        "expires_at": None if row.expires_at is None else to_iso(row.expires_at),
        "expired": row.expires_at is not None and row.expires_at <= now,
        "last_test": tested,
        "consent": None if row.token is None else consent_shape(row.token, row.expires_at),
    }


def _json(text: str | bytes) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])


def _context(tenant_id: str, name: str) -> str:
    """Bind the ciphertext to its place, so that it opens nowhere else."""
    return f"connection:{tenant_id}:{name}"

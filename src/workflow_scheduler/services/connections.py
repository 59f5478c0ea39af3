"""Connections: made, tested, rotated and deleted by people, opened for jobs only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
from pydantic import ValidationError

from workflow_scheduler.core.errors import (
    Conflict,
    FieldError,
    NotFound,
    PreconditionFailed,
    Rejected,
    SchedulerError,
    ValidationFailed,
    did_you_mean,
    unknown_field,
)
from workflow_scheduler.core.model.connection import KINDS, Connection, secret_names
from workflow_scheduler.core.model.connection_fields import Fields
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.connections import ConnectionRow, ConnectionRows
from workflow_scheduler.core.ports.store import Page
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import Clock, to_iso

NAME_CHARACTERS_MAX = 128
DETAIL_CHARACTERS_MAX = 500
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_SAME_PLACE = frozenset({"username", "sender", "header", "auth", "region", "access_key_id", "client_id"})
"""What may change without the secrets being given again; every other field may say where they go, or how safely."""
_encode = msgspec.json.encode
Probe = Callable[[Principal, Connection], Awaitable[str]]


class Draft(msgspec.Struct, frozen=True):
    """What a person says about a connection. `expires_at` in microseconds UTC."""

    kind: str
    fields: Mapping[str, Any]
    expires_at: int | None = None


class ConnectionStore:
    """The connections of all tenants; implements core.ports.connections.Connections.

    Nothing is kept in memory: after a rotation the next job of any instance gets the new secret.
    """

    def __init__(self, rows: ConnectionRows, vault: Vault, clock: Clock, probe: Probe) -> None:
        """Keep them in `rows`, secrets sealed by `vault`; `probe` connects for a test and says what it found."""
        self._rows = rows
        self._vault = vault
        self._clock = clock
        self._probe = probe

    async def open(self, tenant_id: str, name: str) -> Connection | None:
        """Return the connection with its secrets, or None when the tenant has none of that name.

        Raises:
            Rejected: its secrets cannot be opened any more.

        """
        row = await self._rows.get(tenant_id, name)
        return None if row is None else self._opened(row)

    async def create(self, principal: Principal, name: str, draft: Draft) -> dict[str, Any]:
        """Store a connection. The same connection once more is no conflict: a repeated request does no harm.

        Raises:
            ValidationFailed: the name, the kind or a field cannot be used.
            Conflict: there is another one of that name.

        """
        _check_name(name)
        fields = _checked(draft.kind, draft.fields)
        now = self._clock.now()
        _check_expiry(draft.expires_at, now)
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
            raise _changed(name)
        kept: dict[str, Any] = {}
        if draft.kind == known.kind:
            kept = {key: value for key, value in self._secrets(known).items() if key not in draft.fields}
        fields = _checked(draft.kind, {**kept, **draft.fields})
        _check_destination(kept, _json(known.fields), fields)
        now = self._clock.now()
        _check_expiry(draft.expires_at, now)
        row = self._sealed(principal, name, fields, draft, now, known)
        if not await self._rows.replace(row, known.revision):
            raise _changed(name)
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
        _check_expiry(expires_at, now)
        fields = _checked(known.kind, {**_json(known.fields), **self._secrets(known), **secrets}, "secrets")
        if test:
            ok, detail = await self._try(principal, Connection(name, known.kind, fields, expires_at))
            if not ok:
                raise Conflict(f"the new secrets do not work, the old ones stay: {detail}")
        draft = Draft(known.kind, {}, expires_at)
        row = msgspec.structs.replace(self._sealed(principal, name, fields, draft, now, known), rotated_at=now)
        if not await self._rows.replace(row, known.revision):
            raise _changed(name)
        return shape(row, fields, now)

    async def test(self, principal: Principal, name: str) -> dict[str, Any]:
        """Connect with it and return `{ok, detail, at}`; the outcome is kept beside the connection.

        Raises:
            NotFound: the tenant has none of that name.

        """
        row = await self._row(principal, name)
        try:
            connection = self._opened(row)
        except Rejected as error:
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
            raise _missing(name)
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

    async def _row(self, principal: Principal, name: str) -> ConnectionRow:
        row = await self._rows.get(principal.tenant_id, name)
        if row is None:
            raise _missing(name)
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
        known: ConnectionRow | None = None,
    ) -> ConnectionRow:
        whole = fields.model_dump(mode="json", by_alias=True)
        names = secret_names(type(fields))
        hidden = {key: whole.pop(key) for key in names if whole.get(key) is not None}
        return ConnectionRow(
            tenant_id=principal.tenant_id,
            name=name,
            kind=draft.kind,
            fields=_encode({key: value for key, value in whole.items() if value is not None}).decode(),
            sealed=self._vault.seal(_encode(hidden), _context(principal.tenant_id, name)),
            revision=1 if known is None else known.revision + 1,
            created_at=now if known is None else known.created_at,
            updated_at=now,
            updated_by=principal.user_id,
            rotated_at=None if known is None else known.rotated_at,
            expires_at=draft.expires_at,
        )

    def _secrets(self, row: ConnectionRow) -> dict[str, Any]:
        try:
            return _json(self._vault.open(row.sealed, _context(row.tenant_id, row.name)))
        except Rejected:
            raise Rejected(
                f"the secrets of the connection `{row.name}` cannot be opened: the key file is another one",
                fix="restore the key file, or set the connection again",
            ) from None

    def _fields(self, row: ConnectionRow) -> Fields:
        return _checked(row.kind, {**_json(row.fields), **self._secrets(row)})

    def _opened(self, row: ConnectionRow) -> Connection:
        return Connection(row.name, row.kind, self._fields(row), row.expires_at)

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
    }


def _json(text: str | bytes) -> dict[str, Any]:
    return msgspec.json.decode(text, type=dict[str, Any])


def _context(tenant_id: str, name: str) -> str:
    """Bind the ciphertext to its place, so that it opens nowhere else."""
    return f"connection:{tenant_id}:{name}"


def _missing(name: str) -> NotFound:
    return NotFound(f"there is no connection `{name}`", fix="list the connections: GET /api/v1/connections")


def _changed(name: str) -> PreconditionFailed:
    return PreconditionFailed(f"the connection `{name}` was changed meanwhile", fix="read it again and repeat")


def _check_name(name: str) -> None:
    if not 0 < len(name) <= NAME_CHARACTERS_MAX or not _NAME_CHARACTERS.issuperset(name):
        message = f"must be 1 to {NAME_CHARACTERS_MAX} letters, digits, underscores, dots or dashes"
        raise ValidationFailed(f"name {message}", errors=[FieldError("name", message)])


def _check_expiry(expires_at: int | None, now: int) -> None:
    if expires_at is not None and expires_at <= now:
        message = "must be in the future"
        raise ValidationFailed(f"expires_at {message}", errors=[FieldError("expires_at", message)])


def _check_destination(kept: Mapping[str, Any], was: Mapping[str, Any], fields: Fields) -> None:
    """Refuse to lead a stored secret to another place: who cannot read it could have it sent to themselves."""
    kind = type(fields)
    open_fields = [key for key in kind.model_fields if key not in _SAME_PLACE and key not in secret_names(kind)]
    moved = [key for key in open_fields if getattr(fields, key) != was.get(key, kind.model_fields[key].default)]
    if kept and moved:
        errors = [FieldError(f"fields.{key}", f"give it again, because `{moved[0]}` changes") for key in kept]
        raise ValidationFailed(f"{errors[0].field}: {errors[0].message}", errors=errors)


def _checked(kind: str, given: Mapping[str, Any], place: str = "fields") -> Fields:
    """Return the fields of a connection; what was sent is never quoted, since it may be a secret in a wrong place."""
    model = KINDS.get(kind)
    if model is None:
        near = did_you_mean(kind, KINDS)
        message = f"must be one of {', '.join(KINDS)}"
        raise ValidationFailed(f"kind {message}", errors=[FieldError("kind", message, suggestion=near)])
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
    errors = []
    for one in found:
        field = ".".join([place, *map(str, one["loc"])])
        message = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            message = unknown_field(str(one["loc"][-1]), model.model_fields)
        elif one["type"] == "missing":
            message = f"`{one['loc'][-1]}` is required"
        errors.append(FieldError(field, message))
    raise ValidationFailed("; ".join(f"{one.field}: {one.message}" for one in errors), errors=errors)

"""Connections in the database, their secrets sealed: nothing here can read them."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.model.consent import Token
from workflow_scheduler.core.ports.connections import ConnectionRow
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work

_NAMES = tuple(name for name in ConnectionRow.__struct_fields__ if name != "token")
_TOKEN = Token.__struct_fields__
_SELECT = (
    f"SELECT {', '.join('c.' + name for name in _NAMES)}, {', '.join('t.' + name for name in _TOKEN)}"
    " FROM connections c LEFT JOIN oauth_tokens t ON t.tenant_id = c.tenant_id AND t.connection = c.name"
    " WHERE c.tenant_id = :tenant"
)
_LIVE = (
    "SELECT w.id, w.name, v.definition FROM workflows w JOIN workflow_versions v"
    " ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id AND v.version = w.live_version"
    " WHERE w.tenant_id = :tenant AND w.live_version IS NOT NULL AND v.definition LIKE :pattern ORDER BY w.name"
)


class ConnectionRepository:
    """Implements core.ports.connections.ConnectionRows over any Store."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def add(self, row: ConnectionRow) -> bool:
        """Store a new connection; False when the tenant has one of that name."""
        return await self._store.transact(_add(row))

    async def replace(self, row: ConnectionRow, revision: int) -> bool:
        """Replace what is stored at `revision`; False when it is at another one. Without `row.token` its token goes."""
        return await self._store.transact(_replace(row, revision))

    async def grant(self, row: ConnectionRow, revision: int | None) -> bool:
        """Store a connection with its token: a new one, or in place of what is at `revision`; False when it is not."""
        return await self._store.transact(_grant(row, revision))

    async def claim_renewal(self, token: Token, now: int, until: int) -> bool:
        """Take the renewal of a token until `until`; False when another instance has it, or has done it already."""
        return await self._store.transact(_claim(token, now, until))

    async def release_renewal(self, token: Token) -> None:
        """Give the renewal of a token back that came to nothing."""
        await self._store.transact(_release(token))

    async def renewed(self, token: Token, ends_at: int | None) -> bool:
        """Store a token that was renewed, and when its consent ends; False when its connection has another one now."""
        return await self._store.transact(_renewed(token, ends_at))

    async def get(self, tenant_id: str, name: str) -> ConnectionRow | None:
        """Return one connection."""
        rows = await self._store.read(f"{_SELECT} AND c.name = :name", {"tenant": tenant_id, "name": name})
        return _row(rows[0]) if rows else None

    async def delete(self, tenant_id: str, name: str) -> list[str] | None:
        """Remove a connection unless live workflows use it; return their names, or None when there is none."""
        return await self._store.transact(_delete(tenant_id, name))

    async def list(self, tenant_id: str, after: str | None, limit: int) -> list[ConnectionRow]:
        """Return up to `limit` connections of a tenant by name, later than the name `after`."""
        rows = await self._store.read(
            f"{_SELECT} AND c.name > :after ORDER BY c.name LIMIT :limit",
            {"tenant": tenant_id, "after": after or "", "limit": limit},
        )
        return [_row(row) for row in rows]

    async def tested(self, tenant_id: str, name: str, *, at: int, ok: bool, detail: str) -> None:
        """Keep the outcome of a test."""
        params = {"tenant": tenant_id, "name": name, "at": at, "ok": int(ok), "detail": detail}
        await self._store.transact(_tested(params))


def uses(definition: Any) -> dict[str, str]:
    """Return the connection that each job and trigger of a definition names, by the path of the field."""
    found: dict[str, str] = {}
    for job, value in _parts(definition, "jobs"):
        _find(found, f"jobs.{job}.with", value.get("with"))
    for trigger, value in _parts(definition, "triggers"):
        _find(found, f"triggers.{trigger}", value)
    return found


def _parts(definition: Any, name: str) -> list[tuple[str, dict[str, Any]]]:
    parts = definition.get(name) if isinstance(definition, dict) else None
    return [
        (key, value) for key, value in (parts if isinstance(parts, dict) else {}).items() if isinstance(value, dict)
    ]


def _find(found: dict[str, str], path: str, config: Any) -> None:
    name = config.get("connection") if isinstance(config, dict) else None
    if isinstance(name, str):
        found[f"{path}.connection"] = name


def _row(row: Row) -> ConnectionRow:
    values = dict(zip(_NAMES, row[: len(_NAMES)], strict=True))
    values["sealed"] = bytes(values["sealed"])
    values["test_ok"] = None if values["test_ok"] is None else bool(values["test_ok"])
    return ConnectionRow(**values, token=_token(row[len(_NAMES) :]))


def _token(row: Row) -> Token | None:
    values = dict(zip(_TOKEN, row, strict=True))
    return None if values["id"] is None else Token(**{**values, "sealed": bytes(values["sealed"])})


def _params(row: ConnectionRow) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in _NAMES}
    values["test_ok"] = None if row.test_ok is None else int(row.test_ok)
    return values


def _add(row: ConnectionRow) -> Work[bool]:
    rows = yield Sql(
        f"INSERT INTO connections ({', '.join(_NAMES)}) VALUES ({', '.join(':' + name for name in _NAMES)})"
        " ON CONFLICT DO NOTHING RETURNING name",
        _params(row),
    )
    return bool(rows)


def _replace(row: ConnectionRow, revision: int) -> Work[bool]:
    settings = ", ".join(f"{name} = :{name}" for name in _NAMES if name not in {"tenant_id", "name"})
    rows = yield Sql(
        f"UPDATE connections SET {settings} WHERE tenant_id = :tenant_id AND name = :name AND revision = :was"
        " RETURNING name",
        {**_params(row), "was": revision},
    )
    if rows and row.token is None:
        yield _no_token(row.tenant_id, row.name)
    return bool(rows)


def _grant(row: ConnectionRow, revision: int | None) -> Work[bool]:
    token = row.token
    stored = yield from (_add(row) if revision is None else _replace(row, revision))
    if not stored or token is None:
        return False
    yield _no_token(row.tenant_id, row.name)
    yield Sql(
        f"INSERT INTO oauth_tokens ({', '.join(_TOKEN)}) VALUES ({', '.join(':' + name for name in _TOKEN)})",
        msgspec.structs.asdict(token),
    )
    return True


def _claim(token: Token, now: int, until: int) -> Work[bool]:
    rows = yield Sql(
        "UPDATE oauth_tokens SET renewing_until = :until WHERE tenant_id = :tenant AND id = :id"
        " AND updated_at = :was AND renewing_until <= :now RETURNING id",
        {"tenant": token.tenant_id, "id": token.id, "was": token.updated_at, "now": now, "until": until},
    )
    return bool(rows)


def _release(token: Token) -> Work[None]:
    yield Sql(
        "UPDATE oauth_tokens SET renewing_until = 0 WHERE tenant_id = :tenant AND id = :id AND updated_at = :was",
        {"tenant": token.tenant_id, "id": token.id, "was": token.updated_at},
    )


def _renewed(token: Token, ends_at: int | None) -> Work[bool]:
    rows = yield Sql(
        "UPDATE oauth_tokens SET sealed = :sealed, expires_at = :expires, updated_at = :now, renewing_until = 0"
        " WHERE tenant_id = :tenant AND id = :id RETURNING id",
        {
            "tenant": token.tenant_id, "id": token.id, "sealed": token.sealed, "expires": token.expires_at,
            "now": token.updated_at,
        },
    )  # fmt: skip
    if rows and ends_at is not None:
        yield Sql(
            "UPDATE connections SET expires_at = :ends WHERE tenant_id = :tenant AND name = :name",
            {"tenant": token.tenant_id, "name": token.connection, "ends": ends_at},
        )
    return bool(rows)


def _no_token(tenant_id: str, name: str) -> Sql:
    return Sql(
        "DELETE FROM oauth_tokens WHERE tenant_id = :tenant AND connection = :name", {"tenant": tenant_id, "name": name}
    )


def _tested(params: dict[str, Any]) -> Work[None]:
    yield Sql(
        "UPDATE connections SET tested_at = :at, test_ok = :ok, test_detail = :detail"
        " WHERE tenant_id = :tenant AND name = :name",
        params,
    )


def _delete(tenant_id: str, name: str) -> Work[list[str] | None]:
    there = yield Sql(
        "SELECT name FROM connections WHERE tenant_id = :tenant AND name = :name", {"tenant": tenant_id, "name": name}
    )
    if not there:
        return None
    users = yield from live_users(tenant_id, name)
    if not users:
        yield Sql(
            "DELETE FROM connections WHERE tenant_id = :tenant AND name = :name", {"tenant": tenant_id, "name": name}
        )
        yield _no_token(tenant_id, name)
    return [user for _, user in users]


def live_users(tenant_id: str, name: str) -> Work[list[tuple[str, str]]]:
    """Return id and name of the live workflows that use a connection, by name."""
    rows = yield Sql(_LIVE, {"tenant": tenant_id, "pattern": f'%"{name}"%'})
    return [(str(row[0]), str(row[1])) for row in rows if name in uses(msgspec.json.decode(row[2])).values()]

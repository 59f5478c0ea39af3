"""Templates of tenants, and the versions that run without being anybody's deployed workflow."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.errors import Conflict, NotFound, PreconditionFailed
from workflow_scheduler.core.model.template import Template
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.stores.portable.rows import Malformed
from workflow_scheduler.stores.portable.workflows import NewVersion, insert_version

_COLUMNS = (
    "name", "description", "category", "definition", "input_schema", "version", "created_at", "updated_at",
    "updated_by",
)  # fmt: skip
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM workflow_templates WHERE tenant_id = :tenant"
_SAME = (
    "SELECT version FROM workflow_versions WHERE tenant_id = :tenant AND workflow_id = :id AND hash = :hash "
    "ORDER BY version LIMIT 1"
)
_ATTEMPTS = 10


class TemplateRepository:
    """Reads and writes the templates of one tenant at a time."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def find(self, tenant_id: str, name: str) -> Template | Malformed | None:
        """Return a template by name, None when the tenant has none of its own."""
        rows = await self._store.read(f"{_SELECT} AND name = :name", {"tenant": tenant_id, "name": name})
        return _template(rows[0]) if rows else None

    async def page(self, tenant_id: str, category: str | None, after: str, limit: int) -> list[Template | Malformed]:
        """Return up to `limit` templates by name, later than the name `after`."""
        where = "" if category is None else " AND category = :category"
        params: dict[str, Any] = {"tenant": tenant_id, "after": after, "limit": limit}
        if category is not None:
            params["category"] = category
        rows = await self._store.read(f"{_SELECT} AND name > :after{where} ORDER BY name LIMIT :limit", params)
        return [_template(row) for row in rows]

    async def names(self, tenant_id: str, wanted: list[str]) -> set[str]:
        """Return which of these names are those of templates of the tenant."""
        params = {f"n{i}": name for i, name in enumerate(wanted)}
        rows = await self._store.read(
            "SELECT name FROM workflow_templates WHERE tenant_id = :tenant "
            f"AND name IN ({', '.join(f':{key}' for key in params)})",
            {"tenant": tenant_id, **params},
        )
        return {str(row[0]) for row in rows}

    async def add(self, tenant_id: str, template: Template) -> None:
        """Store a new template.

        Raises:
            Conflict: the tenant has one of that name.

        """
        await self._store.transact(_add(tenant_id, template))

    async def replace(self, tenant_id: str, template: Template, expected: int | None) -> None:
        """Replace what is stored under its name by the next version; `expected` is the version that was read, if any.

        Raises:
            NotFound: the tenant has no such template.
            PreconditionFailed: it is at another version than `expected`.

        """
        await self._store.transact(_replace(tenant_id, template, expected))

    async def delete(self, tenant_id: str, name: str) -> None:
        """Remove a template; versions that were run stay, since their runs refer to them.

        Raises:
            NotFound: the tenant has no such template.

        """
        await self._store.transact(_delete(tenant_id, name))

    async def keep(self, new: NewVersion) -> int:
        """Store a definition under its workflow id unless it is there already, and return its version's number.

        The same content always has the same number, also when several instances store it at once.
        """
        rows = await self._store.read(*_same(new))
        return int(rows[0][0]) if rows else await self._store.transact(_keep(new))


def _template(row: Row) -> Template | Malformed:
    values = dict(zip(_COLUMNS, row, strict=True))
    try:
        for name in ("definition", "input_schema"):
            values[name] = msgspec.json.decode(values[name])
        return msgspec.convert(values, Template)
    except ValueError as error:
        return Malformed("workflow_templates", str(values["name"]), str(error))


def _params(tenant_id: str, template: Template) -> dict[str, Any]:
    values = {name: getattr(template, name) for name in _COLUMNS}
    for name in ("definition", "input_schema"):
        values[name] = msgspec.json.encode(values[name]).decode()
    return {"tenant": tenant_id, **values}


def no_template(name: str) -> NotFound:
    """Return the error for an unknown template."""
    return NotFound(f"there is no template `{name[:200]}`", fix="list them with GET /api/v1/templates")


def _add(tenant_id: str, template: Template) -> Work[None]:
    values = ", ".join(f":{name}" for name in _COLUMNS)
    rows = yield Sql(
        f"INSERT INTO workflow_templates (tenant_id, {', '.join(_COLUMNS)}) VALUES (:tenant, {values})"
        " ON CONFLICT DO NOTHING RETURNING name",
        _params(tenant_id, template),
    )
    if not rows:
        raise Conflict(
            f"there is a template `{template.name}` already",
            fix="change it with PUT /api/v1/templates/{name}, or choose another name",
        )


def _replace(tenant_id: str, template: Template, expected: int | None) -> Work[None]:
    params = _params(tenant_id, template)
    del params["version"], params["created_at"]
    rows = yield Sql(
        "UPDATE workflow_templates SET version = version + 1, description = :description, category = :category, "
        "definition = :definition, input_schema = :input_schema, updated_at = :updated_at, updated_by = :updated_by "
        "WHERE tenant_id = :tenant AND name = :name RETURNING version",
        params,
    )
    if not rows:
        raise no_template(template.name)
    if expected is not None and rows[0][0] != expected + 1:
        raise PreconditionFailed(
            f"the template is at version {rows[0][0] - 1}, not {expected}",
            fix="read it again, apply your change to what you find, and send its ETag in If-Match",
        )


def _delete(tenant_id: str, name: str) -> Work[None]:
    rows = yield Sql(
        "DELETE FROM workflow_templates WHERE tenant_id = :tenant AND name = :name RETURNING name",
        {"tenant": tenant_id, "name": name},
    )
    if not rows:
        raise no_template(name)


def _same(new: NewVersion) -> tuple[str, dict[str, Any]]:
    return (
        _SAME,
        {"tenant": new.tenant_id, "id": new.workflow_id, "hash": new.hash},
    )


def _keep(new: NewVersion) -> Work[int]:
    for _ in range(_ATTEMPTS):
        rows = yield Sql(*_same(new))
        if rows:
            return int(rows[0][0])
        latest = yield Sql(
            "SELECT COALESCE(MAX(version), 0) FROM workflow_versions WHERE tenant_id = :tenant AND workflow_id = :id",
            {"tenant": new.tenant_id, "id": new.workflow_id},
        )
        version = int(latest[0][0]) + 1
        # Of two instances that store a version at once, the later one inserts nothing and looks again.
        stored = yield insert_version(new, version, " ON CONFLICT DO NOTHING RETURNING version")
        if stored:
            return version
    raise Conflict("the template is being run in many versions at once", fix="try again in a moment")

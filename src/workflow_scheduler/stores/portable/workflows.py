"""Workflows and the versions of their definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.errors import Conflict, NotFound, PreconditionFailed
from workflow_scheduler.core.model.deployment import (
    DeploymentStatus,
    OldTimes,
    PlannedTrigger,
    VersionRecord,
    WorkflowRecord,
)
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Page, Sql, Store, Work
from workflow_scheduler.stores.portable.pending import sync_pending
from workflow_scheduler.stores.portable.publishing import BUMP_EPOCH
from workflow_scheduler.stores.portable.rows import Malformed, quarantine, read_row, read_rows

COLUMNS = WorkflowRecord.__struct_fields__
VERSION_COLUMNS = VersionRecord.__struct_fields__
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM workflows WHERE tenant_id = :tenant"
_SELECT_VERSION = (
    f"SELECT {', '.join(VERSION_COLUMNS)} FROM workflow_versions WHERE tenant_id = :tenant AND workflow_id = :id"
)
_OF_TYPE = (
    "AND EXISTS (SELECT 1 FROM trigger_index t WHERE t.tenant_id = workflows.tenant_id "
    "AND t.workflow_id = workflows.id AND t.removed_at IS NULL AND t.trigger_subtype = :type)"
)


class WorkflowFilter(msgspec.Struct, frozen=True):
    """What to list: a part of the name, a trigger type, a deployment status."""

    name: str | None = None
    trigger_type: str | None = None
    status: str | None = None


class NewVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A definition to store. `expected_revision` is what the caller has seen (If-Match), None when it does not mind.

    `closed` returns the records of the times of a rule that was live once and is replaced before it is again.
    """

    tenant_id: str
    workflow_id: str
    name: str
    definition: str
    source: str | None
    source_format: str
    hash: str
    triggers: tuple[PlannedTrigger, ...]
    actor: str | None
    now: int
    expected_revision: int | None = None
    closed: Callable[[OldTimes], Sequence[Occurrence]] = lambda _: ()


class WorkflowRepository:
    """Reads and writes workflows of one tenant at a time."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def find(self, tenant_id: str, reference: str) -> WorkflowRecord | None:
        """Return a workflow by id or name, None when the tenant has none."""
        rows = await self._store.read(
            f"{_SELECT} AND (id = :ref OR name = :ref)", {"tenant": tenant_id, "ref": reference}
        )
        found = [read_row(WorkflowRecord, COLUMNS, row) for row in rows]
        return next((row for row in found if row.id == reference), found[0] if found else None)

    async def get(self, tenant_id: str, reference: str) -> WorkflowRecord:
        """Return a workflow by id or name.

        Raises:
            NotFound: the tenant has no such workflow.

        """
        found = await self.find(tenant_id, reference)
        if found is None:
            raise no_workflow(reference)
        return found

    async def page(self, tenant_id: str, wanted: WorkflowFilter, limit: int, after: str | None, now: int) -> Page:
        """Return workflows in the order of their names; `next` is the name that the following page is after."""
        where, params = "", {"tenant": tenant_id, "after": after or "", "limit": limit + 1}
        if wanted.name:
            where += " AND name LIKE :pattern ESCAPE '!'"
            params["pattern"] = f"%{_escaped(wanted.name)}%"
        if wanted.status:
            where += " AND deployment_status = :status"
            params["status"] = wanted.status
        if wanted.trigger_type:
            where += f" {_OF_TYPE}"
            params["type"] = wanted.trigger_type
        rows = await self._store.read(f"{_SELECT} AND name > :after{where} ORDER BY name LIMIT :limit", params)
        following = str(rows[limit - 1][COLUMNS.index("name")]) if len(rows) > limit else None
        found = read_rows(WorkflowRecord, COLUMNS, rows[:limit], "workflows")
        await quarantine(self._store, tenant_id, found, now)
        return Page([row for row in found if not isinstance(row, Malformed)], following)

    async def version(self, tenant_id: str, workflow_id: str, version: int) -> VersionRecord:
        """Return one version.

        Raises:
            NotFound: the workflow has no such version.

        """
        rows = await self._store.read(
            f"{_SELECT_VERSION} AND version = :version", {"tenant": tenant_id, "id": workflow_id, "version": version}
        )
        if not rows:
            raise NotFound(f"there is no version {version} of this workflow", fix="list them with GET …/versions")
        return read_row(VersionRecord, VERSION_COLUMNS, rows[0])

    async def definitions(self, tenant_id: str, of: Sequence[tuple[str, int]]) -> dict[str, str]:
        """Return the definition text of each (workflow id, version)."""
        if not of:
            return {}
        parts = [f"(workflow_id = :id{i} AND version = :v{i})" for i in range(len(of))]
        params: dict[str, Any] = {"tenant": tenant_id}
        for i, (workflow_id, version) in enumerate(of):
            params[f"id{i}"], params[f"v{i}"] = workflow_id, version
        rows = await self._store.read(
            "SELECT workflow_id, definition FROM workflow_versions "
            f"WHERE tenant_id = :tenant AND ({' OR '.join(parts)})",
            params,
        )
        return {str(row[0]): str(row[1]) for row in rows}

    async def versions(self, tenant_id: str, workflow_id: str, limit: int, before: int | None) -> Page:
        """Return versions, the newest first; `next` is the version that the following page is below."""
        where = "AND version < :before" if before is not None else ""
        params = {"tenant": tenant_id, "id": workflow_id, "limit": limit + 1}
        if before is not None:
            params["before"] = before
        rows = await self._store.read(f"{_SELECT_VERSION} {where} ORDER BY version DESC LIMIT :limit", params)
        found = [read_row(VersionRecord, VERSION_COLUMNS, row) for row in rows[:limit]]
        return Page(found, str(found[-1].version) if len(rows) > limit else None)

    async def create(self, new: NewVersion) -> None:
        """Store a new workflow with its first version.

        Raises:
            Conflict: the tenant has a workflow of that name already.

        """
        await self._store.transact(_create(new))

    async def add_version(self, new: NewVersion) -> int:
        """Store `new` as the next version unless it is the latest one already, and return the latest version's number.

        Raises:
            NotFound: there is no such workflow.
            PreconditionFailed: the workflow was changed since the caller read it.
            Conflict: another workflow has the new name.

        """
        return await self._store.transact(_add_version(new))

    async def delete(self, tenant_id: str, workflow_id: str, *, force: bool) -> None:
        """Remove a workflow with its versions, history and triggers; runs and events stay.

        Raises:
            NotFound: there is no such workflow.
            Conflict: it is deployed and `force` is not given.

        """
        await self._store.transact(_delete(tenant_id, workflow_id, force=force))


def no_workflow(reference: str) -> NotFound:
    """Return the error for an unknown workflow."""
    return NotFound(f"there is no workflow `{reference[:200]}`", fix="list them with GET /api/v1/workflows")


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _create(new: NewVersion) -> Work[None]:
    rows = yield Sql(
        """INSERT INTO workflows (tenant_id, id, name, latest_version, created_at, updated_at)
           VALUES (:tenant, :id, :name, 1, :now, :now) ON CONFLICT DO NOTHING RETURNING id""",
        {"tenant": new.tenant_id, "id": new.workflow_id, "name": new.name, "now": new.now},
    )
    if not rows:
        raise _name_taken(new.name)
    yield insert_version(new, 1)
    yield from sync_pending(new.tenant_id, new.workflow_id, 1, new.triggers, (new.now, new.closed))


def _name_taken(name: str) -> Conflict:
    return Conflict(
        f"there is a workflow `{name}` already",
        fix="update it with PUT /api/v1/workflows/{name}, or choose another name",
    )


def insert_version(new: NewVersion, version: int, conflict: str = "") -> Sql:
    """Return the statement that stores a definition as a version; `conflict` is what SQL says of one that is there."""
    return Sql(
        f"""INSERT INTO workflow_versions (tenant_id, workflow_id, version, definition, source, source_format, hash,
             created_at, created_by)
           VALUES (:tenant, :id, :version, :definition, :source, :format, :hash, :now, :actor){conflict}""",
        {
            "tenant": new.tenant_id,
            "id": new.workflow_id,
            "version": version,
            "definition": new.definition,
            "source": new.source,
            "format": new.source_format,
            "hash": new.hash,
            "now": new.now,
            "actor": new.actor,
        },
    )


def _add_version(new: NewVersion) -> Work[int]:
    who = {"tenant": new.tenant_id, "id": new.workflow_id}
    # The update takes the row's lock, so that two writers of one workflow get consecutive versions.
    rows = yield Sql(
        """UPDATE workflows SET updated_at = updated_at WHERE tenant_id = :tenant AND id = :id
           RETURNING latest_version, revision, name""",
        who,
    )
    if not rows:
        raise no_workflow(new.workflow_id)
    latest, revision, name = rows[0]
    if new.expected_revision is not None and new.expected_revision != revision:
        raise PreconditionFailed(
            f"the workflow is at revision {revision}, not {new.expected_revision}",
            fix="read it again, apply your change to what you find, and send its revision in If-Match",
        )
    same = yield Sql(
        "SELECT hash FROM workflow_versions WHERE tenant_id = :tenant AND workflow_id = :id AND version = :version",
        {**who, "version": latest},
    )
    if same and same[0][0] == new.hash:
        return int(latest)
    if name != new.name:
        taken = yield Sql(
            "SELECT id FROM workflows WHERE tenant_id = :tenant AND name = :name",
            {"tenant": new.tenant_id, "name": new.name},
        )
        if taken:
            raise _name_taken(new.name)
        # Candidates carry the workflow's name, so the caches have to forget them.
        yield BUMP_EPOCH
    yield Sql(
        """UPDATE workflows SET latest_version = :version, name = :name, revision = revision + 1, updated_at = :now
           WHERE tenant_id = :tenant AND id = :id""",
        {**who, "version": latest + 1, "name": new.name, "now": new.now},
    )
    yield insert_version(new, latest + 1)
    yield from sync_pending(new.tenant_id, new.workflow_id, latest + 1, new.triggers, (new.now, new.closed))
    return int(latest) + 1


def _delete(tenant_id: str, workflow_id: str, *, force: bool) -> Work[None]:
    who = {"tenant": tenant_id, "id": workflow_id}
    yield BUMP_EPOCH
    rows = yield Sql(
        "DELETE FROM workflows WHERE tenant_id = :tenant AND id = :id RETURNING deployment_status, live_version, name",
        who,
    )
    if not rows:
        raise no_workflow(workflow_id)
    status, live, name = rows[0]
    if not force and (live is not None or status == DeploymentStatus.DEPLOYING):
        raise Conflict(
            f"the workflow `{name}` is deployed", fix="undeploy it first, or delete it with force=true (undeploys it)"
        )
    yield Sql(
        """DELETE FROM trigger_keys WHERE tenant_id = :tenant AND trigger_id IN
             (SELECT id FROM trigger_index WHERE tenant_id = :tenant AND workflow_id = :id)""",
        who,
    )
    for table in ("schedules", "trigger_index", "workflow_versions", "deployments"):
        yield Sql(f"DELETE FROM {table} WHERE tenant_id = :tenant AND workflow_id = :id", who)

"""Deployments: how a version becomes live, and the history of it."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.errors import Conflict
from workflow_scheduler.core.model.deployment import DeploymentRecord, DeploymentStatus, Publication
from workflow_scheduler.core.ports.store import Page, Sql, Store, Work
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.stores.portable.calendar_checks import check_calendars, followed
from workflow_scheduler.stores.portable.conflicts import check_claims, check_cycles
from workflow_scheduler.stores.portable.publishing import publish, unpublish
from workflow_scheduler.stores.portable.rows import Malformed, read_rows
from workflow_scheduler.stores.portable.workflows import no_workflow

COLUMNS = DeploymentRecord.__struct_fields__
STALE_AFTER_US = 60 * SECOND_US
_SELECT = f"SELECT {', '.join(COLUMNS)} FROM deployments WHERE tenant_id = :tenant"
_INTERRUPTED = "interrupted: the process stopped in the middle of it"


class Beginning(msgspec.Struct, frozen=True, kw_only=True):
    """A deployment that begins. `action` is `deploy` or `rollback`; `now` is in microseconds."""

    id: str
    tenant_id: str
    workflow_id: str
    version: int
    action: str
    actor: str | None
    now: int


class DeploymentRepository:
    """Reads and writes deployments of one tenant at a time."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def begin(self, beginning: Beginning) -> None:
        """Open a history entry and set the workflow to DEPLOYING.

        Raises:
            NotFound: there is no such workflow.
            Conflict: another deployment of it is under way and less than a minute old.

        """
        await self._store.transact(_begin(beginning))

    async def publish(self, publication: Publication) -> None:
        """Make a version live in one transaction.

        Raises:
            Conflict: a path is taken, workflows would start each other, or the deployment was given up meanwhile.

        """
        await self._store.transact(publish(publication))

    async def verify(self, publication: Publication) -> None:
        """Check what publishing would be refused for; nothing is written.

        Raises:
            Conflict: a path is taken, or workflows would start each other.

        """
        await self._store.transact(_verify(publication))

    async def previous_version(self, tenant_id: str, workflow_id: str, live: int | None) -> int | None:
        """Return the version that was deployed most recently and is not `live`."""
        rows = await self._store.read(
            """SELECT version FROM deployments WHERE tenant_id = :tenant AND workflow_id = :workflow
                 AND status = 'DEPLOYED' AND version <> :live ORDER BY id DESC LIMIT 1""",
            {"tenant": tenant_id, "workflow": workflow_id, "live": -1 if live is None else live},
        )
        return int(rows[0][0]) if rows else None

    async def fail(self, beginning: Beginning, step: str, error: str, now: int) -> None:
        """Close the history entry as failed; what was live stays live."""
        await self._store.transact(_fail(beginning, step, error, now))

    async def undeploy(
        self, tenant_id: str, workflow_id: str, deployment_id: str, actor: str | None, now: int
    ) -> int | None:
        """Take a workflow out of service and return the version that was live.

        Raises:
            Conflict: it is not deployed.

        """
        return await self._store.transact(unpublish(tenant_id, workflow_id, deployment_id, actor, now))

    async def recover(self, now: int, *, alone: bool) -> int:
        """Close deployments of every tenant that a stopped process left open, and return their number.

        Those younger than a minute may be another instance's work, unless this one is `alone`.
        """
        return await self._store.transact(_recover(now, now + 1 if alone else now - STALE_AFTER_US))

    async def followed(self, tenant_id: str, workflow_id: str) -> list[str]:
        """Return the calendars that the live triggers of a workflow name."""
        return await followed(self._store, tenant_id, workflow_id)

    async def check_cycles(self, publication: Publication) -> None:
        """Check whether workflows would start each other in a circle; nothing is written.

        Raises:
            Conflict: they would.

        """
        await self._store.transact(check_cycles(publication))

    async def history(self, tenant_id: str, workflow_id: str, limit: int, before: str | None) -> Page:
        """Return deployments, the newest first; `next` is the id that the following page is below."""
        where = "AND workflow_id = :workflow" + (" AND id < :before" if before else "")
        params = {"tenant": tenant_id, "workflow": workflow_id, "limit": limit + 1}
        if before:
            params["before"] = before
        rows = await self._store.read(f"{_SELECT} {where} ORDER BY id DESC LIMIT :limit", params)
        found = read_rows(DeploymentRecord, COLUMNS, rows[:limit], "deployments")
        items = [row for row in found if not isinstance(row, Malformed)]
        return Page(items, str(rows[limit - 1][0]) if len(rows) > limit else None)


def _verify(publication: Publication) -> Work[None]:
    yield from check_claims(publication)
    yield from check_calendars(publication)
    yield from check_cycles(publication)


def _begin(beginning: Beginning) -> Work[None]:
    who = {"tenant": beginning.tenant_id, "id": beginning.workflow_id}
    rows = yield Sql(
        """UPDATE workflows SET updated_at = updated_at WHERE tenant_id = :tenant AND id = :id
           RETURNING deployment_status""",
        who,
    )
    if not rows:
        raise no_workflow(beginning.workflow_id)
    if rows[0][0] == DeploymentStatus.DEPLOYING:
        yield from _take_over(who, beginning.now)
    yield Sql(
        """UPDATE workflows SET deployment_status = 'DEPLOYING', updated_at = :now
           WHERE tenant_id = :tenant AND id = :id""",
        {**who, "now": beginning.now},
    )
    yield Sql(
        """INSERT INTO deployments (tenant_id, id, workflow_id, version, action, status, step, actor, started_at)
           VALUES (:tenant, :deployment, :id, :version, :action, 'DEPLOYING', 'check', :actor, :now)""",
        {
            **who,
            "deployment": beginning.id,
            "version": beginning.version,
            "action": beginning.action,
            "actor": beginning.actor,
            "now": beginning.now,
        },
    )


def _take_over(who: dict[str, str], now: int) -> Work[None]:
    """Close what an interrupted deployment left open.

    Raises:
        Conflict: it is young enough to be still at work.

    """
    young = yield Sql(
        """SELECT id FROM deployments WHERE tenant_id = :tenant AND workflow_id = :id AND status = 'DEPLOYING'
             AND started_at > :since""",
        {**who, "since": now - STALE_AFTER_US},
    )
    if young:
        raise Conflict("another deployment of this workflow is under way", fix="wait until it has ended")
    yield Sql(
        """UPDATE deployments SET status = 'DEPLOYMENT_FAILED', error = :error, ended_at = :now
           WHERE tenant_id = :tenant AND workflow_id = :id AND status = 'DEPLOYING'""",
        {**who, "error": _INTERRUPTED, "now": now},
    )


def _fail(beginning: Beginning, step: str, error: str, now: int) -> Work[None]:
    who = {"tenant": beginning.tenant_id, "id": beginning.workflow_id, "now": now, "error": error}
    rows = yield Sql(
        """UPDATE deployments SET status = 'DEPLOYMENT_FAILED', step = :step, error = :error, ended_at = :now
           WHERE tenant_id = :tenant AND id = :deployment AND status = 'DEPLOYING' RETURNING id""",
        {
            "tenant": beginning.tenant_id,
            "deployment": beginning.id,
            "step": step,
            "error": error,
            "now": now,
        },
    )
    if rows:
        yield Sql(
            """UPDATE workflows SET deployment_status = 'DEPLOYMENT_FAILED', deployment_error = :error,
                 revision = revision + 1, updated_at = :now
               WHERE tenant_id = :tenant AND id = :id AND deployment_status = 'DEPLOYING'""",
            who,
        )
        yield Sql(
            """UPDATE trigger_index SET deployment_status = 'failed', error = :error, updated_at = :now
               WHERE tenant_id = :tenant AND workflow_id = :id AND deployment_status = 'pending'""",
            who,
        )


def _recover(now: int, before: int) -> Work[int]:
    rows = yield Sql(
        """UPDATE deployments SET status = 'DEPLOYMENT_FAILED', error = :error, ended_at = :now
           WHERE status = 'DEPLOYING' AND started_at < :before RETURNING tenant_id, workflow_id""",
        {"error": _INTERRUPTED, "now": now, "before": before},
    )
    for tenant_id, workflow_id in rows:
        yield Sql(
            """UPDATE workflows SET deployment_status = 'DEPLOYMENT_FAILED', deployment_error = :error,
                 updated_at = :now
               WHERE tenant_id = :tenant AND id = :id AND deployment_status = 'DEPLOYING'""",
            {"tenant": tenant_id, "id": workflow_id, "error": _INTERRUPTED, "now": now},
        )
    return len(rows)

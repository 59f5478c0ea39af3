"""Reads whole tables in small pages, to find rows that cannot be understood before anybody stumbles over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec

from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.ports.store import Row, Store
from workflow_scheduler.stores.portable.catalog import TRIGGER_COLUMNS, trigger_from_row
from workflow_scheduler.stores.portable.waits import SELECT, wait_from_row

Place: TypeAlias = tuple[str, ...]

PAGE_ROWS = 25  # looked at in one turn of the event loop: a millisecond or two
RUNS_MAX = 20_000
_TRIGGERS = (
    f"SELECT {TRIGGER_COLUMNS} FROM trigger_index t LEFT JOIN workflows w ON w.tenant_id = t.tenant_id "
    "AND w.id = t.workflow_id WHERE t.deployment_status = 'active' AND (t.tenant_id, t.id) > (:tenant, :id) "
    "ORDER BY t.tenant_id, t.id LIMIT :limit"
)
_SCHEDULES = (
    "SELECT s.tenant_id, s.trigger_id, s.kind, t.trigger_subtype, w.id FROM schedules s LEFT JOIN trigger_index t "
    "ON t.tenant_id = s.tenant_id AND t.id = s.trigger_id LEFT JOIN workflows w ON w.tenant_id = t.tenant_id "
    "AND w.id = t.workflow_id WHERE s.next_fire_at IS NOT NULL AND (s.tenant_id, s.trigger_id) > (:tenant, :id) "
    "ORDER BY s.tenant_id, s.trigger_id LIMIT :limit"
)
_RUNS = (
    "SELECT tenant_id, id, status FROM runs WHERE (tenant_id, id) < (:tenant, :id) "
    "ORDER BY tenant_id DESC, id DESC LIMIT :limit"
)
_WAITS = (
    f"SELECT {SELECT} FROM waits WHERE (tenant_id, id) > (:tenant, :id) AND status = 'OPEN' "
    "ORDER BY tenant_id, id LIMIT :limit"
)
_VERSIONS = (
    "SELECT w.tenant_id, w.id, w.live_version, v.version FROM workflows w LEFT JOIN workflow_versions v "
    "ON v.tenant_id = w.tenant_id AND v.workflow_id = w.id AND v.version = w.live_version "
    "WHERE w.live_version IS NOT NULL AND (w.tenant_id, w.id) > (:tenant, :id) ORDER BY w.tenant_id, w.id LIMIT :limit"
)
_FIRST: Place = ("", "")
_LAST: Place = ("\U0010ffff", "\U0010ffff")
_STATUSES = frozenset(RunStatus)


class Finding(msgspec.Struct, frozen=True, gc=False):
    """A row of table `kind` that cannot be used, and why."""

    tenant_id: str
    kind: str
    id: str
    detail: str


class Looked(msgspec.Struct, frozen=True):
    """What one page held, and where the next page begins (None: no more).

    `triggers` and `versions` are to be looked at more closely by whoever can compile them.
    """

    next: Place | None
    findings: list[Finding]
    triggers: Sequence[Trigger] = ()
    versions: Sequence[tuple[str, str, int]] = ()


class Inspector:
    """Reads pages of the tables that the work depends on."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store

    async def triggers(self, place: Place | None) -> Looked:
        """Return a page of live triggers."""
        rows = await self._page(_TRIGGERS, place or _FIRST)
        found: list[Trigger] = []
        findings: list[Finding] = []
        for row in rows:
            tenant_id, trigger_id = str(row[1]), str(row[0])
            if row[3] is None:
                findings.append(Finding(tenant_id, "trigger_index", trigger_id, "its workflow is missing"))
                continue
            try:
                found.append(trigger_from_row(row))
            except (ValueError, TypeError) as error:
                findings.append(Finding(tenant_id, "trigger_index", trigger_id, str(error)))
        return Looked(_after(rows, 1, 0), findings, triggers=found)

    async def schedules(self, place: Place | None) -> Looked:
        """Return what is wrong with a page of the schedules that are armed."""
        rows = await self._page(_SCHEDULES, place or _FIRST)
        findings = []
        for tenant_id, trigger_id, kind, trigger_type, workflow in rows:
            if trigger_type is None:
                findings.append(Finding(str(tenant_id), "schedules", str(trigger_id), "its trigger is missing"))
            elif workflow is None:
                findings.append(Finding(str(tenant_id), "schedules", str(trigger_id), "its workflow is missing"))
            elif kind != trigger_type:
                detail = f"it is of kind `{kind}`, and its trigger of type `{trigger_type}`"
                findings.append(Finding(str(tenant_id), "schedules", str(trigger_id), detail))
        return Looked(_after(rows, 0, 1), findings)

    async def runs(self, place: Place | None) -> Looked:
        """Return what is wrong with a page of runs, the newest of each tenant first."""
        rows = await self._page(_RUNS, place or _LAST)
        findings = [
            Finding(str(tenant_id), "runs", str(run_id), f"there is no run status `{status}`")
            for tenant_id, run_id, status in rows
            if status not in _STATUSES
        ]
        return Looked(_after(rows, 0, 1), findings)

    async def waits(self, place: Place | None) -> Looked:
        """Return what is wrong with a page of the open waits."""
        rows = await self._page(_WAITS, place or _FIRST)
        findings = []
        for row in rows:
            try:
                wait_from_row(row)
            except (ValueError, TypeError) as error:
                findings.append(Finding(str(row[0]), "waits", str(row[1]), str(error)))
        return Looked(_after(rows, 0, 1), findings)

    async def versions(self, place: Place | None) -> Looked:
        """Return a page of the workflow versions that are live."""
        rows = await self._page(_VERSIONS, place or _FIRST)
        findings = [
            Finding(str(row[0]), "workflows", str(row[1]), f"its live version {row[2]} is missing")
            for row in rows
            if row[3] is None
        ]
        present = [(str(row[0]), str(row[1]), int(row[3])) for row in rows if row[3] is not None]
        return Looked(_after(rows, 0, 1), findings, versions=present)

    async def listed(self) -> set[tuple[str, str, str]]:
        """Return (tenant, table, id) of everything in quarantine that an inspection can find."""
        rows = await self._store.read(
            "SELECT tenant_id, kind, id FROM quarantine WHERE kind IN ('trigger_index', 'workflows') LIMIT 100000"
        )
        return {(str(row[0]), str(row[1]), str(row[2])) for row in rows}

    async def _page(self, text: str, place: Place) -> list[Row]:
        params: dict[str, Any] = {"tenant": place[0], "id": place[1], "limit": PAGE_ROWS}
        return list(await self._store.read(text, params))


def _after(rows: Sequence[Row], tenant: int, key: int) -> Place | None:
    return (str(rows[-1][tenant]), str(rows[-1][key])) if len(rows) == PAGE_ROWS else None

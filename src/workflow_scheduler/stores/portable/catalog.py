"""The Catalog port over any Store: triggers, workflows, definitions and due schedules."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from pydantic import ValidationError

from workflow_scheduler.core.errors import DefinitionInvalid
from workflow_scheduler.core.model.trigger import Mode, Schedule, Trigger
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.overlap import Overlap
from workflow_scheduler.core.ports.catalog import FIRST_DUE, DueKey, DueRow, WorkflowRef
from workflow_scheduler.core.ports.store import Row, Store
from workflow_scheduler.core.shaping.shape import Shape
from workflow_scheduler.stores.portable.skips import NO_SKIPS, with_skips

TRIGGER_COLUMNS = (
    "t.id, t.tenant_id, t.workflow_id, w.name, t.workflow_version, t.name, t.trigger_subtype, t.trigger_config, "
    "t.index_key, t.mode, t.mode_reason, t.shared, w.paused, t.updated_at, w.awaits"
)
_JOIN = "JOIN workflows w ON w.tenant_id = t.tenant_id AND w.id = t.workflow_id"
_KEYED = (
    "FROM trigger_keys k JOIN trigger_index t ON t.tenant_id = k.tenant_id AND t.id = k.trigger_id "
    f"{_JOIN} WHERE t.deployment_status = 'active'"
)
_BY_KEY = (
    f"SELECT DISTINCT {TRIGGER_COLUMNS} {_KEYED} AND k.tenant_id = :tenant AND k.trigger_subtype = :provider "
    "AND k.index_key = :key LIMIT :limit"
)
_BY_SUB_KEY = (
    f"SELECT {TRIGGER_COLUMNS} {_KEYED} AND k.tenant_id = :tenant AND k.trigger_subtype = :provider "
    "AND k.index_key = :key AND k.sub_key = :sub"
)
_ROUTES = (
    f"SELECT DISTINCT {TRIGGER_COLUMNS} {_KEYED} AND k.trigger_subtype = :provider AND k.index_key = :key LIMIT 1000"
)
_LIVE = f"SELECT {TRIGGER_COLUMNS} FROM trigger_index t {_JOIN} WHERE t.deployment_status = 'active'"
_SCHEDULE = (
    "s.tenant_id, s.trigger_id, s.workflow_id, s.kind, s.revision, s.next_fire_at, s.next_nominal, s.last_fired_at, "
    "s.last_nominal, s.anchor, s.paused, s.paused_reason, s.completed, s.paused_until, s.resume_until, s.resume_as, "
    "s.fires, s.tzdata, s.skips"
)
_DUE_ROWS = (
    f"SELECT {_SCHEDULE}, {TRIGGER_COLUMNS} FROM schedules s "
    f"JOIN trigger_index t ON t.tenant_id = s.tenant_id AND t.id = s.trigger_id {_JOIN} "
    "WHERE s.next_fire_at <= :now AND s.paused = 0 "
)
_DUE = (
    f"{_DUE_ROWS}AND (s.next_fire_at, s.tenant_id, s.trigger_id) > (:fire_at, :tenant, :trigger) "
    "ORDER BY s.next_fire_at, s.tenant_id, s.trigger_id LIMIT :limit"
)
# A loose index scan: one probe for each distinct key, however many triggers share it.
_DISTINCT_KEYS = (
    "WITH RECURSIVE found(k) AS (SELECT MIN(index_key) FROM trigger_keys "
    "WHERE trigger_subtype = :provider AND index_key >= :low AND index_key < :high UNION ALL "
    "SELECT (SELECT MIN(index_key) FROM trigger_keys WHERE trigger_subtype = :provider "
    "AND index_key > found.k AND index_key < :high) FROM found WHERE found.k IS NOT NULL) SELECT k FROM found"
)
_SCHEDULE_WIDTH = 19
_SKIPS = _SCHEDULE_WIDTH - 1
_DETAIL_MAX = 500


class _Shared(msgspec.Struct):
    """What every trigger can be told, as it is stored; unknown names are left alone."""

    condition: str | None = None
    on_unknown: Literal["skip", "hold", "fire"] | None = None
    input: Any = None
    defaults: dict[str, Any] | None = None
    engine: str | None = None
    max_depth: int | None = None
    overlap: Overlap | None = None
    resume: bool | None = None
    limit: Overlap | None = None
    priority: int = 0
    shape: Shape | None = None
    pattern: dict[str, Any] | None = None


_shared = msgspec.json.Decoder(_Shared)
_config = msgspec.json.Decoder(dict[str, Any])


def trigger_from_row(row: Row) -> Trigger:
    """Return the trigger of a row selected in the order of this module.

    Raises:
        msgspec.DecodeError, ValueError: the row is malformed.

    """
    shared = _shared.decode(row[11])
    config = _config.decode(row[7])
    return Trigger(
        id=row[0],
        tenant_id=row[1],
        workflow_id=row[2],
        workflow=row[3],
        workflow_version=row[4],
        name=row[5],
        type=row[6],
        config=config,
        index_key=row[8],
        mode=Mode(row[9]),
        mode_reason=row[10],
        condition=shared.condition,
        on_unknown=shared.on_unknown or "skip",
        input=shared.input,
        defaults=shared.defaults,
        engine=shared.engine or "embedded",
        max_depth=shared.max_depth or 10,
        overlap=shared.overlap or shared.limit,
        priority=shared.priority,
        workflow_paused=bool(row[12]),
        updated_at=row[13],
        resume=shared.resume or False,
        awaits=bool(row[14]),
        shape=shared.shape,
        pattern=shared.pattern,
    )


def schedule_from_row(row: Row) -> Schedule:
    """Return the schedule of a row selected in the order of this module."""
    return Schedule(
        tenant_id=row[0],
        trigger_id=row[1],
        workflow_id=row[2],
        kind=row[3],
        revision=row[4],
        next_fire_at=row[5],
        next_nominal=row[6],
        last_fired_at=row[7],
        last_nominal=row[8],
        anchor=row[9],
        paused=bool(row[10]),
        paused_reason=row[11],
        completed=bool(row[12]),
        paused_until=row[13],
        resume_until=row[14],
        resume_as=row[15],
        fires=row[16],
        tzdata=row[17],
    )


class StoreCatalog:
    """Reads triggers and workflows; rows that cannot be read are reported to `malformed` and left out."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store
        self.malformed: dict[tuple[str, str, str], str] = {}

    def _triggers(self, rows: list[Row]) -> list[Trigger]:
        found = []
        for row in rows:
            try:
                found.append(trigger_from_row(row))
            except (ValueError, TypeError) as error:
                self.malformed[str(row[1]), "trigger_index", str(row[0])] = str(error)
        return found

    async def by_key(self, tenant_id: str, provider: str, index_key: str, limit: int) -> list[Trigger]:
        """Return up to `limit` triggers under an index key, whatever their sub key."""
        params = {"tenant": tenant_id, "provider": provider, "key": index_key, "limit": limit}
        return self._triggers(await self._store.read(_BY_KEY, params))

    async def by_sub_key(self, tenant_id: str, provider: str, index_key: str, sub_key: str) -> list[Trigger]:
        """Return the triggers under an index key and sub key."""
        params = {"tenant": tenant_id, "provider": provider, "key": index_key, "sub": sub_key}
        return self._triggers(await self._store.read(_BY_SUB_KEY, params))

    async def trigger(self, tenant_id: str, trigger_id: str) -> Trigger | None:
        """Return one live trigger."""
        params = {"tenant": tenant_id, "id": trigger_id}
        found = self._triggers(await self._store.read(f"{_LIVE} AND t.tenant_id = :tenant AND t.id = :id", params))
        return found[0] if found else None

    async def of_workflow(self, tenant_id: str, workflow_id: str, provider: str) -> list[Trigger]:
        """Return the live triggers of one type of a workflow."""
        params = {"tenant": tenant_id, "workflow": workflow_id, "provider": provider}
        where = " AND t.tenant_id = :tenant AND t.workflow_id = :workflow AND t.trigger_subtype = :provider"
        return self._triggers(await self._store.read(_LIVE + where, params))

    async def of_source(self, tenant_id: str, provider: str, source_key: str) -> Trigger | None:
        """Return the live trigger by whose configuration a source is heard; None when nobody needs it."""
        params = {"tenant": tenant_id, "provider": provider, "key": source_key}
        where = (
            " AND t.tenant_id = :tenant AND t.trigger_subtype = :provider AND t.source_key = :key"
            " AND t.mode <> 'disabled' ORDER BY t.id LIMIT 1"
        )
        found = self._triggers(await self._store.read(_LIVE + where, params))
        return found[0] if found else None

    async def awaits(self, tenant_id: str) -> bool:
        """Return whether any workflow of the tenant asks people, or ever did."""
        rows = await self._store.read(
            "SELECT 1 FROM workflows WHERE tenant_id = :tenant AND awaits = 1 LIMIT 1", {"tenant": tenant_id}
        )
        return bool(rows)

    async def routes(self, provider: str, index_key: str) -> list[Trigger]:
        """Return the triggers of every tenant under a public index key."""
        return self._triggers(await self._store.read(_ROUTES, {"provider": provider, "key": index_key}))

    async def distinct_keys(self, provider: str, prefix: str) -> list[str]:
        """Return the distinct index keys of a type that begin with `prefix`, over all tenants."""
        params = {"provider": provider, "low": prefix, "high": prefix[:-1] + chr(ord(prefix[-1]) + 1)}
        return [row[0] for row in await self._store.read(_DISTINCT_KEYS, params) if row[0] is not None]

    async def workflow(self, tenant_id: str, reference: str) -> WorkflowRef | None:
        """Return a workflow by id or name; an id wins over a name."""
        columns = "SELECT tenant_id, id, name, live_version, latest_version, paused FROM workflows"
        for column in ("id", "name"):
            where = f" WHERE tenant_id = :tenant AND {column} = :ref"
            rows = await self._store.read(columns + where, {"tenant": tenant_id, "ref": reference})
            if rows:
                row = rows[0]
                return WorkflowRef(row[0], row[1], row[2], row[3], row[4], bool(row[5]))
        return None

    async def definition(self, tenant_id: str, workflow_id: str, version: int) -> Definition | None:
        """Return the definition of one version.

        Raises:
            DefinitionInvalid: what is stored is no definition.

        """
        rows = await self._store.read(
            "SELECT definition FROM workflow_versions "
            "WHERE tenant_id = :tenant AND workflow_id = :workflow AND version = :version",
            {"tenant": tenant_id, "workflow": workflow_id, "version": version},
        )
        if not rows:
            return None
        try:
            return Definition.model_validate_json(rows[0][0])
        except ValidationError as error:
            message = f"The stored definition of version {version} of workflow {workflow_id} cannot be read: {error}"
            raise DefinitionInvalid(message[:_DETAIL_MAX], fix="Deploy the workflow again.") from error

    async def due(self, now: int, limit: int, after: DueKey = FIRST_DUE) -> list[DueRow]:
        """Return up to `limit` schedules whose time has come, the oldest first, later in that order than `after`."""
        fire_at, tenant_id, trigger_id = after
        params = {"now": now, "limit": limit, "fire_at": fire_at, "tenant": tenant_id, "trigger": trigger_id}
        return self._due_rows(await self._store.read(_DUE, params))

    async def due_of(self, tenant_id: str, trigger_id: str, now: int) -> DueRow | None:
        """Return one schedule if its time has come."""
        params = {"now": now, "tenant": tenant_id, "trigger": trigger_id}
        where = "AND s.tenant_id = :tenant AND s.trigger_id = :trigger"
        rows = self._due_rows(await self._store.read(_DUE_ROWS + where, params))
        return rows[0] if rows else None

    def _due_rows(self, rows: list[Row]) -> list[DueRow]:
        found = []
        for row in rows:
            try:
                trigger = trigger_from_row(row[_SCHEDULE_WIDTH:])
                if row[_SKIPS] != NO_SKIPS:
                    trigger = msgspec.structs.replace(trigger, config=with_skips(trigger.config, row[_SKIPS]))
            except (ValueError, TypeError, OverflowError) as error:
                self.malformed[str(row[0]), "schedules", str(row[1])] = str(error)
                continue
            found.append(DueRow(schedule_from_row(row), trigger))
        return found

    async def next_due(self) -> int | None:
        """Return when the next schedule is due."""
        rows = await self._store.read(
            "SELECT MIN(next_fire_at) FROM schedules WHERE next_fire_at IS NOT NULL AND paused = 0"
        )
        return rows[0][0] if rows else None

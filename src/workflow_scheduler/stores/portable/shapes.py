"""What triggers with a shape remember: groups of events, starts within a rate, values that were seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.ports.store import Row, Sql, Store, Work

TABLES = ("shape_events", "shape_groups")
_GROUP = "tenant_id = :tenant AND owner = :owner AND kind = :kind AND grp = :grp"
_COLUMNS = "tenant_id, owner, kind, grp, trigger_id, value, opened_at, due_at, count, bytes, depth, starts, overlap_key"

_EVENTS = f"SELECT event_id, at, data FROM shape_events WHERE {_GROUP} ORDER BY at, event_id"


class GroupId(msgspec.Struct, frozen=True, gc=False):
    """Which group: of which trigger or workflow, of what kind, and for which value."""

    tenant_id: str
    owner: str
    kind: str
    name: str

    def params(self, **more: Any) -> dict[str, Any]:
        """Return the parameters that name it."""
        return {"tenant": self.tenant_id, "owner": self.owner, "kind": self.kind, "grp": self.name, **more}


class Group(msgspec.Struct, frozen=True, gc=False):
    """A group as it is stored. Times are microseconds; `value` is JSON; `starts` are the starts within a rate.

    `overlap_key` is that of its last event.
    """

    id: GroupId
    trigger_id: str
    value: str | None
    opened_at: int
    due_at: int
    count: int = 0
    bytes: int = 0
    depth: int = 0
    starts: tuple[int, ...] = ()
    overlap_key: str | None = None


class Gathered(msgspec.Struct, frozen=True, gc=False):
    """An event of a group; `data` is what a run is told of it, as JSON."""

    event_id: str
    at: int
    data: bytes


def _group(row: Row) -> Group:
    starts = msgspec.json.decode(row[11], type=tuple[int, ...])
    return Group(GroupId(*row[:4]), row[4], row[5], row[6], row[7], row[8], row[9], row[10], starts, row[12])


def find(of: GroupId) -> Work[Group | None]:
    """Return a group."""
    rows = yield Sql(f"SELECT {_COLUMNS} FROM shape_groups WHERE {_GROUP}", of.params())
    return _group(rows[0]) if rows else None


def put(one: Group) -> Work[None]:
    """Store a group as it is now."""
    yield Sql(
        f"INSERT INTO shape_groups ({_COLUMNS}) VALUES (:tenant, :owner, :kind, :grp, :trigger, :value, :opened, :due, "
        ":count, :bytes, :depth, :starts, :overlap) ON CONFLICT (tenant_id, owner, kind, grp) DO UPDATE SET "
        "trigger_id = excluded.trigger_id, opened_at = excluded.opened_at, due_at = excluded.due_at, "
        "count = excluded.count, bytes = excluded.bytes, depth = excluded.depth, starts = excluded.starts, "
        "overlap_key = excluded.overlap_key",
        one.id.params(
            trigger=one.trigger_id, value=one.value, opened=one.opened_at, due=one.due_at, count=one.count,
            bytes=one.bytes, depth=one.depth, starts=msgspec.json.encode(one.starts).decode(),
            overlap=one.overlap_key,
        ),
    )  # fmt: skip


def arm(one: Group) -> Sql:
    """Return what stores a group unless it is there."""
    return Sql(
        f"INSERT INTO shape_groups ({_COLUMNS}) VALUES (:tenant, :owner, :kind, :grp, :trigger, NULL, :opened, :due, "
        "0, 0, 0, '[]', NULL) ON CONFLICT (tenant_id, owner, kind, grp) DO NOTHING",
        one.id.params(trigger=one.trigger_id, opened=one.opened_at, due=one.due_at),
    )


def add(of: GroupId, one: Gathered) -> Work[None]:
    """Store an event of a group."""
    yield Sql(
        "INSERT INTO shape_events (tenant_id, owner, kind, grp, event_id, at, data) VALUES (:tenant, :owner, :kind, "
        ":grp, :event, :at, :data) ON CONFLICT (tenant_id, owner, kind, grp, event_id) DO NOTHING",
        of.params(event=one.event_id, at=one.at, data=one.data),
    )


def events(of: GroupId) -> Work[list[Gathered]]:
    """Return the events of a group in the order they came."""
    return _gathered((yield Sql(_EVENTS, of.params())))


def drop_before(of: GroupId, at: int) -> Work[None]:
    """Forget events that came before `at`."""
    yield Sql(f"DELETE FROM shape_events WHERE {_GROUP} AND at < :at", of.params(at=at))


def remove(of: GroupId) -> Work[None]:
    """Remove a group with everything in it."""
    for table in TABLES:
        yield Sql(f"DELETE FROM {table} WHERE {_GROUP}", of.params())


async def due(store: Store, now: int, limit: int) -> list[Group]:
    """Return up to `limit` groups of all tenants that are to be looked at, in the order of their times."""
    rows = await store.read(
        f"SELECT {_COLUMNS} FROM shape_groups WHERE due_at <= :now ORDER BY due_at, opened_at, grp LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [_group(row) for row in rows]


async def gathered(store: Store, of: GroupId) -> list[Gathered]:
    """Return the events of a group in the order they came, outside of a transaction."""
    return _gathered(await store.read(_EVENTS, of.params()))


def _gathered(rows: Sequence[Row]) -> list[Gathered]:
    return [Gathered(row[0], row[1], bytes(row[2])) for row in rows]

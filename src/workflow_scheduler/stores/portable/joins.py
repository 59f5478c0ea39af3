"""The rounds of workflows that wait for others: what has arrived, and when a round is over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.ports.store import Row, Sql, Store, Work

_TRIGGER = "tenant_id = :tenant AND trigger_id = :trigger"
_ROUND = f"{_TRIGGER} AND correlation = :correlation AND number = :number"
_SHOWN_MAX = 200
TABLES = ("join_members", "join_rounds")


class RoundId(msgspec.Struct, frozen=True, gc=False):
    """Which round: of which trigger, for which value, and which number."""

    tenant_id: str
    trigger_id: str
    correlation: str
    number: int

    def params(self, **more: Any) -> dict[str, Any]:
        """Return the parameters that name it."""
        return {"tenant": self.tenant_id, "trigger": self.trigger_id, "correlation": self.correlation,
                "number": self.number, **more}  # fmt: skip


class Member(msgspec.Struct, frozen=True, gc=False):
    """An end that has arrived. `at` is when it ended, microseconds; `data` its event's data."""

    name: str
    event_id: str
    run_id: str | None
    status: str
    at: int
    depth: int
    data: bytes


class Round(msgspec.Struct, frozen=True, gc=False):
    """A round as it is stored; `value` is what its ends have in common, as JSON."""

    id: RoundId
    value: str | None
    opened_at: int
    updated_at: int
    due_at: int | None
    missed_at: int | None


_MEMBER = "member, event_id, run_id, status, at, depth, data"
_COLUMNS = "tenant_id, trigger_id, correlation, number, value, opened_at, updated_at, due_at, missed_at"


def lock(tenant_id: str, trigger_id: str) -> Work[None]:
    """Hold a trigger's rounds until the end of the transaction; deploys lock these rows before the epoch as well."""
    yield Sql(
        "UPDATE trigger_index SET updated_at = updated_at WHERE tenant_id = :tenant AND id = :trigger",
        {"tenant": tenant_id, "trigger": trigger_id},
    )


def _round(row: Row) -> Round:
    return Round(RoundId(*row[:4]), *row[4:])


def _member(row: Row) -> Member:
    return Member(row[0], row[1], row[2], row[3], row[4], row[5], bytes(row[6]))


def members(of: RoundId) -> Work[dict[str, Member]]:
    """Return what has arrived in a round, by member."""
    rows = yield Sql(f"SELECT {_MEMBER} FROM join_members WHERE {_ROUND}", of.params())
    return {row[0]: _member(row) for row in rows}


def find(of: RoundId) -> Work[Round | None]:
    """Return a round."""
    rows = yield Sql(f"SELECT {_COLUMNS} FROM join_rounds WHERE {_ROUND}", of.params())
    return _round(rows[0]) if rows else None


def put_members(of: RoundId, arrived: Iterable[Member]) -> Work[None]:
    """Store ends; the later end of a member replaces the earlier."""
    for one in arrived:
        yield Sql(
            f"INSERT INTO join_members (tenant_id, trigger_id, correlation, number, {_MEMBER}) VALUES (:tenant, "
            ":trigger, :correlation, :number, :member, :event, :run, :status, :at, :depth, :data) "
            "ON CONFLICT (tenant_id, trigger_id, correlation, number, member) DO UPDATE SET "
            "event_id = excluded.event_id, run_id = excluded.run_id, status = excluded.status, at = excluded.at, "
            "depth = excluded.depth, data = excluded.data WHERE excluded.at >= join_members.at",
            of.params(member=one.name, event=one.event_id, run=one.run_id, status=one.status, at=one.at,
                      depth=one.depth, data=one.data),
        )  # fmt: skip


def drop_members(of: RoundId, names: Iterable[str]) -> Work[None]:
    """Forget ends."""
    for name in names:
        yield Sql(f"DELETE FROM join_members WHERE {_ROUND} AND member = :member", of.params(member=name))


def put_round(of: RoundId, value: str | None, opened_at: int, now: int, due_at: int | None) -> Work[None]:
    """Store a round, or what is new of one."""
    yield Sql(
        f"INSERT INTO join_rounds ({_COLUMNS}) VALUES (:tenant, :trigger, :correlation, :number, :value, :opened, "
        ":now, :due, NULL) ON CONFLICT (tenant_id, trigger_id, correlation, number) DO UPDATE SET "
        "value = excluded.value, opened_at = excluded.opened_at, updated_at = excluded.updated_at, "
        "due_at = excluded.due_at",
        of.params(value=value, opened=opened_at, now=now, due=due_at),
    )


def remove(of: RoundId) -> Work[None]:
    """Remove a round with everything in it."""
    for table in TABLES:
        yield Sql(f"DELETE FROM {table} WHERE {_ROUND}", of.params())


def set_aside(of: RoundId, number: int, now: int) -> Work[None]:
    """Make a round one of its own, which is due at once."""
    for table in TABLES:
        yield Sql(f"DELETE FROM {table} WHERE {_ROUND}", msgspec.structs.replace(of, number=number).params())
        yield Sql(f"UPDATE {table} SET number = :aside WHERE {_ROUND}", of.params(aside=number))
    yield Sql(
        f"UPDATE join_rounds SET due_at = :now WHERE {_ROUND}",
        msgspec.structs.replace(of, number=number).params(now=now),
    )


def miss(of: RoundId, now: int, forget_at: int) -> Work[None]:
    """Empty a round whose window is over; that it was missed is remembered until `forget_at`."""
    yield Sql(f"DELETE FROM join_members WHERE {_ROUND}", of.params())
    yield Sql(
        f"UPDATE join_rounds SET missed_at = :now, due_at = :forget WHERE {_ROUND}",
        of.params(now=now, forget=forget_at),
    )


async def due(store: Store, now: int, limit: int) -> list[Round]:
    """Return up to `limit` rounds of all tenants that are to be looked at, the oldest first."""
    rows = await store.read(
        f"SELECT {_COLUMNS} FROM join_rounds WHERE due_at <= :now ORDER BY due_at LIMIT :limit",
        {"now": now, "limit": limit},
    )
    return [_round(row) for row in rows]


_OPEN = f"FROM join_rounds WHERE {_TRIGGER} AND missed_at IS NULL ORDER BY updated_at DESC, correlation, number"


async def of_trigger(store: Store, tenant_id: str, trigger_id: str) -> list[tuple[Round, list[Member]]]:
    """Return the newest rounds of a trigger that are open, with what has arrived."""
    key = {"tenant": tenant_id, "trigger": trigger_id}
    rounds = [_round(row) for row in await store.read(f"SELECT {_COLUMNS} {_OPEN} LIMIT {_SHOWN_MAX}", key)]
    there: dict[RoundId, list[Member]] = {one.id: [] for one in rounds}
    if rounds:
        names = ", ".join(f"m.{name}" for name in ("tenant_id", "trigger_id", "correlation", "number"))
        for row in await store.read(
            f"""SELECT {names}, {", ".join(f"m.{name}" for name in _MEMBER.split(", "))} FROM join_members m
                JOIN (SELECT correlation, number {_OPEN} LIMIT {_SHOWN_MAX}) AS r
                  ON r.correlation = m.correlation AND r.number = m.number
                WHERE m.tenant_id = :tenant AND m.trigger_id = :trigger ORDER BY m.at, m.member""",
            key,
        ):
            there.get(RoundId(*row[:4]), []).append(_member(row[4:]))
    return [(one, there[one.id]) for one in rounds]


def reset(tenant_id: str, trigger_id: str, correlation: str | None) -> Work[int]:
    """Forget what has arrived for a trigger, for one value or for all; return how many open rounds there were."""
    yield from lock(tenant_id, trigger_id)
    key: Mapping[str, Any] = {"tenant": tenant_id, "trigger": trigger_id}
    only, params = ("", key) if correlation is None else (" AND correlation = :correlation",
                                                          {**key, "correlation": correlation})  # fmt: skip
    yield Sql(f"DELETE FROM join_members WHERE {_TRIGGER}{only}", params)
    rows = yield Sql(f"DELETE FROM join_rounds WHERE {_TRIGGER}{only} AND missed_at IS NULL RETURNING number", params)
    return len(rows)


async def arrived(store: Store, of: RoundId) -> list[Member]:
    """Return what has arrived in a round."""
    rows = await store.read(f"SELECT {_MEMBER} FROM join_members WHERE {_ROUND} ORDER BY at, member", of.params())
    return [_member(row) for row in rows]

"""Claims of jobs on pools (core/dag/pools): asking, giving back, and handing what is free to who asked first.

All steps for one tenant happen one after the other, under one lock, on whichever instance: what is granted never
passes a pool's capacity. A claim carries the fence of its run and the attempt, so that nobody gives back what a later
owner or attempt holds, and what nobody gave back is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from workflow_scheduler.core.dag.pools import Claimed, Want, tenants_pool
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work

_OPEN = "r.status IN ('QUEUED', 'RUNNING', 'PAUSED')"
_OF_JOB = "tenant_id = :tenant AND run_id = :run AND job_id = :job"
STALE_ROWS = 500


class Told(NamedTuple):
    """How the claim of an attempt at a job stands."""

    tenant_id: str
    run_id: str
    job_id: str
    fence: int
    attempt: int
    state: Claimed


def _lock(dialect: str, tenant_id: str) -> Work[None]:
    """Hold the pools of a tenant until the end of the transaction; SQLite's has the database for itself."""
    if dialect == "postgres":
        name = f"resources/{tenant_id}"
        yield Sql("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))", {"tenant": tenant_id, "name": name})


class Asker(NamedTuple):
    """An attempt at a job of a run."""

    run: Run
    job_id: str
    attempt: int


def ask(dialect: str, asker: Asker, wants: Sequence[Want], now: int) -> Work[Claimed]:
    """Claim all of `wants` for an attempt and return how that stands; asking again changes nothing."""
    run = asker.run
    job = {"tenant": run.tenant_id, "run": run.id, "job": asker.job_id}
    yield from _lock(dialect, run.tenant_id)
    gone = yield Sql(
        f"DELETE FROM resource_claims WHERE {_OF_JOB} AND (fence < :fence OR attempt < :attempt) RETURNING pool",
        {**job, "fence": run.fence, "attempt": asker.attempt},
    )
    place = 1
    for want in wants:
        rows = yield Sql(
            "SELECT MAX(place) FROM resource_claims WHERE tenant_id = :tenant AND pool = :pool AND granted = 0",
            {"tenant": run.tenant_id, "pool": want.pool},
        )
        place = max(place, (rows[0][0] or 0) + 1)
    for want in wants:
        yield Sql(
            "INSERT INTO resource_claims (tenant_id, run_id, job_id, pool, amount, capacity, place, fence, attempt, "
            "asked_at) VALUES (:tenant, :run, :job, :pool, :amount, :capacity, :place, :fence, :attempt, :now) "
            "ON CONFLICT DO NOTHING",
            {
                **job, "pool": want.pool, "amount": want.amount, "capacity": want.capacity, "place": place,
                "fence": run.fence, "attempt": asker.attempt, "now": now,
            },
        )  # fmt: skip
    yield from _grant(run.tenant_id, [str(row[0]) for row in gone] + [want.pool for want in wants])
    rows = yield Sql(f"SELECT MIN(granted) FROM resource_claims WHERE {_OF_JOB}", job)
    return Claimed(rows[0][0])


def give_back(dialect: str, asker: Asker) -> Work[list[Told]]:
    """Remove the claims of a job up to an attempt; return whose claims came out of their wait by that."""
    run = asker.run
    yield from _lock(dialect, run.tenant_id)
    rows = yield Sql(
        f"DELETE FROM resource_claims WHERE {_OF_JOB} "
        "AND (fence < :fence OR (fence = :fence AND attempt <= :attempt)) RETURNING pool",
        {
            "tenant": run.tenant_id, "run": run.id, "job": asker.job_id, "fence": run.fence, "attempt": asker.attempt,
        },
    )  # fmt: skip
    return (yield from _grant(run.tenant_id, [str(row[0]) for row in rows]))


def remove(dialect: str, tenant_id: str, run_id: str, fence: int) -> Work[list[Told]]:
    """Remove the claims of a run up to a fence; return whose claims came out of their wait by that."""
    yield from _lock(dialect, tenant_id)
    rows = yield Sql(
        "DELETE FROM resource_claims WHERE tenant_id = :tenant AND run_id = :run AND fence <= :fence RETURNING pool",
        {"tenant": tenant_id, "run": run_id, "fence": fence},
    )
    return (yield from _grant(tenant_id, [str(row[0]) for row in rows]))


def settle(dialect: str, tenant_id: str) -> Work[list[Told]]:
    """Look at every pool of a tenant for which somebody waits: its capacity may have changed."""
    yield from _lock(dialect, tenant_id)
    rows = yield Sql(
        "SELECT DISTINCT pool FROM resource_claims WHERE tenant_id = :tenant AND granted = 0", {"tenant": tenant_id}
    )
    return (yield from _grant(tenant_id, [str(row[0]) for row in rows]))


def _grant(tenant_id: str, pools: list[str]) -> Work[list[Told]]:
    """Grant what these pools have free to the first in their queues; return whose claims came out of their wait."""
    told: list[Told] = []
    capacities: dict[str, int] | None = None
    while pools:
        first = yield from _first(tenant_id, pools.pop())
        if first is None:
            continue
        job = {"tenant": tenant_id, "run": first[0], "job": first[1]}
        rows = yield Sql(
            f"SELECT pool, amount, capacity, fence, attempt FROM resource_claims WHERE {_OF_JOB} ORDER BY pool", job
        )
        if capacities is None and any(row[2] is None for row in rows):
            capacities = yield from _capacities(tenant_id)
        state = yield from _judge(first, tenant_id, rows, capacities or {})
        if state is not Claimed.WAITING:
            yield Sql(f"UPDATE resource_claims SET granted = :state WHERE {_OF_JOB}", {**job, "state": int(state)})
            told.append(Told(tenant_id, *first, int(rows[0][3]), int(rows[0][4]), state))
            pools += [str(row[0]) for row in rows]
    return told


def _judge(job: tuple[str, str], tenant_id: str, rows: Sequence[Row], capacities: Mapping[str, int]) -> Work[Claimed]:
    """Return whether the claims `rows` of a job can be granted now: it is the first everywhere, and there is enough."""
    state = Claimed.GRANTED
    for pool, amount, own, *_ in rows:
        capacity = own if own is not None else capacities.get(tenants_pool(str(pool)) or "", 0)
        if amount > capacity:
            return Claimed.REFUSED
        used = yield from _used(tenant_id, pool)
        first = yield from _first(tenant_id, pool)
        if used + amount > capacity or first != job:
            state = Claimed.WAITING
    return state


def _first(tenant_id: str, pool: str) -> Work[tuple[str, str] | None]:
    rows = yield Sql(
        "SELECT run_id, job_id FROM resource_claims WHERE tenant_id = :tenant AND pool = :pool AND granted = 0 "
        "ORDER BY place, run_id, job_id LIMIT 1",
        {"tenant": tenant_id, "pool": pool},
    )
    return (str(rows[0][0]), str(rows[0][1])) if rows else None


def _used(tenant_id: str, pool: str) -> Work[int]:
    rows = yield Sql(
        "SELECT COALESCE(SUM(amount), 0) FROM resource_claims "
        "WHERE tenant_id = :tenant AND pool = :pool AND granted = 1",
        {"tenant": tenant_id, "pool": pool},
    )
    return int(rows[0][0])


def _capacities(tenant_id: str) -> Work[dict[str, int]]:
    rows = yield Sql("SELECT settings FROM tenants WHERE id = :tenant", {"tenant": tenant_id})
    return pools_of(rows[0][0]) if rows else {}


class _Settings(msgspec.Struct):
    """The part of a tenant's settings that is read here."""

    resources: dict[str, int] = {}


def pools_of(settings: str) -> dict[str, int]:
    """Return the pools in the stored settings of a tenant; none where they cannot be read."""
    try:
        return msgspec.json.decode(settings, type=_Settings).resources
    except msgspec.MsgspecError:
        return {}


async def settled(store: Store, me: str) -> list[Told]:
    """Return the claims of this instance's open runs that wait no more."""
    rows = await store.read(
        "SELECT DISTINCT c.tenant_id, c.run_id, c.job_id, c.fence, c.attempt, c.granted FROM resource_claims c "
        "JOIN runs r ON r.tenant_id = c.tenant_id AND r.id = c.run_id AND r.fence = c.fence "
        f"WHERE r.owner = :me AND {_OPEN} AND c.granted <> 0",
        {"me": me},
    )
    return [Told(str(row[0]), str(row[1]), str(row[2]), int(row[3]), int(row[4]), Claimed(row[5])) for row in rows]


async def stale(store: Store) -> list[tuple[str, str, int]]:
    """Return the runs (tenant, id, fence) of claims that nobody will give back: the run is over, or has a new owner."""
    rows = await store.read(
        "SELECT DISTINCT c.tenant_id, c.run_id, c.fence FROM resource_claims c WHERE NOT EXISTS (SELECT 1 FROM runs r "
        f"WHERE r.tenant_id = c.tenant_id AND r.id = c.run_id AND r.fence = c.fence AND {_OPEN} "
        "AND r.owner IS NOT NULL AND r.owner <> 'quarantine') LIMIT :limit",
        {"limit": STALE_ROWS},
    )
    return [(str(row[0]), str(row[1]), int(row[2])) for row in rows]


async def waiting_tenants(store: Store) -> list[str]:
    """Return the tenants with jobs that wait for their own pools."""
    rows = await store.read("SELECT DISTINCT tenant_id FROM resource_claims WHERE granted = 0 AND capacity IS NULL", {})
    return [str(row[0]) for row in rows]

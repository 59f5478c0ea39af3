"""Figures of queue health over all tenants, each by a query whose cost has a ceiling."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import MINUTE_US, SECOND_US
from workflow_scheduler.stores.portable.tenants import tenants_of

COUNTED_MAX = 100_000
LOOKED_AT_MAX = 10_000
_OPEN = "status IN ('QUEUED', 'RUNNING', 'PAUSED')"


class QueueHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How well the queues are kept up with. Ages are seconds, 0 where nothing waits; counts stop at 100,000."""

    due: int
    overdue: int
    oldest_due_seconds: float
    queued_runs: int
    running_runs: int
    paused_runs: int
    oldest_queued_seconds: float
    dead_letters: int
    oldest_dead_letter_seconds: float

    @property
    def open_runs(self) -> int:
        """Runs that have not ended."""
        return self.queued_runs + self.running_runs + self.paused_runs

    def gauges(self) -> dict[str, float]:
        """Return the figures under the names of the metrics."""
        return {
            "scheduler_due": self.due,
            "scheduler_overdue": self.overdue,
            "scheduler_dispatch_lag_seconds": self.oldest_due_seconds,
            "queue_pending": self.queued_runs,
            "queue_oldest_pending_age_seconds": self.oldest_queued_seconds,
            "dead_letters": self.dead_letters,
            "dead_letters_oldest_age_seconds": self.oldest_dead_letter_seconds,
        }


async def queue_health(store: Store, now: int, overdue_us: int = MINUTE_US) -> QueueHealth:
    """Return the figures at `now`; a due schedule is overdue when it is late by more than `overdue_us` microseconds."""
    due = await _count(store, "schedules", _DUE, {"now": now})
    overdue = await _count(store, "schedules", _DUE, {"now": now - overdue_us}) if due else 0
    first = await store.read("SELECT MIN(next_fire_at) FROM schedules WHERE next_fire_at IS NOT NULL AND paused = 0")
    by_status = {
        status: await _count(store, "runs", f"status = '{status}' AND {_OPEN}", {})
        for status in ("QUEUED", "RUNNING", "PAUSED")
    }
    # SQLite's index lists runs of one status in the order they came; PostgreSQL looks at the same number of them.
    oldest = await store.read(
        f"""SELECT MIN(created_at) FROM (SELECT created_at FROM runs WHERE status = 'QUEUED' AND {_OPEN}
            LIMIT {LOOKED_AT_MAX}) AS waiting"""
    )
    dead, oldest_dead = await _dead_letters(store)
    return QueueHealth(
        due=due,
        overdue=overdue,
        oldest_due_seconds=_age(first[0][0], now) if due else 0.0,
        queued_runs=by_status["QUEUED"],
        running_runs=by_status["RUNNING"],
        paused_runs=by_status["PAUSED"],
        oldest_queued_seconds=_age(oldest[0][0], now),
        dead_letters=dead,
        oldest_dead_letter_seconds=_age(oldest_dead, now),
    )


_DUE = "next_fire_at IS NOT NULL AND paused = 0 AND next_fire_at <= :now"


async def _count(store: Store, table: str, where: str, params: dict[str, int]) -> int:
    rows = await store.read(
        f"SELECT COUNT(*) FROM (SELECT 1 FROM {table} WHERE {where} LIMIT {COUNTED_MAX}) AS counted", params
    )
    return int(rows[0][0])


async def _dead_letters(store: Store) -> tuple[int, int | None]:
    """Return how many dead letters nobody has settled, and when the oldest died."""
    total, oldest = 0, None
    for tenant in await tenants_of(store, "dead_letters"):
        rows = await store.read(
            f"""SELECT COUNT(*) FROM (SELECT 1 FROM dead_letters
                WHERE tenant_id = :tenant AND status = 'dead' LIMIT {COUNTED_MAX}) AS counted""",
            {"tenant": tenant},
        )
        total += int(rows[0][0])
        first = await store.read(
            "SELECT created_at FROM dead_letters WHERE tenant_id = :tenant AND status = 'dead' ORDER BY id LIMIT 1",
            {"tenant": tenant},
        )
        if first and isinstance(first[0][0], int):
            oldest = first[0][0] if oldest is None else min(oldest, first[0][0])
    return total, oldest


def _age(since: int | None, now: int) -> float:
    return 0.0 if since is None else max(0.0, (now - since) / SECOND_US)

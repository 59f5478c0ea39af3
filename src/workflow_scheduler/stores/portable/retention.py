"""Deleting what has become old, in portions that never hold the writer for long.

Rows are found by their UUIDv7 ids, which begin with their time, so that a portion costs what it deletes. What an open
run needs stays: its event, its jobs, its log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.stores.portable import joins, source_items
from workflow_scheduler.stores.portable.rows import numbered
from workflow_scheduler.stores.portable.scan import id_floor
from workflow_scheduler.stores.portable.tenants import tenants_of

PORTION = 500
ATTACHMENTS = 5
_ENDED = "status IN ('SUCCEEDED', 'FAILED', 'CANCELLED')"

Progress = tuple[int, str | None]
"""Rows deleted by a portion, and the id to go on after; None at the end."""


class Sweeper:
    """Deletes portions of old rows."""

    def __init__(self, store: Store, portion: int = PORTION) -> None:
        """Delete from `store`, at most about `portion` rows per transaction."""
        self._store = store
        self._portion = portion

    async def _sweep(self, table: str, step: Callable[[str, str], Work[Progress]]) -> int:
        """Carry out `step(tenant, after)` to its end for each tenant of `table`; return how many rows went."""
        total = 0
        for tenant in await tenants_of(self._store, table):
            after: str | None = ""
            while after is not None:
                deleted, after = await self._store.transact(step(tenant, after))
                total += deleted
        return total

    async def events(self, before: int) -> int:
        """Delete events received before an instant (microseconds) with their decisions, but not those of open runs."""
        return await self._sweep("events", lambda tenant, after: _events(tenant, after, before, self._portion))

    async def attachments(self, before: int) -> int:
        """Delete attachments from before an instant whose events are gone, or were never stored."""
        return await self._sweep("attachments", lambda tenant, _after: _attachments(tenant, before))

    async def runs(self, before: int) -> int:
        """Delete runs that ended before an instant, with their jobs and logs."""
        return await self._sweep("runs", lambda tenant, after: _runs(tenant, after, before, self._portion))

    async def logs(self, before: int) -> int:
        """Delete the logs of ended runs that were created before an instant."""
        return await self._sweep("job_logs", lambda tenant, after: _logs(tenant, after, before, self._portion))

    async def occurrences(self, before: int) -> int:
        """Delete records of nominal times before an instant."""
        return await self._sweep(
            "occurrences", lambda tenant, after: _occurrences(tenant, after, before, self._portion)
        )

    async def dead_letters(self, before: int) -> int:
        """Delete dead letters from before an instant that were redriven or discarded."""
        return await self._sweep(
            "dead_letters", lambda tenant, after: _dead_letters(tenant, after, before, self._portion)
        )

    async def backfills(self, before: int) -> int:
        """Delete backfills that ended before an instant."""
        return await self._sweep("backfills", lambda tenant, after: _backfills(tenant, after, before, self._portion))

    async def rounds(self, before: int) -> int:
        """Delete what had arrived for workflows that wait for others and are live no more, if nothing came since."""
        return await self._sweep("join_rounds", lambda tenant, _after: _rounds(tenant, before, self._portion))

    async def source_items(self, before: int) -> int:
        """Delete what is remembered of listings that nobody has needed since an instant."""
        return await self._sweep(
            "source_items", lambda tenant, _after: source_items.forget(tenant, before, self._portion)
        )

    async def audit(self, before: int) -> int:
        """Delete entries of the audit log from before an instant."""
        return await self._sweep("audit", lambda tenant, after: _audit(tenant, after, before, self._portion))

    async def idempotency_keys(self, before: int) -> int:
        """Delete idempotency keys that were made before an instant."""
        total = 0
        while True:
            deleted = await self._store.transact(_keys(before, self._portion))
            total += deleted
            if deleted < self._portion:
                return total


def _old_ids(table: str, tenant: str, after: str, before: int, limit: int, extra: str = "") -> Work[list[str]]:
    rows = yield Sql(
        f"""SELECT id FROM {table} WHERE tenant_id = :tenant AND id > :after AND id < :floor {extra}
            ORDER BY id LIMIT :n""",
        {"tenant": tenant, "after": after, "floor": id_floor(before), "before": before, "n": limit},
    )
    return [str(row[0]) for row in rows]


def _delete(table: str, column: str, tenant: str, ids: list[str]) -> Work[int]:
    if not ids:
        return 0
    names, params = numbered("id", ids)
    rows = yield Sql(
        f"DELETE FROM {table} WHERE tenant_id = :tenant AND {column} IN ({names}) RETURNING 1",
        {"tenant": tenant, **params},
    )
    return len(rows)


def _following(ids: list[str], limit: int) -> str | None:
    return ids[-1] if len(ids) == limit else None


def _events(tenant: str, after: str, before: int, limit: int) -> Work[Progress]:
    ids = yield from _old_ids("events", tenant, after, before, limit)
    if not ids:
        return 0, None
    names, params = numbered("id", ids)
    needed = yield Sql(
        f"""SELECT DISTINCT d.event_id FROM decisions d
            JOIN runs r ON r.tenant_id = d.tenant_id AND r.id = d.run_id
            WHERE d.tenant_id = :tenant AND d.event_id IN ({names})
              AND r.status IN ('QUEUED', 'RUNNING', 'PAUSED')""",
        {"tenant": tenant, **params},
    )
    kept = {str(row[0]) for row in needed}
    old = [event_id for event_id in ids if event_id not in kept]
    yield from _delete("decisions", "event_id", tenant, old)
    deleted = yield from _delete("events", "id", tenant, old)
    return deleted, _following(ids, limit)


def _attachments(tenant: str, before: int) -> Work[Progress]:
    """Delete a few at a time: each may be large."""
    rows = yield Sql(
        """SELECT a.event_id, a.number FROM attachments a
           WHERE a.tenant_id = :tenant AND a.event_id < :floor AND NOT EXISTS
             (SELECT 1 FROM events e WHERE e.tenant_id = a.tenant_id AND e.id = a.event_id)
           ORDER BY a.event_id, a.number LIMIT :n""",
        {"tenant": tenant, "floor": id_floor(before), "n": ATTACHMENTS},
    )
    for event_id, number in rows:
        for table in ("attachment_parts", "attachments"):
            yield Sql(
                f"DELETE FROM {table} WHERE tenant_id = :tenant AND event_id = :event AND number = :number",
                {"tenant": tenant, "event": event_id, "number": number},
            )
    return len(rows), "" if len(rows) == ATTACHMENTS else None


def _rounds(tenant: str, before: int, limit: int) -> Work[Progress]:
    rows = yield Sql(
        """SELECT r.tenant_id, r.trigger_id, r.correlation, r.number FROM join_rounds r
           WHERE r.tenant_id = :tenant AND r.updated_at < :before AND NOT EXISTS
             (SELECT 1 FROM trigger_index t WHERE t.tenant_id = r.tenant_id AND t.id = r.trigger_id
              AND t.deployment_status = 'active') LIMIT :n""",
        {"tenant": tenant, "before": before, "n": limit},
    )
    for row in rows:
        yield from joins.remove(joins.RoundId(*row))
    return len(rows), "" if len(rows) == limit else None


def _runs(tenant: str, after: str, before: int, limit: int) -> Work[Progress]:
    ids = yield from _old_ids("runs", tenant, after, before, limit, f"AND {_ENDED} AND ended_at < :before")
    yield from _delete("jobs", "run_id", tenant, ids)
    yield from _delete("job_logs", "run_id", tenant, ids)
    for table in ("wakes", "wait_answers", "wait_keys", "waits"):
        yield from _delete(table, "run_id", tenant, ids)
    deleted = yield from _delete("runs", "id", tenant, ids)
    return deleted, _following(ids, limit)


def _logs(tenant: str, after: str, before: int, limit: int) -> Work[Progress]:
    """Delete up to `limit` lines of the first old run after `after`; a run with more of them takes several portions."""
    rows = yield Sql(
        """SELECT run_id FROM job_logs WHERE tenant_id = :tenant AND run_id > :after AND run_id < :floor
           ORDER BY run_id LIMIT 1""",
        {"tenant": tenant, "after": after, "floor": id_floor(before)},
    )
    if not rows:
        return 0, None
    params: dict[str, Any] = {"tenant": tenant, "run": str(rows[0][0]), "n": limit}
    still_open = yield Sql(
        f"SELECT 1 FROM runs WHERE tenant_id = :tenant AND id = :run AND NOT {_ENDED}",
        {"tenant": tenant, "run": params["run"]},
    )
    if still_open:
        return 0, params["run"]
    last = yield Sql(
        """SELECT seq FROM job_logs WHERE tenant_id = :tenant AND run_id = :run ORDER BY seq LIMIT :n""", params
    )
    gone = yield Sql(
        "DELETE FROM job_logs WHERE tenant_id = :tenant AND run_id = :run AND seq <= :seq RETURNING 1",
        {"tenant": tenant, "run": params["run"], "seq": last[-1][0]},
    )
    return len(gone), after if len(gone) == limit else params["run"]


def _occurrences(tenant: str, after: str, before: int, limit: int) -> Work[Progress]:
    """Delete up to `limit` records of the first trigger after `after` that has any."""
    rows = yield Sql(
        "SELECT MIN(trigger_id) FROM occurrences WHERE tenant_id = :tenant AND trigger_id > :after",
        {"tenant": tenant, "after": after},
    )
    if rows[0][0] is None:
        return 0, None
    params: dict[str, Any] = {"tenant": tenant, "trigger": str(rows[0][0]), "before": before}
    old = yield Sql(
        """SELECT nominal FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger AND nominal < :before
           ORDER BY nominal LIMIT :n""",
        {**params, "n": limit},
    )
    if not old:
        return 0, params["trigger"]
    gone = yield Sql(
        "DELETE FROM occurrences WHERE tenant_id = :tenant AND trigger_id = :trigger AND nominal <= :last RETURNING 1",
        {"tenant": tenant, "trigger": params["trigger"], "last": old[-1][0]},
    )
    return len(gone), after if len(old) == limit else params["trigger"]


def _dead_letters(tenant: str, after: str, before: int, limit: int) -> Work[Progress]:
    ids = yield from _old_ids("dead_letters", tenant, after, before, limit, "AND status <> 'dead'")
    deleted = yield from _delete("dead_letters", "id", tenant, ids)
    return deleted, _following(ids, limit)


def _backfills(tenant: str, after: str, before: int, limit: int) -> Work[Progress]:
    ids = yield from _old_ids("backfills", tenant, after, before, limit, "AND ended_at < :before")
    deleted = yield from _delete("backfills", "id", tenant, ids)
    return deleted, _following(ids, limit)


def _audit(tenant: str, after: str, before: int, limit: int) -> Work[Progress]:
    ids = yield from _old_ids("audit", tenant, after, before, limit)
    deleted = yield from _delete("audit", "id", tenant, ids)
    return deleted, _following(ids, limit)


def _keys(before: int, limit: int) -> Work[int]:
    rows = yield Sql(
        """DELETE FROM idempotency_keys WHERE (tenant_id, scope, key) IN (
             SELECT tenant_id, scope, key FROM idempotency_keys WHERE created_at < :before
             ORDER BY created_at LIMIT :n) RETURNING 1""",
        {"before": before, "n": limit},
    )
    return len(rows)

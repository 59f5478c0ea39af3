"""Lists of waits, as people look at them."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.model.wait import Answer, Wait
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.stores.portable.rows import numbered
from workflow_scheduler.stores.portable.waits import SELECT, answer_from_row, readable, wait_from_row

_ANSWER = "responder, at, via, approved, answer, comment, event_id"


class WaitFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which waits to list; None leaves a field out."""

    status: str | None = None
    workflow_id: str | None = None
    run_id: str | None = None


class WaitRepository:
    """Reads the waits of a tenant."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store

    async def get(self, tenant_id: str, wait_id: str) -> Wait | None:
        """Return a wait, None where the tenant has none with this id.

        Raises:
            ValueError: its row is malformed.

        """
        rows = await self._store.read(
            f"SELECT {SELECT} FROM waits WHERE tenant_id = :tenant AND id = :id", {"tenant": tenant_id, "id": wait_id}
        )
        return wait_from_row(rows[0]) if rows else None

    async def page(
        self, tenant_id: str, wanted: WaitFilter, limit: int, before: str | None
    ) -> tuple[list[Wait], str | None]:
        """Return up to `limit` waits, the newest first, and the id to go on before; unreadable rows are left out."""
        given = {"status": wanted.status, "workflow_id": wanted.workflow_id, "run_id": wanted.run_id}
        filters = {name: value for name, value in given.items() if value is not None}
        clauses = "".join(f" AND {name} = :{name}" for name in filters)
        if before is not None:
            clauses += " AND id < :before"
        rows = await self._store.read(
            f"SELECT {SELECT} FROM waits WHERE tenant_id = :tenant{clauses} ORDER BY id DESC LIMIT :limit",
            {"tenant": tenant_id, "limit": limit + 1, "before": before, **filters},
        )
        following = str(rows[limit - 1][1]) if len(rows) > limit else None
        return readable(rows[:limit]), following

    async def open_of_run(self, tenant_id: str, run_id: str) -> list[Wait]:
        """Return the open waits of a run, the oldest first."""
        rows = await self._store.read(
            f"SELECT {SELECT} FROM waits WHERE tenant_id = :tenant AND run_id = :run AND status = 'OPEN' ORDER BY id",
            {"tenant": tenant_id, "run": run_id},
        )
        return readable(rows)

    async def answers(self, tenant_id: str, wait_ids: list[str]) -> dict[str, list[Answer]]:
        """Return the answers to waits, in the order in which they came."""
        if not wait_ids:
            return {}
        names, params = numbered("w", wait_ids)
        rows = await self._store.read(
            f"SELECT wait_id, {_ANSWER} FROM wait_answers WHERE tenant_id = :tenant AND wait_id IN ({names}) "
            "ORDER BY at, responder",
            {"tenant": tenant_id, **params},
        )
        found: dict[str, list[Answer]] = {}
        for row in rows:
            found.setdefault(str(row[0]), []).append(answer_from_row(row[1:]))
        return found

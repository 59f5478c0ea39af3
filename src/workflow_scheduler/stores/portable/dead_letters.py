"""Dead letters: what was given up on, as it is read and settled."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from workflow_scheduler.core.errors import Conflict, NotFound
from workflow_scheduler.core.ports.store import DeadLetter, Sql, Store, Work
from workflow_scheduler.stores.portable.rows import Malformed, quarantine, read_rows
from workflow_scheduler.stores.portable.scan import Scan, between, page

Status = Literal["dead", "redriven", "discarded"]
COLUMNS = (
    "id", "tenant_id", "kind", "event_id", "run_id", "trigger_id", "workflow_id", "reason", "detail", "payload",
    "attempts", "status", "created_at", "settled_at",
)  # fmt: skip
_SELECT = ", ".join(COLUMNS)
_OF_WORKFLOW = """workflow_id IN (SELECT w.id FROM workflows w
  WHERE w.tenant_id = :tenant AND (w.id = :workflow OR w.name = :workflow))"""


class StoredDeadLetter(DeadLetter, frozen=True, kw_only=True, gc=False):
    """A dead letter as it lies in the table; `settled_at` (microseconds) is when it was redriven or discarded."""

    status: Status = "dead"
    settled_at: int | None = None


class DeadLetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters. Times are microseconds of death, `until` exclusive; None leaves a field out.

    `workflow` is the id or the name of one that exists.
    """

    status: Status = "dead"
    kind: str | None = None
    reason: str | None = None
    workflow: str | None = None
    workflow_id: str | None = None
    trigger_id: str | None = None
    event_id: str | None = None
    run_id: str | None = None
    since: int | None = None
    until: int | None = None


class DeadLetterRepository:
    """Reads and settles the dead letters of a tenant."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def get(self, tenant_id: str, dead_letter_id: str, now: int) -> StoredDeadLetter | Malformed:
        """Return one dead letter.

        Raises:
            NotFound: the tenant has no such dead letter.

        """
        rows = await self._store.read(
            f"SELECT {_SELECT} FROM dead_letters WHERE tenant_id = :tenant AND id = :id",
            {"tenant": tenant_id, "id": dead_letter_id},
        )
        if not rows:
            raise NotFound(f"There is no dead letter `{dead_letter_id}`.", fix="List them: GET /api/v1/dead-letters")
        found = read_rows(StoredDeadLetter, COLUMNS, rows, "dead_letters")
        await quarantine(self._store, tenant_id, found, now)
        return found[0]

    async def page(
        self, tenant_id: str, wanted: DeadLetterFilter, limit: int, cursor: str | None, now: int
    ) -> tuple[list[StoredDeadLetter | Malformed], str | None]:
        """Return the newest dead letters first, and the cursor of the next page."""
        names = ("kind", "reason", "workflow_id", "trigger_id", "event_id", "run_id")
        given = {name: getattr(wanted, name) for name in names if getattr(wanted, name) is not None}
        params: dict[str, Any] = {"tenant": tenant_id, "status": wanted.status, **given}
        filters = [f"{name} = :{name}" for name in given]
        if wanted.workflow is not None:
            params["workflow"] = wanted.workflow
            filters.append(_OF_WORKFLOW)
        scan = Scan(
            table="dead_letters",
            columns=COLUMNS,
            fixed=["tenant_id = :tenant", "status = :status"],
            filters=filters,
            params=params,
            ids=between(cursor, wanted.since, wanted.until),
        )
        rows, after = await page(self._store, scan, limit)
        found = read_rows(StoredDeadLetter, COLUMNS, rows, "dead_letters")
        await quarantine(self._store, tenant_id, found, now)
        return found, after

    async def settle(self, tenant_id: str, dead_letter_id: str, status: Status, now: int) -> None:
        """Mark a dead letter that is still dead as `status`.

        Raises:
            NotFound: the tenant has no such dead letter.
            Conflict: it was redriven or discarded before.

        """
        await self._store.transact(_settle(tenant_id, dead_letter_id, status, now))


def _settle(tenant_id: str, dead_letter_id: str, status: Status, now: int) -> Work[None]:
    params = {"tenant": tenant_id, "id": dead_letter_id, "status": status, "now": now}
    rows = yield Sql("SELECT status FROM dead_letters WHERE tenant_id = :tenant AND id = :id", params)
    if not rows:
        raise NotFound(f"There is no dead letter `{dead_letter_id}`.", fix="List them: GET /api/v1/dead-letters")
    changed = yield Sql(
        """UPDATE dead_letters SET status = :status, settled_at = :now
           WHERE tenant_id = :tenant AND id = :id AND status = 'dead' RETURNING id""",
        params,
    )
    if not changed:
        raise Conflict(f"The dead letter `{dead_letter_id}` is {rows[0][0]} already.")

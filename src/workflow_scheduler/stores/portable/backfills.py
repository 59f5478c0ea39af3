"""Backfills: their rows, and the guarded steps by which they go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.model.backfill import Backfill
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.stores.portable.rows import Malformed, numbered, quarantine, read_rows

FIELDS = Backfill.__struct_fields__
_NAMES = tuple("trigger_name" if name == "trigger" else name for name in FIELDS)
_SELECT = ", ".join(_NAMES)
# What a step or a person may change; the rest of a backfill is what was asked for.
_MOVING = (
    "status", "position", "exhausted", "started", "succeeded", "failed", "cancelled", "skipped", "active",
    "cancel_runs", "note", "updated_at", "paused_at", "paused_us", "ended_at",
)  # fmt: skip
_OPEN = "status IN ('running', 'paused', 'cancelling')"
_ALIVE = "SELECT i.id FROM instances i WHERE i.lease_until >= :now"


class BackfillFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which backfills to list; None leaves a field out."""

    workflow_id: str | None = None
    status: str | None = None


class BackfillRepository:
    """Reads and writes backfills."""

    def __init__(self, store: Store) -> None:
        """Read from and write to `store`."""
        self._store = store

    async def get(self, tenant_id: str, backfill_id: str, now: int) -> Backfill | Malformed:
        """Return one backfill.

        Raises:
            NotFound: the tenant has no such backfill.

        """
        rows = await self._store.read(
            f"SELECT {_SELECT} FROM backfills WHERE tenant_id = :tenant AND id = :id",
            {"tenant": tenant_id, "id": backfill_id},
        )
        if not rows:
            raise NotFound(f"There is no backfill `{backfill_id}`.", fix="List them: GET /api/v1/backfills")
        return (await self._checked(tenant_id, rows, now))[0]

    async def page(
        self, tenant_id: str, wanted: BackfillFilter, limit: int, cursor: str | None, now: int
    ) -> tuple[list[Backfill | Malformed], str | None]:
        """Return the newest backfills first, and the cursor of the next page."""
        where, params = ["tenant_id = :tenant"], {"tenant": tenant_id, "limit": limit + 1}
        for column in ("workflow_id", "status"):
            value = getattr(wanted, column)
            if value is not None:
                where.append(f"{column} = :{column}")
                params[column] = value
        if cursor is not None:
            where.append("id < :before")
            params["before"] = cursor
        text = f"SELECT {_SELECT} FROM backfills WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT :limit"
        rows = await self._store.read(text, params)
        found = await self._checked(tenant_id, rows[:limit], now)
        return found, str(rows[limit - 1][0]) if len(rows) > limit else None

    async def _checked(self, tenant_id: str, rows: Sequence[Row], now: int) -> list[Backfill | Malformed]:
        found = read_rows(Backfill, FIELDS, rows, "backfills")
        await quarantine(self._store, tenant_id, found, now)
        return found

    async def open_rows(self, limit: int) -> list[Backfill]:
        """Return the readable backfills of all tenants that have not ended, the oldest first."""
        rows = await self._store.read(
            f"SELECT {_SELECT} FROM backfills WHERE {_OPEN} ORDER BY id LIMIT :limit", {"limit": limit}
        )
        found = read_rows(Backfill, FIELDS, rows, "backfills")
        return [one for one in found if isinstance(one, Backfill)]

    async def add(self, backfill: Backfill) -> None:
        """Store a new backfill."""
        await self._store.transact(_add(backfill))

    async def claim(self, backfill: Backfill, owner: str, now: int) -> Backfill | None:
        """Take an open backfill over for the instance `owner`; None while an instance that is alive works on it."""
        rows = await self._store.transact(_claim(backfill, owner, now))
        found = read_rows(Backfill, FIELDS, rows, "backfills")
        return found[0] if found and isinstance(found[0], Backfill) else None

    async def change(self, was: Backfill, to: Backfill) -> bool:
        """Write what moved from `was` to `to`; False when somebody else wrote it in between."""
        return await self._store.transact(move(was, to))

    async def statuses(self, tenant_id: str, run_ids: Sequence[str]) -> dict[str, RunStatus | None]:
        """Return how these runs stand; None for one that is no longer stored."""
        if not run_ids:
            return {}
        names, params = numbered("id", run_ids)
        rows = await self._store.read(
            f"SELECT id, status FROM runs WHERE tenant_id = :tenant AND id IN ({names})",
            {"tenant": tenant_id, **params},
        )
        found = {str(run_id): RunStatus(status) for run_id, status in rows if status in set(RunStatus)}
        return {run_id: found.get(run_id) for run_id in run_ids}


def _values(backfill: Backfill, names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(backfill, name) for name in names}
    return {name: int(value) if isinstance(value, bool) else value for name, value in values.items()}


def _add(backfill: Backfill) -> Work[None]:
    values = _values(backfill, FIELDS)
    slots = ", ".join(f":{name}" for name in FIELDS)
    yield Sql(f"INSERT INTO backfills ({_SELECT}) VALUES ({slots})", values)


def _claim(backfill: Backfill, owner: str, now: int) -> Work[list[Row]]:
    rows = yield Sql(
        f"""UPDATE backfills SET owner = :me, fence = fence + 1 WHERE tenant_id = :tenant AND id = :id AND {_OPEN}
              AND (owner IS NULL OR (owner <> :me AND owner NOT IN ({_ALIVE}))) RETURNING {_SELECT}""",
        {"tenant": backfill.tenant_id, "id": backfill.id, "me": owner, "now": now},
    )
    return rows


def hold(backfill: Backfill) -> Work[bool]:
    """Lock a backfill for a step; False when it is another one's, or was changed since it was read."""
    rows = yield Sql(
        """UPDATE backfills SET fence = fence WHERE tenant_id = :tenant AND id = :id AND fence = :fence
             AND revision = :revision RETURNING id""",
        {
            "tenant": backfill.tenant_id,
            "id": backfill.id,
            "fence": backfill.fence,
            "revision": backfill.revision,
        },
    )
    return bool(rows)


def move(was: Backfill, to: Backfill) -> Work[bool]:
    """Write what moved, where fence and revision are still those of `was`; return whether they were."""
    sets = ", ".join(f"{name} = :{name}" for name in _MOVING)
    rows = yield Sql(
        f"""UPDATE backfills SET {sets}, revision = revision + 1 WHERE tenant_id = :tenant AND id = :id
              AND fence = :fence AND revision = :revision RETURNING id""",
        {
            **_values(to, _MOVING),
            "tenant": was.tenant_id,
            "id": was.id,
            "fence": was.fence,
            "revision": was.revision,
        },
    )
    return bool(rows)

"""Stored events, as they are read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.ports.store import Row, Sql, Store, Work
from workflow_scheduler.stores.portable.rows import Malformed, numbered, quarantine, read_row, strings
from workflow_scheduler.stores.portable.scan import Scan, between, page

COLUMNS = (
    "id", "tenant_id", "provider", "source", "type", "subject", "event_key", "time", "received_at", "data",
    "attributes", "index_keys", "sub_keys", "target_trigger_id", "depth", "cause_run_id", "traceparent",
    "user_id", "replay_of", "duplicates",
)  # fmt: skip
_EVENTS = ", ".join(COLUMNS)


class StoredEvent(Event, frozen=True, kw_only=True, gc=False):
    """An event as it lies in the table: `duplicates` counts how often its key was refused later."""

    duplicates: int = 0


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events to list. Times are microseconds of receipt, `until` exclusive; None leaves a field out."""

    source: str | None = None
    type: str | None = None
    provider: str | None = None
    since: int | None = None
    until: int | None = None


def _read(row: Row) -> StoredEvent | Malformed:
    try:
        values = list(row)
        for place in (COLUMNS.index("index_keys"), COLUMNS.index("sub_keys")):
            values[place] = strings(values[place])
        return read_row(StoredEvent, COLUMNS, tuple(values))
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        return Malformed("events", str(row[0]), str(error))


def stored(tenant_id: str, event_id: str) -> Work[StoredEvent | None]:
    """Return one event, as a step of a transaction; None where there is none that can be read."""
    rows = yield Sql(
        f"SELECT {_EVENTS} FROM events WHERE tenant_id = :tenant AND id = :id", {"tenant": tenant_id, "id": event_id}
    )
    found = _read(rows[0]) if rows else None
    return found if isinstance(found, StoredEvent) else None


class EventRepository:
    """Reads the events of a tenant."""

    def __init__(self, store: Store) -> None:
        """Read from `store`."""
        self._store = store

    async def get(self, tenant_id: str, event_id: str, now: int) -> StoredEvent | Malformed:
        """Return one event.

        Raises:
            NotFound: the tenant has no such event.

        """
        found = await self.several(tenant_id, [event_id], now)
        if not found:
            raise NotFound(f"There is no event `{event_id}`.", fix="List the events: GET /api/v1/events")
        return found[0]

    async def several(self, tenant_id: str, event_ids: Sequence[str], now: int) -> list[StoredEvent | Malformed]:
        """Return those of these events that exist, the oldest first."""
        if not event_ids:
            return []
        names, params = numbered("id", event_ids)
        rows = await self._store.read(
            f"SELECT {_EVENTS} FROM events WHERE tenant_id = :tenant AND id IN ({names}) ORDER BY id",
            {"tenant": tenant_id, **params},
        )
        found = [_read(row) for row in rows]
        await quarantine(self._store, tenant_id, found, now)
        return found

    async def page(
        self, tenant_id: str, wanted: EventFilter, limit: int, cursor: str | None, now: int
    ) -> tuple[list[StoredEvent | Malformed], str | None]:
        """Return the newest events first, and the cursor of the next page."""
        named = {"source": wanted.source, "type": wanted.type, "provider": wanted.provider}
        given = {column: value for column, value in named.items() if value is not None}
        fixed = ["tenant_id = :tenant"]
        if wanted.since is not None:
            # Ids never go back, not even when the clock does: an id may name a later time than the row.
            fixed.append("received_at >= :received")
        scan = Scan(
            table="events",
            columns=COLUMNS,
            fixed=fixed,
            filters=[f"{column} = :{column}" for column in given],
            params={"tenant": tenant_id, "received": wanted.since, **given},
            ids=between(cursor, wanted.since, wanted.until),
        )
        rows, after = await page(self._store, scan, limit)
        found = [_read(row) for row in rows]
        await quarantine(self._store, tenant_id, found, now)
        return found, after

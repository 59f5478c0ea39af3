"""The outbox: facts that become events, stored in the transaction of the change that they tell of.

A row stays until its event is accepted, and its id is the event's key: whatever is repeated, one event comes of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.system_event import SystemEvent
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.stores.portable.rows import numbered


class OutboxRow(msgspec.Struct, frozen=True, gc=False):
    """A fact that waits to become an event. `data` is JSON bytes, `at` microseconds UTC."""

    tenant_id: str
    id: str
    type: str
    source: str
    subject: str | None
    data: bytes
    at: int


def put(fact: SystemEvent, now: int, row_id: str | None = None) -> Sql:
    """Return the statement that stores a fact, as a step of the transaction that makes it true.

    With a `row_id`, which is new otherwise, a transaction that is repeated tells the fact once.
    """
    return Sql(
        "INSERT INTO outbox (tenant_id, id, type, source, subject, data, at) "
        "VALUES (:tenant, :id, :type, :source, :subject, :data, :at) ON CONFLICT DO NOTHING",
        {
            "tenant": fact.tenant_id,
            "id": row_id or mint(now),
            "type": fact.type,
            "source": fact.source,
            "subject": fact.subject,
            "data": msgspec.json.encode(fact.data),
            "at": now,
        },
    )


async def waiting(store: Store, limit: int) -> list[OutboxRow]:
    """Return up to `limit` facts of all tenants."""
    rows = await store.read(
        "SELECT tenant_id, id, type, source, subject, data, at FROM outbox ORDER BY tenant_id, id LIMIT :limit",
        {"limit": limit},
    )
    return [OutboxRow(row[0], row[1], row[2], row[3], row[4], bytes(row[5]), row[6]) for row in rows]


def remove(tenant_id: str, ids: Sequence[str]) -> Work[None]:
    """Remove facts of one tenant whose events are accepted."""
    names, params = numbered("id", list(ids))
    yield Sql(f"DELETE FROM outbox WHERE tenant_id = :tenant AND id IN ({names})", {"tenant": tenant_id, **params})

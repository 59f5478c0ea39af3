"""GitHub's deliveries are stored once, as events, and can be read under the platform's table name."""

import asyncpg
import msgspec
import pytest

from workflow_scheduler.core.ports.store import Accepted, Batch
from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.factories import NOON, make_event

FACTS = {"delivery": "d-1", "event": "push", "installation_id": 42}


def delivery(**given):
    values = {
        "provider": "github", "type": "github.push", "data": b'{"repository":{"id":7}}',
        "attributes": msgspec.json.encode(FACTS), **given,
    }  # fmt: skip
    return make_event(**values)


@pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
async def test_the_columns_are_those_of_the_platform(store):
    event = delivery()
    await store.commit(Batch(accepted=[Accepted(event, [], []), Accepted(make_event(), [], [])]))
    rows = await store.read(
        "SELECT id, delivery_id, event_type, installation_id, repository_id, payload, processed_at, created_at "
        "FROM github_webhook_events WHERE tenant_id = :tenant",
        {"tenant": "local"},
    )
    assert rows == [(event.id, "d-1", "push", 42, 7, event.data, NOON, NOON)]


@pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
@pytest.mark.parametrize("data", [b"{}", b'{"repository":{"id":"x"}}', b'{"repository":{"id":1e300}}', b'["\\u0000"]'])
async def test_odd_payloads_leave_the_others_readable(store, data):
    await store.commit(Batch(accepted=[Accepted(delivery(data=data, attributes=b"{}"), [], [])]))
    rows = await store.read("SELECT delivery_id, installation_id, repository_id, payload FROM github_webhook_events")
    assert rows == [(None, None, None, data)]


async def test_the_view_keeps_tenants_apart(postgres_url):
    store = PostgresStore(postgres_url, FakeClock())
    await store.open()
    await store.commit(Batch(accepted=[Accepted(delivery(tenant_id=tenant), [], []) for tenant in ("a", "b")]))
    await store.close()
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("SET ROLE wfs_service")
    assert await connection.fetchval("SELECT COUNT(*) FROM github_webhook_events") == 0
    await connection.execute("SET wfs.tenant = 'a'")
    assert [row[0] for row in await connection.fetch("SELECT tenant_id FROM github_webhook_events")] == ["a"]
    await connection.close()

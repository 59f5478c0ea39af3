"""What earlier versions have stored is there after an upgrade."""

import pytest

from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.stores.migrations.runner import migrations
from workflow_scheduler.stores.portable import joins
from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock

OLD = [("sales", 100, b'{"n":1}'), ("stock", 300, b'{"n":2}')]
PUT = (
    "INSERT INTO joins (tenant_id, trigger_id, member, event_id, run_id, status, at, data) "
    "VALUES (:tenant, 't', :member, 'e', 'r', 'SUCCEEDED', :at, :data)"
)


@pytest.fixture(params=["sqlite", "postgres"])
def new_store(request, tmp_path):
    if request.param == "sqlite":
        return lambda: SqliteStore(tmp_path / "wfs.db", FakeClock())
    url = request.getfixturevalue("bare_postgres_url")
    return lambda: PostgresStore(url, FakeClock())


async def test_members_that_had_arrived_for_a_join_still_wait(new_store, monkeypatch):
    kind = new_store().dialect
    place = f"workflow_scheduler.stores.{kind}.connection.migrations"
    with monkeypatch.context() as patched:
        patched.setattr(place, lambda dialect: tuple(one for one in migrations(dialect) if one.number < 33))
        store = new_store()
        await store.open()

        def work():
            for tenant in ("a", "b"):
                for member, at, data in OLD:
                    yield Sql(PUT, {"tenant": tenant, "member": member, "at": at, "data": data})

        await store.transact(work())
        await store.close()
    store = new_store()
    await store.open()
    try:
        for tenant in ("a", "b"):
            ((one, arrived),) = await joins.of_trigger(store, tenant, "t")
            assert (one.id.correlation, one.id.number, one.opened_at, one.updated_at) == ("", 0, 100, 300)
            assert one.due_at is one.missed_at is None
            assert [(part.name, part.at, part.data) for part in arrived] == OLD
        with pytest.raises(Exception, match="joins"):
            await store.read("SELECT 1 FROM joins")
    finally:
        await store.close()

"""PostgreSQL keeps tenants apart even where a statement forgets to."""

import asyncpg
import pytest

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.ports.store import Batch, Sql
from workflow_scheduler.stores.migrations.runner import migrations
from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.conformance.store_material import started
from workflow_scheduler.testing.factories import make_event

EVERY_EVENT = "SELECT id FROM events WHERE :tenant = :tenant"


@pytest.fixture
async def store(postgres_url):
    opened = PostgresStore(postgres_url, FakeClock())
    await opened.open()
    yield opened
    await opened.close()


async def test_a_read_sees_one_tenant(store):
    mine, theirs = started(make_event(tenant_id="a")), started(make_event(tenant_id="b"))
    await store.commit(Batch(accepted=[mine, theirs]))
    assert await store.read(EVERY_EVENT, {"tenant": "a"}) == [(mine.event.id,)]
    assert await store.read(EVERY_EVENT, {"tenant": "b"}) == [(theirs.event.id,)]
    assert await store.read(EVERY_EVENT, {"tenant": "c"}) == []
    assert len(await store.read("SELECT id FROM events")) == 2, "the service's own loops serve all tenants"


async def test_a_work_cannot_touch_another_tenant(store):
    theirs = started(make_event(tenant_id="b"))
    await store.commit(Batch(accepted=[theirs]))

    def delete():
        return (yield Sql("DELETE FROM events WHERE :tenant = :tenant RETURNING id", {"tenant": "a"}))

    def insert():
        yield Sql(
            "INSERT INTO secrets (tenant_id, name, sealed, created_at, updated_at) "
            "SELECT 'b', 'n', :sealed, 0, 0 WHERE :tenant = :tenant",
            {"tenant": "a", "sealed": b"x"},
        )

    assert await store.transact(delete()) == []
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        await store.transact(insert())
    assert len(await store.read("SELECT id FROM events")) == 1


async def test_what_a_rollback_took_back_is_set_again(store):
    mine = started(make_event(tenant_id="a"))
    await store.commit(Batch(accepted=[mine]))

    def fails():
        yield Sql(EVERY_EVENT, {"tenant": "b"})
        yield Sql(EVERY_EVENT, {"tenant": "a"})
        raise NotFound("b")

    for _ in range(3):
        with pytest.raises(NotFound):
            await store.transact(fails())
        assert await store.read(EVERY_EVENT, {"tenant": "a"}) == [(mine.event.id,)]
        assert await store.read(EVERY_EVENT, {"tenant": "b"}) == []


async def test_every_table_with_a_tenant_is_bound(store, postgres_url):
    connection = await asyncpg.connect(postgres_url)
    open_tables = await connection.fetch(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' "
        "WHERE c.relkind = 'r' AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"
    )
    role = await connection.fetchrow("SELECT rolsuper, rolbypassrls FROM pg_roles WHERE rolname = 'wfs_service'")
    await connection.close()
    assert open_tables == []
    assert tuple(role) == (False, False)


async def test_a_session_that_names_no_tenant_sees_nothing(store, postgres_url):
    await store.commit(Batch(accepted=[started()]))
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("SET ROLE wfs_service")
    assert await connection.fetch("SELECT id FROM events") == []
    await connection.close()


async def test_an_owner_who_may_not_make_roles_is_bound_as_well(postgres_server, postgres_url):
    admin = await asyncpg.connect(postgres_url)
    await admin.execute("DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN NOSUPERUSER NOBYPASSRLS")
    await admin.execute("CREATE SCHEMA own AUTHORIZATION plain; SET ROLE plain; SET search_path = own")
    try:
        await admin.execute(migrations("postgres")[0].text)
        await admin.execute("INSERT INTO tenants (id, name, created_at) SELECT 'a', 'a', 0 WHERE false")
        await admin.execute("SET wfs.tenant = 'a'; INSERT INTO tenants (id, name, created_at) VALUES ('a', 'a', 0)")
        await admin.execute("SET wfs.tenant = 'b'")
        assert await admin.fetch("SELECT id FROM tenants") == []
    finally:
        await admin.execute("RESET ROLE; DROP SCHEMA own CASCADE; DROP OWNED BY plain; DROP ROLE plain")
        await admin.close()

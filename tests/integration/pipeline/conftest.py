"""Instances on both stores, with a clock that stands still."""

import asyncpg
import pytest
from plant import Instance

from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock

EMPTY = """
DO $$ DECLARE name TEXT; BEGIN
  PERFORM set_config('wfs.tenant', '*', true);
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
    AND tablename NOT IN ('schema_migrations', 'index_epoch') LOOP
    EXECUTE format('DELETE FROM %I', name);
  END LOOP;
END $$
"""


@pytest.fixture(scope="session")
def shared_database(postgres_lender):
    """One database for all tests of this folder: to make a new one costs more than most of them."""
    with postgres_lender() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def new_store(request, tmp_path):
    """Both stores, for every test of this folder."""
    url = request.getfixturevalue("shared_database") if request.param == "postgres" else None
    clock = FakeClock()
    return lambda: PostgresStore(url, clock) if url else SqliteStore(tmp_path / "wfs.db", clock)


@pytest.fixture
async def store(new_store):
    """An open, empty store."""
    opened = new_store()
    await opened.open()
    yield opened
    await opened.close()
    if opened.dialect == "postgres":
        connection = await asyncpg.connect(opened._url)
        await connection.execute(EMPTY)
        await connection.close()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def one(store, clock):
    """One instance."""
    instance = Instance(store, clock)
    await instance.begin()
    yield instance
    await instance.inbox.drain()


@pytest.fixture
async def two(store, new_store, clock, one):
    """A second instance, on PostgreSQL with connections of its own, as another process would be."""
    other = new_store() if store.dialect == "postgres" else store
    if other is not store:
        await other.open()
    instance = Instance(other, clock, "two")
    await instance.begin()
    yield instance
    await instance.inbox.drain()
    if other is not store:
        await other.close()

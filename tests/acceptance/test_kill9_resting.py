"""kill -9 around runs that rest: what had ended is not run again, and each goes on once its time has come."""

from collections import Counter

import apsw
import pytest
from chaos import audit, scene
from chaos.service import Service, wait_until

DAY_US = 86_400_000_000
NAP = {
    "version": 1,
    "name": "nap",
    "triggers": {"by-hand": {"type": "manual"}},
    "jobs": {
        "before": scene.mark("before"),
        "nap": {"uses": "sleep_for", "with": {"duration": "1d"}, "needs": ["before"]},
        "after": scene.mark("after", "nap"),
    },
}


@pytest.fixture
def service(tmp_path):
    made = Service(tmp_path)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.kill()


def a_day_later(folder):
    """Let a day pass for the stored times, while no process has the database open."""
    connection = apsw.Connection(str(next((folder / "data").glob("*.db"))))
    connection.execute("UPDATE runs SET wake_at = wake_at - ?", (DAY_US,))
    connection.execute("UPDATE jobs SET wake_at = wake_at - ? WHERE wake_at IS NOT NULL", (DAY_US,))
    connection.close()


def test_resting_runs_survive_kills_and_end_once(service, tmp_path):
    tables, marks = audit.Tables(tmp_path), audit.Marks(service.marks)

    def resting():
        (rows,) = tables.select("SELECT owner, status FROM runs")
        return rows

    service.start()
    service.deploy(NAP)
    for _ in range(12):
        service.call("POST", "/api/v1/triggers/workflows/nap/manual", {})
    service.died_within(0.3)
    service.kill()  # some rest by now, some are under way
    service.start()
    wait_until(lambda: set(resting()) == {("parked", "PAUSED")}, seconds=120, what="the rest of all runs")
    before = Counter(marks.lines())
    service.kill()
    a_day_later(tmp_path)
    service.start()
    service.died_within(0.3)
    service.kill()  # some have been taken up
    service.start()
    wait_until(lambda: service.open_runs() == 0, seconds=120, what="the end of all runs")
    after = Counter(marks.lines())
    assert service.stop() == 0, service.tail()
    ends, jobs = tables.select("SELECT status FROM runs", "SELECT status FROM jobs")
    assert set(ends) == {("SUCCEEDED",)}
    assert set(jobs) == {("SUCCEEDED",)}
    assert {line: count for line, count in after.items() if line[1] == "before"} == before
    assert len([line for line in after if line[1] == "after"]) == len(ends) == 12

"""Three instances on one PostgreSQL: each event and each time once, and nobody's death or sleep loses or doubles it."""

import contextlib
import signal
import time

import pytest
from chaos import audit, ledger, scene
from chaos.service import Service, wait_until

TAKEOVER_SECONDS = 20
SLOW = {
    "version": 1,
    "name": "slow",
    "triggers": {"in": {"type": "webhook", "path": "slow", "signature": {"scheme": "none"}}},
    "jobs": {
        "before": scene.mark("before"),
        "wait": {"uses": "sleep_for", "with": {"duration": "3s"}, "needs": ["before"]},
        "only": scene.mark("only", "wait"),
    },
}
BURST = {
    "version": 1,
    "name": "burst",
    "concurrency": {"max_runs": 6},
    "triggers": {"in": {"type": "webhook", "path": "burst", "signature": {"scheme": "none"}}},
    "jobs": {"only": scene.mark("only", function="mark_slowly")},
}
LATER = {
    "version": 1,
    "name": "later",
    "triggers": {"in": {"type": "workflow", "workflow": "slow"}},
    "jobs": {"only": {"uses": "noop"}},
}


class Three:
    """Three instances that share a database and a folder, and the sender that talks to all of them."""

    def __init__(self, folder, url):
        self.folder = folder
        self.instances = [Service(folder, url) for _ in range(3)]
        self.tables = audit.Tables(folder, url)
        self.marks = audit.Marks(self.instances[0].marks)
        self.ledger = folder / "ledger.jsonl"
        self.slept = set()

    def start(self, *definitions, **environment):
        for instance in self.instances:
            instance.start(**environment)
        for definition in definitions:
            self.instances[0].deploy(definition)

    def pour(self, seed, seconds):
        """Send to all instances at once for a while."""
        pour = scene.Pour([instance.port for instance in self.instances], self.ledger, seed, threads=9)
        self.instances[0].died_within(seconds)
        pour.close()

    def settle(self, seconds=60):
        """Wait until every run has ended."""
        awake = [one for one in self.instances if one.process.poll() is None and one not in self.slept]
        wait_until(lambda: awake[0].open_runs() == 0, seconds, what="the end of all runs")

    def send(self, path, count, instance):
        for number in range(count):
            instance.call("POST", f"/api/v1/public/webhook/{path}", {"n": number}, {"webhook-id": f"{path}-{number}"})

    def stop(self):
        for instance in self.instances:
            if instance.process is not None and instance.process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    instance.process.send_signal(signal.SIGCONT)
                instance.kill()


@pytest.fixture
def three(tmp_path, postgres_url):
    made = Three(tmp_path, postgres_url)
    yield made
    made.stop()


def no_complaints(three):
    entries = ledger.read(three.ledger)
    assert len(entries) > 50
    found = audit.events_and_runs(three.tables, entries) + audit.schedules(three.tables)
    assert not found, "\n".join(found[:20])


def test_what_all_instances_hear_at_once_runs_once(three):
    three.start(*scene.WORKFLOWS)
    three.instances[1].deploy(scene.ticks(6))
    three.pour(seed=11, seconds=8)
    three.instances[2].come_to_rest()
    for instance in three.instances:
        assert instance.stop() == 0, instance.tail()
    no_complaints(three)
    lines = three.marks.lines()
    assert len(lines) == len(set(lines))


def test_runs_of_a_killed_instance_are_taken_over_and_finished_once(three):
    three.start(SLOW, LATER)
    victim, other = three.instances[2], three.instances[0]
    three.send("slow", 30, victim)
    wait_until(lambda: len(three.marks.lines()) >= 30, what="the first jobs")
    wait_until(lambda: len(three.tables.finished_jobs()) >= 30, what="their records")
    victim.kill()
    killed = time.perf_counter()
    three.marks.close_chapter(three.tables.finished_jobs())
    wait_until(lambda: len(other.items("/api/v1/runs", workflow="later", status="SUCCEEDED")) == 30,
               seconds=TAKEOVER_SECONDS + 10, what="the end of the runs that were taken over")  # fmt: skip
    assert time.perf_counter() - killed < TAKEOVER_SECONDS + 3 + 2
    three.settle()
    three.marks.close_chapter(set())
    assert three.marks.repeated == []
    assert sorted(job for _, job in three.marks.lines()) == ["before"] * 30 + ["only"] * 30
    assert len(other.items("/api/v1/runs", workflow="slow", status="SUCCEEDED")) == 30
    assert len(other.items("/api/v1/runs", workflow="later")) == 30


def test_an_instance_that_slept_through_its_lease_writes_nothing_when_it_wakes(three):
    three.start(SLOW, LATER, LOCK_TIMEOUT="3")
    sleeper, other = three.instances[1], three.instances[0]
    three.send("slow", 30, sleeper)
    wait_until(lambda: len(three.tables.finished_jobs()) >= 30, what="the first jobs")
    three.slept.add(sleeper)
    sleeper.process.send_signal(signal.SIGSTOP)
    wait_until(lambda: len(other.items("/api/v1/runs", workflow="later", status="SUCCEEDED")) == 30,
               seconds=TAKEOVER_SECONDS, what="the end of the runs that were taken over")  # fmt: skip
    three.settle()
    before = three.tables.select("SELECT id, status, fence, ended_at, output FROM runs ORDER BY id")[0]
    sleeper.process.send_signal(signal.SIGCONT)
    wait_until(sleeper.healthy, what="the sleeper's answer")
    answer = sleeper.call("POST", "/api/v1/public/webhook/slow?wait=run", {"n": 99}, {"webhook-id": "after-waking"})
    run_id = answer["decisions"][0]["run_id"]
    wait_until(lambda: len(other.items("/api/v1/runs", workflow="later", status="SUCCEEDED")) == 31,
               what="the run that the sleeper started when it was awake")  # fmt: skip
    after = three.tables.select("SELECT id, status, fence, ended_at, output FROM runs ORDER BY id")[0]
    new = {row[0] for row in after} - {row[0] for row in before}
    assert [row for row in after if row[0] not in new] == before
    assert run_id in new
    assert len(new) == 2
    assert len(three.tables.select("SELECT id FROM events WHERE provider = 'workflow'")[0]) == 31


def test_an_instance_that_wakes_up_begins_no_job_that_others_have_done(three):
    three.start(BURST, LOCK_TIMEOUT="3")
    sleeper, other = three.instances[1], three.instances[0]
    count = 30
    three.send("burst", count, sleeper)
    three.slept.add(sleeper)
    sleeper.process.send_signal(signal.SIGSTOP)
    begun = {run for run, _ in three.marks.lines()}
    assert len(begun) < count // 2
    wait_until(lambda: len(other.items("/api/v1/runs", status="SUCCEEDED")) == count, what="the end of all runs")
    sleeper.process.send_signal(signal.SIGCONT)
    wait_until(sleeper.healthy, what="the sleeper's answer")
    sleeper.call("POST", "/api/v1/public/webhook/burst?wait=run", {}, {"webhook-id": "after-waking"})
    lines = [run for run, _ in three.marks.lines()]
    again = [run for run in lines if run not in begun and lines.count(run) > 1]
    assert again == []
    assert len(other.items("/api/v1/runs", status="SUCCEEDED")) == count + 1

"""A run whose job ends the whole process: it is given up after five deliveries, and takes nobody with it."""

from chaos import audit
from chaos.scene import HOOK, PING
from chaos.service import Service, wait_until

STARTS_MAX = 12
NEIGHBOURS = 30
POISON = {
    "version": 1,
    "name": "poison",
    "triggers": {"in": {"type": "webhook", "path": "poison", "signature": {"scheme": "none"}}},
    "jobs": {"only": {"uses": "python", "with": {"function": "chaos_marks:die", "args": ["${run.id}", "only"]}}},
}
SLEEPER = {
    "version": 1,
    "name": "sleeper",
    "triggers": {"in": {"type": "webhook", "path": "sleeper", "signature": {"scheme": "none"}}},
    "jobs": {"only": {"uses": "sleep_for", "with": {"duration": "20s"}}},
}


def survive(service):
    """Start the service again until it stays up, as a supervisor does; return how often that was."""
    for number in range(1, STARTS_MAX):
        if service.start() is not None and not service.died_within(3.0):
            return number
        service.kill()
    raise AssertionError("the service never stays up\n" + service.tail())


def test_a_run_that_ends_the_process_is_buried_and_its_neighbours_finish(tmp_path):
    service = Service(tmp_path)
    service.start()
    for definition in (HOOK, PING, POISON, SLEEPER):
        service.deploy(definition)
    service.call("POST", "/api/v1/public/webhook/sleeper", {})
    for number in range(NEIGHBOURS):
        service.call("POST", "/api/v1/public/webhook/chaos", {"n": number}, {"webhook-id": f"k{number}"})
    try:
        service.call("POST", "/api/v1/public/webhook/poison", {})
    except OSError:
        assert service.died_within(5)
    service.died_within(5)
    service.kill()
    survive(service)
    wait_until(lambda: service.open_runs() == 0, what="the end of all runs")
    runs = service.items("/api/v1/runs")
    poison = [run for run in runs if run["workflow"] == "poison"]
    others = [run for run in runs if run["workflow"] != "poison"]
    assert [run["status"] for run in poison] == ["FAILED"]
    assert poison[0]["error"]["code"] == "poison"
    assert len(others) == NEIGHBOURS + 1
    assert {run["status"] for run in others} == {"SUCCEEDED"}, [run for run in others if run["status"] != "SUCCEEDED"]
    letters = service.items("/api/v1/dead-letters")
    assert [(letter["reason"], letter["run_id"]) for letter in letters] == [("poison", poison[0]["id"])]
    assert audit.Marks(service.marks).lines().count((poison[0]["id"], "only")) == 5
    assert service.stop() == 0

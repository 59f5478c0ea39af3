"""Limits on the command line: queues, time-outs and order, as people meet them."""

import itertools
import json

import pytest

LANES = {
    "version": 1,
    "name": "lanes",
    "triggers": {
        "hand": {"type": "manual", "overlap": "queue_all"},
        "hook": {"type": "webhook", "path": "lanes", "signature": {"scheme": "none"}},
    },
    "jobs": {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}},
}
ORDERED = {
    "version": 1,
    "name": "ordered",
    "jobs": {
        "last": {"run": "echo last", "order_index": 30},
        "first": {"run": "echo first", "order_index": 10},
        "middle": {"run": "echo middle", "order_index": 20},
    },
}
LATE = {
    "version": 1,
    "name": "late",
    "timeout": "300ms",
    "jobs": {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}, "after": {"uses": "noop", "needs": ["nap"]}},
}


@pytest.fixture
def wfs(service, command, tmp_path):
    def call(*arguments):
        return command(*arguments, "--json", cwd=tmp_path, WFS_SERVER=service.url)

    def deploy(definition):
        (tmp_path / "flow.json").write_text(json.dumps(definition))
        done = call("deploy", "flow.json")
        assert done.code == 0, done.err

    call.deploy = deploy
    return call


def test_a_flush_gives_up_what_waits_and_keeps_the_latest(wfs):
    wfs.deploy(LANES)
    started = [wfs("run", "lanes").json["run_id"] for _ in range(4)]
    assert wfs("runs", "show", started[1]).json["waits_for"] == [started[0]]
    done = wfs("trigger", "flush", "lanes/hand")
    assert (done.code, done.json) == (0, {"flushed": 2, "waiting": 1, "kept": [started[3]]})
    first, *others = [wfs("runs", "show", one).json["status"] for one in started]
    assert first in {"RUNNING", "PAUSED"}
    assert others == ["CANCELLED", "CANCELLED", "QUEUED"]
    done = wfs("trigger", "flush", "lanes", "--workflow", "--keep", "none")
    assert (done.code, done.json["flushed"], done.json["waiting"]) == (0, 1, 0)
    refused = wfs("trigger", "flush", "lanes/nobody")
    assert refused.code != 0
    assert "there is no trigger `lanes/nobody`" in refused.err
    assert wfs("runs", "cancel", started[0]).code == 0


def test_jobs_with_an_order_index_run_in_that_order(wfs):
    wfs.deploy(ORDERED)
    run = wfs("run", "ordered", "--wait").json
    assert run["status"] == "SUCCEEDED"
    assert [job["id"] for job in run["jobs"]] == ["first", "middle", "last"]
    times = [(job["started_at"], job["ended_at"]) for job in run["jobs"]]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
    assert run["parallelism"]["max"] == 1


def test_a_run_that_takes_longer_than_its_timeout_fails_and_starts_nothing_more(wfs):
    wfs.deploy(LATE)
    ended = wfs("run", "late", "--wait")
    assert ended.code == 1
    assert ended.json["status"] == "FAILED"
    assert ended.json["error"]["code"] == "timeout"
    assert {job["id"]: job["status"] for job in ended.json["jobs"]} == {"nap": "CANCELLED", "after": "SKIPPED"}


def test_an_owner_sets_the_pools_that_all_jobs_of_the_tenant_share(wfs):
    changed = wfs("tenant", "set", "--resource", "licence=2", "--resource", "scratch=1")
    assert (changed.code, changed.json["resources"]) == (0, {"licence": 2, "scratch": 1})
    assert wfs("tenant", "set", "--resource", "scratch=0").json["resources"] == {"licence": 2}
    wfs.deploy({"version": 1, "name": "licensed", "jobs": {"work": {"run": "true", "resources": {"licence": 2}}}})
    assert wfs("run", "licensed", "--wait").json["status"] == "SUCCEEDED"
    refused = wfs("tenant", "set", "--resource", "licence=many")
    assert refused.code != 0
    assert "resources.licence" in refused.err


def test_a_run_of_a_higher_priority_overtakes_those_that_wait(wfs):
    wfs.deploy({**LANES, "name": "ranked", "triggers": {}, "priority": "low",
                "concurrency": {"max_runs": 1, "key": "event.data.input.lane"}})  # fmt: skip
    lane = ("-d", "lane=a")
    first, plain = (wfs("run", "ranked", *lane).json["run_id"] for _ in range(2))
    urgent = wfs("run", "ranked", *lane, "--priority", "high").json["run_id"]
    other = wfs("run", "ranked", "-d", "lane=b").json["run_id"]
    shown = [wfs("runs", "show", one).json for one in (first, plain, urgent, other)]
    assert [one["priority"] for one in shown] == [-50, -50, 50, -50]
    assert [one["waiting"] for one in shown] == [False, True, True, False]
    assert shown[2]["waits_for"] == [first]
    explained = wfs("explain", plain)
    assert "as many runs as it allows" in explained.out
    assert wfs("runs", "cancel", first).code == 0
    wfs("run", "ranked", "-d", "lane=c")
    assert [wfs("runs", "show", one).json["waiting"] for one in (plain, urgent)] == [True, False]
    refused = wfs("run", "ranked", "--priority", "urgent")
    assert refused.code != 0
    assert "low, normal, high" in refused.err

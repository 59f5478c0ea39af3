"""Limits on the command line: queues, time-outs and order, as people meet them."""

import itertools

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


def test_a_flush_gives_up_what_waits_and_keeps_the_latest(flows):
    flows.deploy(LANES)
    started = [flows("run", "lanes").json["run_id"] for _ in range(4)]
    assert flows("runs", "show", started[1]).json["waits_for"] == [started[0]]
    done = flows("trigger", "flush", "lanes/hand")
    assert (done.code, done.json) == (0, {"flushed": 2, "waiting": 1, "kept": [started[3]]})
    first, *others = [flows("runs", "show", one).json["status"] for one in started]
    assert first in {"RUNNING", "PAUSED"}
    assert others == ["CANCELLED", "CANCELLED", "QUEUED"]
    done = flows("trigger", "flush", "lanes", "--workflow", "--keep", "none")
    assert (done.code, done.json["flushed"], done.json["waiting"]) == (0, 1, 0)
    refused = flows("trigger", "flush", "lanes/nobody")
    assert refused.code != 0
    assert "there is no trigger `lanes/nobody`" in refused.err
    assert flows("runs", "cancel", started[0]).code == 0


def test_jobs_with_an_order_index_run_in_that_order(flows):
    flows.deploy(ORDERED)
    run = flows("run", "ordered", "--wait").json
    assert run["status"] == "SUCCEEDED"
    assert [job["id"] for job in run["jobs"]] == ["first", "middle", "last"]
    times = [(job["started_at"], job["ended_at"]) for job in run["jobs"]]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(times))
    assert run["parallelism"]["max"] == 1


def test_a_run_that_takes_longer_than_its_timeout_fails_and_starts_nothing_more(flows):
    flows.deploy(LATE)
    ended = flows("run", "late", "--wait")
    assert ended.code == 1
    assert ended.json["status"] == "FAILED"
    assert ended.json["error"]["code"] == "timeout"
    assert {job["id"]: job["status"] for job in ended.json["jobs"]} == {"nap": "CANCELLED", "after": "SKIPPED"}


def test_an_owner_sets_the_pools_that_all_jobs_of_the_tenant_share(flows):
    changed = flows("tenant", "set", "--resource", "licence=2", "--resource", "scratch=1")
    assert (changed.code, changed.json["resources"]) == (0, {"licence": 2, "scratch": 1})
    assert flows("tenant", "set", "--resource", "scratch=0").json["resources"] == {"licence": 2}
    flows.deploy({"version": 1, "name": "licensed", "jobs": {"work": {"run": "true", "resources": {"licence": 2}}}})
    assert flows("run", "licensed", "--wait").json["status"] == "SUCCEEDED"
    refused = flows("tenant", "set", "--resource", "licence=many")
    assert refused.code != 0
    assert "resources.licence" in refused.err


def test_a_run_of_a_higher_priority_overtakes_those_that_wait(flows):
    flows.deploy({**LANES, "name": "ranked", "triggers": {}, "priority": "low",
                "concurrency": {"max_runs": 1, "key": "event.data.input.lane"}})  # fmt: skip
    lane = ("-d", "lane=a")
    first, plain = (flows("run", "ranked", *lane).json["run_id"] for _ in range(2))
    urgent = flows("run", "ranked", *lane, "--priority", "high").json["run_id"]
    other = flows("run", "ranked", "-d", "lane=b").json["run_id"]
    shown = [flows("runs", "show", one).json for one in (first, plain, urgent, other)]
    assert [one["priority"] for one in shown] == [-50, -50, 50, -50]
    assert [one["waiting"] for one in shown] == [False, True, True, False]
    assert shown[2]["waits_for"] == [first]
    explained = flows("explain", plain)
    assert "as many runs as it allows" in explained.out
    assert flows("runs", "cancel", first).code == 0
    flows("run", "ranked", "-d", "lane=c")
    assert [flows("runs", "show", one).json["waiting"] for one in (plain, urgent)] == [True, False]
    refused = flows("run", "ranked", "--priority", "urgent")
    assert refused.code != 0
    assert "low, normal, high" in refused.err

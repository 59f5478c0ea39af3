"""Runs on a real Temporal server, driven through the HTTP API of the whole program."""

import asyncio
from datetime import timedelta

from temporal_kit import deploy, ended, execute, history, replay, until
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

BIG = 3_000_000  # bytes: more than Temporal takes in one payload


async def test_jobs_hand_outputs_on_also_such_as_temporal_would_not_take(service, temporal_address):
    jobs = {
        "first": {"uses": "noop", "with": {"output": {"n": "${input.n}"}}},
        "second": {"needs": ["first"], "run": "echo got ${jobs.first.output.n}"},
        "big": {"needs": ["second"], "uses": "python", "with": {"code": f"output = 'x' * {BIG}"}},
        "third": {"needs": ["big"], "uses": "noop", "with": {"output": ["${jobs.big.output}", "${env.WHO}"]}},
    }
    await deploy(service, "chain", jobs, env={"WHO": "me"})
    run_id = await execute(service, "chain", {"n": 7})
    run, found = await ended(service, run_id)
    assert run["status"] == "SUCCEEDED", run["error"]
    assert run["engine"] == "temporal"
    assert (len(run["output"][0]), run["output"][1]) == (BIG, "me")
    assert {job["status"] for job in found.values()} == {"SUCCEEDED"}
    logs = (await service.get(f"/api/v1/runs/{run_id}/logs")).json()
    assert [line["line"] for line in logs["items"] if line["job"] == "second"] == ["got 7"]
    told = str(await history(temporal_address, run_id))
    assert "got 7" not in told
    assert "xxxxxxxx" not in told


async def test_rules_conditions_retries_and_timeouts_are_the_planners(service, tmp_path):
    again = tmp_path / "again"
    jobs = {
        "flaky": {"run": f"test -e {again} || {{ touch {again}; exit 1; }}", "retry": {"attempts": 3, "delay": "10ms"}},
        "slow": {"run": "sleep 30", "timeout": "300ms", "allow_failure": True},
        "left": {"if": "input.go", "uses": "noop"},
        "bad": {"needs": ["flaky"], "run": "exit 3"},
        "never": {"needs": ["bad"], "uses": "noop"},
        "handler": {
            "needs": ["never"],
            "run_if": "at_least_one_failed",
            "uses": "noop",
            "with": {"output": "${jobs.bad.error.code}"},
        },
    }
    await deploy(service, "rules", jobs)
    run, found = await ended(service, await execute(service, "rules", {"go": False}))
    assert run["status"] == "FAILED", run
    assert run["error"]["job"] == "bad"
    assert (found["flaky"]["status"], found["flaky"]["attempt"]) == ("SUCCEEDED", 2)
    assert found["slow"]["error"]["code"] == "timeout"
    assert (found["left"]["status"], found["left"]["error"]["code"]) == ("SKIPPED", "condition_false")
    assert (found["never"]["status"], found["never"]["error"]["code"]) == ("SKIPPED", "upstream_failed")
    assert found["handler"]["status"] == "SUCCEEDED"


async def test_a_failing_job_has_its_attempts_and_no_more(service, tmp_path):
    counter = tmp_path / "attempts"
    jobs = {"a": {"run": f"printf x >> {counter}; exit 1", "retry": {"attempts": 3, "delay": "10ms"}}}
    await deploy(service, "attempts", jobs)
    _, found = await ended(service, await execute(service, "attempts"))
    assert (found["a"]["status"], found["a"]["attempt"]) == ("FAILED", 3)
    assert counter.read_text() == "xxx"


async def test_maps_and_loops_over_a_history_that_is_left_for_a_new_one(service, temporal_address):
    jobs = {
        "wide": {"map": "${input.list}", "max_parallel": 10, "run": "echo ${item * 2}"},
        "loop": {
            "needs": ["wide"],
            "while": "iteration.index < 3",
            "max_iterations": 10,
            "delay": "10ms",
            "uses": "noop",
            "with": {"output": "${iteration.index}"},
        },
        "each": {"needs": ["loop"], "for_each": [1, 2], "uses": "noop", "with": {"output": "${item + 1}"}},
        "none": {"needs": ["loop"], "map": [], "uses": "noop"},
        "last": {
            "needs": ["each", "none"],
            "uses": "noop",
            "with": {
                "output": ["${jobs.wide.output}", "${jobs.loop.output}", "${jobs.each.output}", "${jobs.wide.count}"]
            },
        },
    }
    await deploy(service, "repeated", jobs)
    items = list(range(40))
    run_id = await execute(service, "repeated", {"list": items})
    run, found = await ended(service, run_id)
    assert run["status"] == "SUCCEEDED", run["error"]
    wide, *others = run["output"]
    assert [int(one["stdout"]) for one in wide] == [n * 2 for n in items]
    assert others == [[0, 1, 2], [2, 3], 40]
    assert found["wide[39]"]["output"]["stdout"] == "78\n"
    handle = (await Client.connect(temporal_address)).get_workflow_handle(run_id)
    info = await handle.describe()
    await replay(temporal_address, run_id)
    assert info.raw_description.workflow_execution_info.first_run_id != info.run_id


async def test_a_failed_instance_fails_the_map_with_the_others_outputs(service):
    await deploy(service, "half", {"m": {"map": [0, 1, 2], "run": "test ${item} != 1"}})
    run, found = await ended(service, await execute(service, "half"))
    assert run["status"] == "FAILED"
    assert found["m"]["error"]["code"] == "instance_failed"
    good = {"exit_code": 0, "stdout": ""}
    assert found["m"]["output"] == [good, None, good]


async def test_jobs_that_wait_are_timers_and_signals(service, temporal_address):
    await deploy(service, "child", {"c": {"uses": "noop", "with": {"output": "${input.n + 1}"}}})
    jobs = {
        "sleep": {"uses": "sleep_for", "with": {"duration": "200ms"}},
        "call": {"needs": ["sleep"], "uses": "workflow", "with": {"workflow": "child", "input": {"n": 1}}},
    }
    await deploy(service, "waits", jobs)
    run_id = await execute(service, "waits")
    run, found = await ended(service, run_id)
    assert run["status"] == "SUCCEEDED", run["error"]
    await replay(temporal_address, run_id)
    assert found["call"]["output"] == 2
    assert "until" in found["sleep"]["output"]


async def test_a_run_is_paused_while_it_waits_for_people_and_goes_on_with_their_answer(service):
    jobs = {
        "ask": {"uses": "approval", "with": {"ask": "Go on?"}},
        "after": {"needs": ["ask"], "if": "jobs.ask.output.approved", "run": "echo gone on"},
    }
    await deploy(service, "asks", jobs)
    run_id = await execute(service, "asks")

    async def paused():
        return (await service.get("/api/v1/runs?status=PAUSED&workflow=asks")).json()["items"]

    (resting,) = await until(paused)
    assert resting["id"] == run_id
    (wait,) = (await service.get(f"/api/v1/waits?run={run_id}")).json()["items"]
    answer = await service.post(f"/api/v1/waits/{wait['id']}", json={"approved": True, "by": "ann"})
    assert answer.status == 200, answer.text
    run, found = await ended(service, run_id)
    assert (run["status"], found["after"]["output"]["stdout"]) == ("SUCCEEDED", "gone on\n")


async def test_a_cancelled_run_stops_its_jobs_and_starts_no_more(service, temporal_address):
    jobs = {
        "long": {"run": "sleep 60"},
        "asleep": {"uses": "sleep_for", "with": {"duration": "1h"}},
        "after": {"needs": ["long"], "run_if": "all_done", "uses": "noop"},
    }
    await deploy(service, "cancelled", jobs)
    run_id = await execute(service, "cancelled")

    async def is_running():
        run = (await service.get(f"/api/v1/runs/{run_id}")).json()
        states = {job["id"]: job["status"] for job in run["jobs"]}
        return states.get("long") == "RUNNING" and states.get("asleep") == "PAUSED"

    await until(is_running)
    answer = await service.post(f"/api/v1/runs/{run_id}/cancel", json={})
    assert answer.status < 300, answer.text
    run, found = await ended(service, run_id)
    assert run["status"] == "CANCELLED"
    assert {name: job["status"] for name, job in found.items()} == {
        "long": "CANCELLED", "asleep": "CANCELLED", "after": "SKIPPED",
    }  # fmt: skip
    handle = (await Client.connect(temporal_address)).get_workflow_handle(run_id)
    assert (await handle.describe()).status.name == "CANCELED"
    await replay(temporal_address, run_id)


async def test_a_rerun_from_the_failed_jobs_keeps_what_succeeded(service, tmp_path):
    seen, gate = tmp_path / "seen", tmp_path / "gate"
    jobs = {"good": {"run": f"printf g >> {seen}"}, "bad": {"needs": ["good"], "run": f"test -e {gate}"}}
    await deploy(service, "again", jobs)
    run, _ = await ended(service, await execute(service, "again"))
    assert run["status"] == "FAILED"
    gate.touch()
    answer = await service.post(f"/api/v1/runs/{run['id']}/rerun", json={"from_failed": True})
    again, found = await ended(service, answer.json()["run_id"])
    assert again["status"] == "SUCCEEDED", again["error"]
    assert sorted(found) == ["bad", "good"]
    assert seen.read_text() == "g"


async def test_a_run_that_takes_too_long_fails(service):
    await deploy(service, "late", {"a": {"run": "sleep 60"}}, timeout="500ms")
    run, found = await ended(service, await execute(service, "late"))
    assert (run["status"], run["error"]["code"]) == ("FAILED", "timeout")
    assert found["a"]["status"] == "CANCELLED"


@workflow.defn(name="Greeting", sandboxed=False)
class Greeting:
    @workflow.run
    async def run(self, value: dict) -> dict:
        if value.get("fail"):
            raise ApplicationError("not today", type="Refused")
        await workflow.sleep(timedelta(milliseconds=10))
        return {"greeting": f"hello {value['name']}"}


async def test_a_workflow_of_others_is_started_and_followed(service, temporal_address):
    client = await Client.connect(temporal_address)
    async with Worker(client, task_queue="theirs", workflows=[Greeting]):
        theirs = {"workflow_type": "Greeting", "task_queue": "theirs"}
        await deploy(service, "greet", {}, temporal=theirs)
        good, bad = await asyncio.gather(
            execute(service, "greet", {"name": "you"}), execute(service, "greet", {"fail": True})
        )
        run, _ = await ended(service, good)
        assert (run["status"], run["output"]) == ("SUCCEEDED", {"greeting": "hello you"})
        run, _ = await ended(service, bad)
        assert (run["status"], run["error"]["code"]) == ("FAILED", "Refused")
        assert "not today" in run["error"]["message"]


async def test_mistakes_in_the_definition_name_their_field(service):
    for more, field in (
        ({"engine": "embedded", "temporal": {"workflow_type": "X"}}, "temporal"),
        ({"temporal": {"workflow_type": "X"}, "jobs": {"a": {"uses": "noop"}}}, "jobs"),
        ({"jobs": {"a": {"uses": "nope"}}}, "jobs.a.uses"),
        ({"temporal": {}}, "temporal.workflow_type"),
        ({"resources": {"db": 1}, "jobs": {"a": {"uses": "noop", "resources": ["db"]}}}, "jobs.a.resources"),
    ):
        spec = {"name": "wrong", "engine": "temporal", **more}
        answer = await service.post("/api/v1/deployment/workflows/wrong/deploy", json={"workflow_spec": spec})
        assert answer.status == 422, answer.text
        assert field in {error["field"] for error in answer.json()["errors"]}, answer.text

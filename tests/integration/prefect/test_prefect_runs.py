"""The whole program with a real Prefect server: runs are started once and followed, whatever is killed meanwhile."""

import asyncio
import json
import os
import signal
import sys

import pytest

from workflow_scheduler.core.time.clock import SystemClock

clock = SystemClock()


async def deploy(client, name, prefect, **more):
    spec = {"name": name, "engine": "prefect", "triggers": {"m": {"type": "manual"}}, "prefect": prefect, **more}
    answer = await client.post(f"/api/v1/deployment/workflows/{name}/deploy", json={"workflow_spec": spec})
    assert answer.status < 300, answer.text


async def execute(client, name, value=None):
    answer = await client.post(f"/v2/workflows/{name}/execute", json={"input": value})
    assert answer.status == 202, answer.text
    return answer.json()["execution_id"]


async def ended(client, run_id):
    for _ in range(6):
        run = (await client.get(f"/api/v1/runs/{run_id}/wait?timeout=20")).json()
        if run["ended"]:
            return run
    raise AssertionError(run)


async def until(holds, seconds=120):
    async with asyncio.timeout(seconds):
        while not (answer := await holds()):
            await clock.sleep(0.05)
    return answer


async def test_flows_run_to_their_ends_with_outputs_errors_and_logs(service, prefect):
    await deploy(service, "adds", {"deployment": "add/test", "tags": ["mine"]})
    good, bad = await execute(service, "adds", {"a": 2, "b": 3}), await execute(service, "adds", {"a": -1})
    run = await ended(service, good)
    assert (run["status"], run["engine"]) == ("SUCCEEDED", "prefect"), run
    assert run["output"]["artifacts"] == {"sum": [{"sum": 5}], "words": "*done*"}
    (flow_run,) = prefect.flow_runs(good)
    assert run["output"]["flow_run_id"] == flow_run["id"]
    assert {"mine", f"run:{good}", "tenant:local"} <= set(flow_run["tags"])
    run = await ended(service, bad)
    assert (run["status"], run["error"]["code"]) == ("FAILED", "prefect_failed")
    assert "a is negative" in run["error"]["message"]

    async def printed():
        items = (await service.get(f"/api/v1/runs/{good}/logs")).json()["items"]
        return [line for line in items if line["line"] == "adding 2 and 3"]

    assert await until(printed)


async def test_a_running_flow_is_cancelled(service, prefect):
    await deploy(service, "slow", {"deployment": "slow/test"})
    run_id = await execute(service, "slow")

    async def runs():
        return any(one["state"]["type"] == "RUNNING" for one in prefect.flow_runs(run_id))

    await until(runs)
    assert (await service.post(f"/api/v1/runs/{run_id}/cancel", json={})).status < 300
    assert (await ended(service, run_id))["status"] == "CANCELLED"
    assert prefect.flow_runs(run_id)[0]["state"]["type"] == "CANCELLED"


async def asked(service, run_id):
    async def look():
        return [one for one in (await service.get("/api/v1/waits")).json()["items"] if one["run_id"] == run_id]

    [wait] = await until(look)
    return wait


async def test_a_paused_flow_is_asked_about_here_and_goes_on_with_the_input(service, prefect):
    await deploy(service, "asks", {"deployment": "ask/test"})
    run_id = await execute(service, "asks")
    wait = await asked(service, run_id)
    path = f"/api/v1/waits/{wait['id']}"
    assert set(wait["form"]["properties"]) == {"approved", "note"}
    assert (await service.post(path, json={"answer": {"note": "hm"}})).status == 422
    assert (await service.post(path, json={"answer": {"approved": True, "note": "fine"}})).status == 200
    run = await ended(service, run_id)
    assert (run["status"], run["output"]["artifacts"]) == ("SUCCEEDED", {"answer": "True fine"})


async def test_a_flow_that_only_waits_for_a_word_goes_on_by_approval_and_is_cancelled_by_rejection(service, prefect):
    await deploy(service, "confirms", {"deployment": "confirm/test"})
    runs = [await execute(service, "confirms") for _ in range(2)]
    for run_id, approved in zip(runs, (True, False), strict=True):
        wait = await asked(service, run_id)
        assert (await service.post(f"/api/v1/waits/{wait['id']}", json={"approved": approved})).status == 200
    assert [(await ended(service, run_id))["status"] for run_id in runs] == ["SUCCEEDED", "CANCELLED"]


async def test_a_service_that_is_killed_after_the_start_finds_the_flow_run_again(start, prefect, tmp_path):
    prefect.idle_deployment("killed")
    environment = {
        **os.environ, "WFS_DATA": str(tmp_path), "WFS_PREFECT_API_URL": prefect.api,
        "WFS_FAILPOINT": "dispatch.start.after:1",
    }  # fmt: skip
    command = (sys.executable, "-m", "workflow_scheduler.cli", "up", "--port", "0", "--json")
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=asyncio.subprocess.PIPE)
    ready = json.loads(await process.stdout.readline())
    spec = {
        "name": "killed", "engine": "prefect", "prefect": {"deployment": "killed/idle"},
        "triggers": {"soon": {"type": "interval", "every": "1s", "max_fires": 1}},
    }  # fmt: skip
    file = tmp_path / "killed.json"
    file.write_text(json.dumps(spec))
    deploying = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "workflow_scheduler.cli", "deploy", str(file), "--server", ready["url"],
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await deploying.wait() == 0
    assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGKILL
    client = await start()
    (run,) = (await client.get("/api/v1/runs?workflow=killed")).json()["items"]
    assert (run["status"], len(prefect.flow_runs(run["id"]))) == ("QUEUED", 1)

    async def taken_up():
        return (await client.get(f"/api/v1/runs/{run['id']}")).json()["status"] == "RUNNING"

    await until(taken_up)
    prefect.set_state(run["id"], "COMPLETED")
    assert (await ended(client, run["id"]))["status"] == "SUCCEEDED"
    assert len(prefect.flow_runs(run["id"])) == 1


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"prefect": {"deployment": "nameless"}}, "prefect.deployment"),
        ({"prefect": {"deployment": "a/b", "parameters": {"a": "${input.}"}}}, "prefect.parameters.a"),
        ({"prefect": {"deployment": "a/b"}, "jobs": {"a": {"uses": "noop"}}}, "jobs"),
        ({"prefect": {"deployment": "a/b"}, "engine": "embedded", "jobs": {"a": {"uses": "noop"}}}, "prefect"),
        ({}, "engine"),
    ],
)
async def test_mistakes_in_the_definition_name_their_field(service, more, field):
    spec = {"name": "wrong", "engine": "prefect", **more}
    answer = await service.post("/api/v1/deployment/workflows/wrong/deploy", json={"workflow_spec": spec})
    assert answer.status == 422, answer.text
    assert field in {error["field"] for error in answer.json()["errors"]}, answer.text


async def test_what_prefect_refuses_is_a_dead_letter_that_says_why(service):
    await deploy(service, "refused", {"deployment": "add/test"})
    run = await ended(service, await execute(service, "refused", {"c": 1}))
    assert run["status"] == "FAILED"
    assert "'a' is a required property" in run["error"]["message"]
    letters = (await service.get("/api/v1/dead-letters")).json()["items"]
    assert [one["reason"] for one in letters] == ["engine_refused"]


async def test_a_server_that_is_restarted_loses_and_doubles_nothing(service, prefect):
    """The last one: the process that serves flows need not survive it."""
    prefect.idle_deployment("outage")
    await deploy(service, "outage", {"deployment": "outage/idle"})
    before = await execute(service, "outage")

    async def is_running(run_id):
        return (await service.get(f"/api/v1/runs/{run_id}")).json()["status"] == "RUNNING"

    await until(lambda: is_running(before))
    prefect.stop("server")
    during = await execute(service, "outage")

    async def waits():
        return (await service.get(f"/api/v1/runs/{during}")).json()["error"]

    assert (await until(waits))["code"] == "engine_unavailable"
    prefect.start()
    await until(lambda: is_running(during))
    assert (await service.get(f"/api/v1/runs/{before}")).json()["status"] == "RUNNING"
    for run_id in (before, during):
        assert len(prefect.flow_runs(run_id)) == 1
        prefect.set_state(run_id, "COMPLETED")
        assert (await ended(service, run_id))["status"] == "SUCCEEDED"

"""A job that runs another workflow, on the whole program and both stores."""

from service_kit import deploy, ended, execute

from workflow_scheduler.core.model.run import JobStatus, Wake
from workflow_scheduler.stores.portable.intake import put_wake


async def runs_of(client, name):
    return (await client.get(f"/api/v1/runs?workflow={name}")).json()["items"]


async def until(client, name, ready):
    for _ in range(200):
        found = await runs_of(client, name)
        if found and ready(found):
            return found
        await client.get(f"/api/v1/runs/{found[0]['id']}/wait?timeout=0.05" if found else "/health")
    raise AssertionError(found)


def parked(found):
    return any(job["status"] == "PAUSED" for job in found[0].get("jobs", ()))


CALL = {"uses": "workflow", "with": {"workflow": "child", "input": {"n": "${input.n}"}}}


async def test_the_output_of_the_called_run_is_the_output_of_the_job(service):
    await deploy(service, "child", {"double": {"uses": "noop", "with": {"output": "${input.n * 2}"}}})
    await deploy(service, "parent", {"call": CALL, "after": {
        "needs": ["call"], "uses": "noop", "with": {"output": "${jobs.call.output + 1}"}}})  # fmt: skip
    run, jobs = await ended(service, await execute(service, "parent", {"n": 4}))
    assert (run["status"], run["output"], jobs["call"]["output"]) == ("SUCCEEDED", 9, 8)
    (child,) = await runs_of(service, "child")
    shown = (await service.get(f"/api/v1/runs/{child['id']}")).json()
    assert shown["provenance"]["cause_run_id"] == run["id"]
    assert shown["provenance"]["depth"] == 1


async def test_a_called_run_that_fails_fails_the_job_which_names_it(service):
    await deploy(service, "child", {"break": {"run": "exit 3"}})
    await deploy(service, "parent", {"call": {**CALL, "retry": {"attempts": 3}}})
    run, jobs = await ended(service, await execute(service, "parent", {"n": 1}))
    (child,) = await runs_of(service, "child")
    assert run["status"] == "FAILED"
    assert jobs["call"]["error"]["code"] == "child_failed"
    assert child["id"] in jobs["call"]["error"]["message"]
    assert "exit code 3" in jobs["call"]["error"]["message"]


async def test_a_detached_call_ends_at_once(service):
    await deploy(service, "child", {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}})
    detached = {"uses": "workflow", "with": {"workflow": "child", "wait": False}}
    await deploy(service, "parent", {"call": detached})
    run, jobs = await ended(service, await execute(service, "parent"))
    (child,) = await runs_of(service, "child")
    assert run["status"] == "SUCCEEDED"
    assert jobs["call"]["output"] == {"run_id": child["id"], "workflow": "child"}


async def test_cancelling_the_caller_cancels_the_run_it_waits_for(service):
    await deploy(service, "child", {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}})
    await deploy(service, "parent", {"call": CALL})
    run_id = await execute(service, "parent", {"n": 1})
    await until(service, "parent", parked)
    await service.post(f"/api/v1/runs/{run_id}/cancel", json={})
    run, jobs = await ended(service, run_id)
    (child,) = await runs_of(service, "child")
    _, _ = await ended(service, child["id"])
    (child,) = await runs_of(service, "child")
    assert (run["status"], jobs["call"]["status"], child["status"]) == ("CANCELLED", "CANCELLED", "CANCELLED")


async def test_the_timeout_of_the_job_cancels_the_run_it_waits_for(service):
    await deploy(service, "child", {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}})
    await deploy(service, "parent", {"call": {**CALL, "timeout": "200ms"}})
    run, jobs = await ended(service, await execute(service, "parent", {"n": 1}))
    (child,) = await runs_of(service, "child")
    await ended(service, child["id"])
    (child,) = await runs_of(service, "child")
    assert (run["status"], jobs["call"]["error"]["code"], child["status"]) == ("FAILED", "timeout", "CANCELLED")


async def test_an_unknown_workflow_fails_the_job(service):
    await deploy(service, "parent", {"call": CALL})
    run, jobs = await ended(service, await execute(service, "parent", {"n": 1}))
    assert run["status"] == "FAILED"
    assert "There is no workflow `child`" in jobs["call"]["error"]["message"]


async def test_workflows_that_call_each_other_are_refused_with_their_path(service):
    await deploy(service, "child", {"call": {"uses": "workflow", "with": {"workflow": "middle"}}})
    await deploy(service, "middle", {"call": {"uses": "workflow", "with": {"workflow": "parent"}}})
    spec = {"name": "parent", "jobs": {"call": CALL}, "triggers": {"m": {"type": "manual"}}}
    answer = await service.post("/api/v1/deployment/workflows/parent/deploy", json={"workflow_spec": spec})
    assert answer.status == 409
    assert "parent → child → middle → parent" in answer.text
    own = {"name": "own", "jobs": {"call": {"uses": "workflow", "with": {"workflow": "own"}}}, "triggers": {}}
    answer = await service.post("/api/v1/deployment/workflows/own/deploy", json={"workflow_spec": own})
    assert answer.status == 409
    assert "own → own" in answer.text


async def test_calls_that_no_file_shows_end_at_the_greatest_depth(service):
    again = {"uses": "workflow", "with": {"workflow": "${input.w}", "input": {"w": "${input.w}"}}}
    await deploy(service, "deep", {"call": again}, max_depth=3)
    run, jobs = await ended(service, await execute(service, "deep", {"w": "deep"}))
    assert run["status"] == "FAILED"
    assert "max_depth" in jobs["call"]["error"]["message"]
    assert len(await runs_of(service, "deep")) == 4


async def test_a_caller_on_another_instance_hears_of_the_end_after_the_first_one_is_gone(start):
    first, client = await start()
    await deploy(client, "child", {"nap": {"uses": "sleep_for", "with": {"duration": "2s"}}})
    await deploy(client, "parent", {"call": CALL})
    run_id = await execute(client, "parent", {"n": 1})
    await until(client, "parent", parked)
    await first.stop()
    _, other = await start()
    run, jobs = await ended(other, run_id)
    assert run["status"] == "SUCCEEDED", jobs
    assert len(await runs_of(other, "child")) == 1


async def test_what_any_instance_stores_for_a_waiting_job_reaches_the_one_that_holds_it(start, database):
    holder, client = await start()
    await deploy(client, "child", {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}})
    await deploy(client, "parent", {"call": CALL})
    run_id = await execute(client, "parent", {"n": 1})
    await until(client, "parent", parked)
    (child,) = await runs_of(client, "child")
    other = (await start())[0] if database else holder
    told = Wake(
        tenant_id="local", run_id=run_id, job_id="call", name=f"run:{child['id']}", status=JobStatus.SUCCEEDED, at=1,
        output=b'"told"',
    )  # fmt: skip
    await other.store.transact(put_wake(told))
    run, _ = await ended(client, run_id)
    assert (run["status"], run["output"]) == ("SUCCEEDED", "told")

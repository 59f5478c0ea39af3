"""Resources on the whole program and both stores: shared by runs, by workflows of a tenant, and by instances."""

from service_kit import deploy, ended, execute

from workflow_scheduler.core.time.clock import from_iso

NAP = {"uses": "sleep_for", "with": {"duration": "1h"}}


def command(text, **resources):
    return {"run": text, "resources": resources}


def most_at_once(jobs):
    """Return how many jobs ran at once at most."""
    steps = [(from_iso(job["started_at"]), 1) for job in jobs] + [(from_iso(job["ended_at"]), -1) for job in jobs]
    level = most = 0
    for _, step in sorted(steps):
        level += step
        most = max(most, level)
    return most


async def set_pools(client, **pools):
    return await client.put("/api/v1/tenant/settings", json={"allow_code": None, "resources": pools})


async def test_runs_of_a_workflow_share_its_pools(service):
    jobs = {"work": {**command("sleep 0.05", db=1), "map": [1, 2, 3, 4]}, "free": {"uses": "noop"}}
    await deploy(service, "flow", jobs, resources={"db": 2})
    found = [await ended(service, run_id) for run_id in [await execute(service, "flow") for _ in range(2)]]
    instances = [job for _, by_id in found for name, job in by_id.items() if "[" in name]
    assert [run["status"] for run, _ in found] == ["SUCCEEDED", "SUCCEEDED"]
    assert len(instances) == 8
    assert most_at_once(instances) == 2


async def test_instances_share_the_pools_of_a_tenant(start, database):
    clients = [(await start())[1] for _ in range(2 if database else 1)]
    assert (await set_pools(clients[0], licence=1)).json()["resources"] == {"licence": 1}
    for name in ("one", "two"):
        await deploy(clients[0], name, {"work": {**command("sleep 0.05", licence=1), "map": [1, 2, 3]}})
    ids = [await execute(client, name) for client in clients for name in ("one", "two")]
    found = [await ended(clients[0], run_id) for run_id in ids]
    assert {run["status"] for run, _ in found} == {"SUCCEEDED"}
    instances = [job for _, by_id in found for name, job in by_id.items() if "[" in name]
    assert (len(instances), most_at_once(instances)) == (3 * len(ids), 1)


async def test_a_job_that_waits_says_for_what_and_cancelling_frees_what_is_held(service):
    await deploy(service, "flow", {"work": {"run": "sleep 60", "resources": ["db"]}}, resources={"db": 1})
    first, second = await execute(service, "flow"), await execute(service, "flow")
    for _ in range(200):
        shown = (await service.get(f"/api/v1/runs/{second}")).json()
        if shown["jobs"]:
            break
        await service.get(f"/api/v1/runs/{second}/wait?timeout=0.05")
    (job,) = shown["jobs"]
    assert (job["status"], job["output"]) == ("QUEUED", {"waiting_for": "resources: db (1)"})
    await service.post(f"/api/v1/runs/{first}/cancel", json={})
    for _ in range(200):
        (job,) = (await service.get(f"/api/v1/runs/{second}")).json()["jobs"]
        if job["status"] == "RUNNING":
            break
        await service.get(f"/api/v1/runs/{second}/wait?timeout=0.05")
    assert job["status"] == "RUNNING"
    await service.post(f"/api/v1/runs/{second}/cancel", json={})


async def refused(service, jobs, **more):
    spec = {"name": "flow", "jobs": jobs, **more}
    answer = await service.post("/api/v1/deployment/workflows/flow/deploy", json={"workflow_spec": spec})
    assert answer.status == 422, answer.text
    return [(error["field"], error["message"]) for error in answer.json()["errors"]]


async def test_what_could_never_be_had_is_refused_with_place_and_remedy(service):
    await set_pools(service, shared=1)
    noop = {"uses": "noop"}
    ((field, message),) = await refused(service, {"a": {**noop, "resources": {"db": 3}}}, resources={"db": 2})
    assert field.endswith("jobs.a.resources.db")
    assert "asks for 3 of the pool `db`, which has 2: ask for less, or raise `resources.db`" in message
    ((field, message),) = await refused(service, {"a": {**noop, "resources": ["shred"]}})
    assert field.endswith("jobs.a.resources.shred")
    assert "has a pool `shred`, did you mean `shared`?" in message
    ((_, message),) = await refused(service, {"a": {**noop, "resources": {"shared": 2}}})
    assert "asks for 2 of the tenant's pool `shared`, which has 1" in message
    ((field, _),) = await refused(service, {"a": {**noop, "resources": {"db": 0}}}, resources={"db": 2})
    assert field.endswith("jobs.a.resources.db")


async def test_pools_of_a_tenant_are_kept_until_they_are_replaced(service):
    await set_pools(service, a=1, b=2)
    kept = await service.put("/api/v1/tenant/settings", json={"allow_code": None})
    assert kept.json()["resources"] == {"a": 1, "b": 2}
    assert (await set_pools(service)).json()["resources"] == {}
    assert (await set_pools(service, **{"no name": 1})).status == 422
    assert (await set_pools(service, a=0)).status == 422

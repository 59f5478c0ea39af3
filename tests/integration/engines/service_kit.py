"""What tests of whole runs ask the service for."""


async def deploy(client, name, jobs, **more):
    spec = {"name": name, "triggers": {"m": {"type": "manual"}}, "jobs": jobs, **more}
    answer = await client.post(f"/api/v1/deployment/workflows/{name}/deploy", json={"workflow_spec": spec})
    assert answer.status < 300, answer.text


async def execute(client, name, value=None):
    answer = await client.post(f"/v2/workflows/{name}/execute", json={"input": value})
    assert answer.status == 202, answer.text
    return answer.json()["execution_id"]


async def ended(client, run_id):
    run = (await client.get(f"/api/v1/runs/{run_id}/wait?timeout=20")).json()
    assert run["ended"], run
    return run, {job["id"]: job for job in run["jobs"]}

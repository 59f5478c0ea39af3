"""What these tests ask of the service."""

import asyncio

from temporalio.client import Client
from temporalio.worker import Replayer

from workflow_scheduler.engines.temporal.workflow import RunWorkflow


async def deploy(client, name, jobs, **more):
    """Deploy a workflow of the engine `temporal`."""
    spec = {"name": name, "engine": "temporal", "triggers": {"m": {"type": "manual"}}, "jobs": jobs, **more}
    answer = await client.post(f"/api/v1/deployment/workflows/{name}/deploy", json={"workflow_spec": spec})
    assert answer.status < 300, answer.text


async def execute(client, name, value=None):
    """Start a run and return its id."""
    answer = await client.post(f"/v2/workflows/{name}/execute", json={"input": value})
    assert answer.status == 202, answer.text
    return answer.json()["execution_id"]


async def ended(client, run_id):
    """Wait for the end of a run; return it, and its jobs by id."""
    for _ in range(3):
        run = (await client.get(f"/api/v1/runs/{run_id}/wait?timeout=20")).json()
        if run["ended"]:
            break
    assert run["ended"], run
    return run, {job["id"]: job for job in run["jobs"]}


async def until(holds, seconds=30):
    """Ask again and again until it holds, and return the answer."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await holds()
            if answer:
                return answer
            await asyncio.to_thread(lambda: None)


async def history(address, run_id):
    """Return all events of a run's workflow."""
    handle = (await Client.connect(address)).get_workflow_handle(run_id)
    return await handle.fetch_history()


async def replay(address, run_id):
    """Run the workflow's code over its recorded history; an error means that it decides differently now."""
    await Replayer(workflows=[RunWorkflow]).replay_workflow(await history(address, run_id))

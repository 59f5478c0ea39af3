"""What these tests ask the service for."""

import itertools

_numbers = itertools.count(1)
ASK = {"ask": "Publish?", "to": ["ann", "group:finance"], "timeout": "24h", "on_timeout": "reject"}


async def deploy(client, name="report", config=None, triggers=None, **jobs):
    spec = {
        "name": name,
        "triggers": {"m": {"type": "manual"}, **(triggers or {})},
        "jobs": {
            "approve": {"uses": "approval", "with": ASK if config is None else config},
            "publish": {"needs": ["approve"], "if": "jobs.approve.output.approved", "uses": "noop"},
            **jobs,
        },
    }
    answer = await client.post(f"/api/v1/deployment/workflows/{name}/deploy", json={"workflow_spec": spec})
    assert answer.status < 300, answer.text
    return answer.json()


async def execute(client, name="report", value=None):
    answer = await client.post(f"/v2/workflows/{name}/execute", json={"input": value})
    assert answer.status == 202, answer.text
    return answer.json()["execution_id"]


async def wait_of(client, run_id):
    """Return the open wait of a run, once it is there and the run stands still."""
    for _ in range(400):
        items = (await client.get(f"/api/v1/waits?status=OPEN&run={run_id}")).json()["items"]
        run = (await client.get(f"/api/v1/runs/{run_id}")).json()
        if items and run["status"] == "PAUSED":
            return items[0]
        await client.get(f"/api/v1/runs/{run_id}/wait?timeout=0.02")
    raise AssertionError((items, run))


async def started(client, name="report", value=None):
    """Start a run, and return its id with its wait."""
    run_id = await execute(client, name, value)
    return run_id, await wait_of(client, run_id)


async def ended(client, run_id):
    run = (await client.get(f"/api/v1/runs/{run_id}/wait?timeout=20")).json()
    assert run["ended"], run
    return run, {job["id"]: job for job in run["jobs"]}


async def tell(client, data, kind="note", **more):
    """Send a CloudEvent and return its explanation, as it stands after the commit."""
    event = {
        "specversion": "1.0",
        "id": more.pop("id", None) or f"event-{next(_numbers)}",
        "source": "/test",
        "type": kind,
        "data": data,
    }
    answer = await client.post(
        "/api/v1/events?wait=decision", json=event, headers={"content-type": "application/cloudevents+json"}
    )
    assert answer.status == 202, answer.text
    explained = (await client.get(f"/api/v1/events/{answer.json()['event_id']}/explain")).json()
    return explained["decisions"]

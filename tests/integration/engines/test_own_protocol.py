"""The HTTP engine against this program's own /v2: one scheduler hands its runs to another."""

import asyncio
import json

import pytest
from msgspec.structs import replace

from workflow_scheduler.app import Application
from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.model.run import Run, RunStatus
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.core.ports.resources import HttpReply
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.engines.http import EngineAddress, HttpEngine
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

DEFINITION = {
    "version": 1,
    "name": "hello",
    "triggers": {"by-hand": {"type": "manual"}},
    "jobs": {"greet": {"uses": "noop", "with": {"output": "${input.name}"}}, "nap": {"uses": "sleep_for", "with": {}}},
}


class Wire:
    """Sends the engine's requests straight into the other program."""

    def __init__(self, client):
        self.client = client

    async def send(self, request):
        path = request.url.removeprefix("http://other")
        reply = await self.client.request(request.method, path, headers=dict(request.headers), body=request.body or b"")
        return HttpReply(status=reply.status, headers=reply.headers, body=reply.body, url=request.url)

    async def close(self):
        self.client = None


@pytest.fixture
async def other(tmp_path):
    application = Application(Settings(data=tmp_path, _env_file=None))
    await application.start()
    yield AsgiClient(application.asgi())
    await application.stop()


async def deploy(client, nap):
    definition = {**DEFINITION, "jobs": {**DEFINITION["jobs"], "nap": {"uses": "sleep_for", "with": {"duration": nap}}}}
    made = await client.request("POST", "/api/v1/workflows", json=definition)
    assert made.status < 300, made.text
    deployed = await client.request("POST", "/api/v1/deployment/workflows/hello/deploy", json={})
    assert deployed.status < 300, deployed.text
    return made.json()["id"]


def task(workflow_id):
    run = Run(
        id="01890000-0000-7000-8000-000000000001", tenant_id="local", workflow_id=workflow_id, workflow="hello",
        version=1, trigger_id="t", trigger_type="manual", event_id="e", event_key="k", created_at=0, engine="http",
        input=b'{"name":"Ada"}',
    )  # fmt: skip
    graph = compile_graph(Definition.model_validate({"name": "hello", "jobs": {"a": {"uses": "noop"}}}))
    return Task(run, graph, (), b'{"id":"e","data":null}')


async def test_a_run_is_started_once_followed_and_ended(other):
    workflow_id = await deploy(other, 0)
    engine = HttpEngine(EngineAddress(base_url="http://other"), Wire(other), None, SystemClock())
    handed = task(workflow_id)
    first = await engine.start(handed)
    again = await engine.start(handed)
    assert again.external_id == first.external_id
    await other.request("GET", f"/api/v1/runs/{first.external_id}/wait?timeout=10")
    by_key = await engine.describe(handed.run)
    by_id = await engine.describe(replace(handed.run, external_id=first.external_id))
    assert by_key == by_id
    assert by_key.status is RunStatus.SUCCEEDED
    assert by_key.external_id == first.external_id
    assert json.loads(by_key.output)["greet"] == "Ada"
    assert by_key.started_at <= by_key.ended_at


async def test_a_run_is_cancelled(other):
    workflow_id = await deploy(other, "1h")
    engine = HttpEngine(EngineAddress(base_url="http://other"), Wire(other), None, SystemClock())
    handed = task(workflow_id)
    assert await engine.describe(handed.run) is None
    await engine.start(handed)
    assert (await engine.describe(handed.run)).status in {RunStatus.RUNNING, RunStatus.PAUSED}
    await engine.cancel(handed.run)
    known = await engine.describe(handed.run)
    await other.request("GET", f"/api/v1/runs/{known.external_id}/wait?timeout=10")
    assert (await engine.describe(handed.run)).status is RunStatus.CANCELLED


ASKING = {
    "version": 1,
    "name": "release",
    "triggers": {"by-hand": {"type": "manual"}},
    "jobs": {"approve": {"uses": "approval", "with": {"ask": "Publish?"}}},
}


async def spec(client, name, value):
    made = await client.post(f"/api/v1/deployment/workflows/{name}/deploy", json={"workflow_spec": value})
    assert made.status < 300, made.text
    return (await client.get(f"/api/v1/workflows/{name}")).json()["id"]


class Renamed(Wire):
    """Two programs know a workflow by ids of their own."""

    def __init__(self, client, here, there):
        super().__init__(client)
        self.here, self.there = here, there

    async def send(self, request):
        return await super().send(replace(request, url=request.url.replace(self.here, self.there)))


@pytest.fixture
async def caller(tmp_path, other):
    """A service whose `release` is executed by the other one; and the client of the other one."""
    settings = Settings(data=tmp_path / "caller", workflow_engine_url="http://other", lock_timeout=1, _env_file=None)
    application = Application(settings)
    await application.start()
    client = AsgiClient(application.asgi())
    there = await spec(other, "release", ASKING)
    handed = {"version": 1, "name": "release", "engine": "http", "triggers": {"by-hand": {"type": "manual"}}}
    here = await spec(client, "release", handed)
    application.engines["http"]._calls._client = Renamed(other, here, there)
    yield client
    await application.stop()


async def polled(look):
    async with asyncio.timeout(60):
        while not (found := await look()):
            await SystemClock().sleep(0.05)
        return found


async def paused(client):
    run_id = (await client.post("/v2/workflows/release/execute", json={})).json()["execution_id"]

    async def asked():
        items = (await client.get(f"/api/v1/waits?run={run_id}")).json()["items"]
        return [one for one in items if one["run_id"] == run_id]

    [wait] = await polled(asked)
    return run_id, wait


@pytest.mark.parametrize("approved", [True, False])
async def test_what_an_engine_elsewhere_asks_is_asked_here_and_the_answer_goes_there(caller, other, approved):
    run_id, wait = await paused(caller)
    assert (wait["ask"], (await caller.get(f"/api/v1/runs/{run_id}")).json()["status"]) == ("Publish?", "PAUSED")
    answered = await caller.post(f"/api/v1/waits/{wait['id']}", json={"approved": approved, "comment": "seen"})
    assert answered.status == 200, answered.text

    async def over():
        run = (await caller.get(f"/api/v1/runs/{run_id}/wait?timeout=5")).json()
        return run if run["ended"] else None

    run = await polled(over)
    assert (run["status"], run["output"]["approved"], run["output"]["comment"]) == ("SUCCEEDED", approved, "seen")


async def test_what_was_answered_there_is_called_off_here(caller, other):
    run_id, wait = await paused(caller)
    [asked] = (await other.get("/api/v1/waits")).json()["items"]
    assert (await other.post(f"/api/v1/waits/{asked['id']}", json={"approved": True})).status == 200

    async def gone():
        return (await caller.get(f"/api/v1/waits/{wait['id']}")).json()["status"] == "CANCELLED"

    assert await polled(gone)
    assert (await caller.get(f"/api/v1/runs/{run_id}/wait?timeout=20")).json()["status"] == "SUCCEEDED"

"""The clients against the real service over a socket, and against one that fails."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn
from aiohttp import web

from workflow_scheduler.app import Application
from workflow_scheduler.client import AsyncClient, Client, Event, Manual, Workflow, WorkflowBuilder, task
from workflow_scheduler.client.errors import DefinitionInvalid, NotConnected, NotFound, Unavailable
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.clock import FakeClock

FLOW = (
    WorkflowBuilder("greet", triggers={"hand": Manual(), "told": Event("person.came")})
    .add(task("say").tool("noop").input(output="hello ${input.name}"))
    .build()
)

NODES = {"nodes": [{"id": "say", "type": "ACTION", "subtype": "NOOP", "parameters": {"output": "hello ${input.name}"}}]}


@pytest.fixture
async def server(tmp_path):
    """The address of a service on a port of its own."""
    app = Application(Settings(_env_file=None, data=tmp_path))
    await app.start()
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app.asgi(), log_config=None, lifespan="off")
    serving = uvicorn.Server(config)
    serving.install_signal_handlers = lambda: None
    task_ = asyncio.create_task(serving.serve(sockets=[listening]))
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    serving.should_exit = True
    await task_
    await app.stop()


def calls(client):
    """What both clients are asked; the names of what comes back."""
    return {
        "deployed": client.deploy(Workflow("greet", FLOW)),
        "valid": client.validate("name: x\njobs: {a: {uses: noop}}\n"),
        "run": client.run("greet", {"name": "Ada"}),
        "sent": client.send("person.came", {"name": "Bob"}, id="1", wait="run"),
        "again": client.send("person.came", {"name": "Bob"}, id="1"),
        "runs": client.runs(workflow="greet"),
        "nodes": client.workflow("greet", form="nodes"),
        "scheduled": client.create_schedule("greet", "daily", cron="0 7 * * *", timezone="Europe/Berlin"),
        "schedules": client.schedules(),
        "previewed": client.preview(cron="0 7 * * *", timezone="UTC", count=2),
        "template": client.create_template("hello", NODES, category="notifications"),
        "from_template": client.run_template("hello", {"name": "Cy"}),
        "paused": client.pause("greet", reason="stocktaking"),
        "resumed": client.resume("greet"),
    }


def judged(found):
    assert found["deployed"]["deployment_status"] == "DEPLOYED"
    assert found["valid"]["valid"]
    assert (found["run"]["status"], found["run"]["output"]) == ("SUCCEEDED", "hello Ada")
    assert found["sent"]["runs"][0]["status"] in {"SUCCEEDED", "FAILED"}
    assert found["again"]["duplicate"]
    assert len(found["runs"]["items"]) == 2
    assert [one["type"] for one in found["nodes"]["definition"]["nodes"]] == ["TRIGGER", "TRIGGER", "ACTION"]
    assert [one["name"] for one in found["schedules"]["items"]] == ["daily"]
    assert len(found["previewed"]["fires"]) == 2
    assert found["template"]["definition"]["jobs"]["say"]["uses"] == "noop"
    assert found["from_template"]["run_id"]
    assert (found["paused"]["paused"], found["resumed"]["paused"]) == (True, False)


async def test_the_asynchronous_client_does_it_all(server):
    async with AsyncClient(server) as client:
        found = {}
        for name, waiting in calls(client).items():
            found[name] = await waiting
        judged(found)
        why = await client.explain(found["sent"]["event_id"])
        assert why["kind"] == "event"
        assert len([one async for one in client.each(client.runs, workflow="greet", limit=1)]) == 2
        with pytest.raises(NotFound):
            await client.show_run("nothing")


async def test_the_waiting_client_says_the_same(server):
    def work():
        client = Client(server)
        judged(calls(client))
        assert len(list(client.each(client.runs, workflow="greet", limit=1))) == 2
        with pytest.raises(DefinitionInvalid) as caught:
            client.deploy({"name": "x", "jobs": {"a": {"uses": "nop"}}})
        assert [one.field for one in caught.value.errors] == ["jobs.a.uses"]

    await asyncio.to_thread(work)


async def test_what_changes_is_streamed(server):
    async with AsyncClient(server) as client:
        await client.deploy(FLOW)
        items = client.stream("runs")
        waiting = asyncio.ensure_future(anext(items))
        await client.send("person.came", {"name": "Eve"})
        while not waiting.done():
            await client.send("person.came", {"name": "Eve"}, wait="run")
        assert (await waiting)["topic"] == "runs"
        with contextlib.suppress(RuntimeError):
            await items.aclose()


class Failing:
    """Answers 503 so often, then 200."""

    def __init__(self, times):
        self.left = times
        self.keys = []

    async def answer(self, request):
        self.keys.append(request.headers.get("Idempotency-Key"))
        self.left -= 1
        if self.left >= 0:
            return web.json_response({"code": "unavailable", "detail": "busy"}, status=503)
        return web.json_response({"run_id": "r"})


@pytest.fixture
async def failing():
    """Start a service that fails `times` times; returns it with its address."""
    runners = []

    async def start(times):
        peer = Failing(times)
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", peer.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        runners.append(runner)
        return peer, f"http://127.0.0.1:{runner.addresses[0][1]}"

    yield start
    for runner in runners:
        await runner.cleanup()


class Quick(FakeClock):
    async def sleep(self, seconds):
        self._now += round(seconds * 1_000_000)


async def test_a_call_is_repeated_under_one_key(failing):
    peer, url = await failing(2)
    async with AsyncClient(url, clock=Quick()) as client:
        assert await client.start("x") == {"run_id": "r"}
    assert len(peer.keys) == 3
    assert len(set(peer.keys)) == 1
    assert peer.keys[0]
    peer, url = await failing(9)
    async with AsyncClient(url, clock=Quick()) as client:
        with pytest.raises(Unavailable):
            await client.start("x")
    assert len(peer.keys) == 4
    slept = []
    peer, url = await failing(1)
    assert await asyncio.to_thread(Client(url, sleep=slept.append).start, "x") == {"run_id": "r"}
    assert slept == [0.2]


async def test_a_service_that_is_not_there_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with AsyncClient(f"http://127.0.0.1:{port}", clock=Quick()) as client:
        with pytest.raises(NotConnected, match=f"cannot reach http://127.0.0.1:{port}"):
            await client.runs()

"""The whole application in the same process, and what templates talk to: real mail, real web pages, real databases."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from aiohttp import web

from workflow_scheduler.app import Application
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.clock import FakeClock

sys.path.insert(0, str(Path(__file__).parents[1] / "jobs"))

from mailbox import Post

FINAL = {"SUCCEEDED", "FAILED", "CANCELLED"}


@pytest.fixture(params=["sqlite"])
def database(request, tmp_path):
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/wfs.db"


@pytest.fixture
async def application(tmp_path, database):
    app = Application(Settings(_env_file=None, data=tmp_path, database_url=database))
    await app.start()
    yield app
    await app.stop()


@pytest.fixture
def client(application):
    return AsgiClient(application.asgi())


class Pages:
    """A web server; `answers` are JSON values (200) or statuses by path, and `got` is what was asked and sent."""

    def __init__(self):
        self.answers = {}
        self.got = []
        self.url = ""

    async def open(self):
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self):
        await self._runner.cleanup()

    async def _answer(self, request):
        self.got.append((request.method, request.path_qs, await request.read()))
        found = self.answers.get(request.path, 404)
        return web.Response(status=found) if isinstance(found, int) else web.json_response(found)


@pytest.fixture
async def pages():
    made = Pages()
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def post(tmp_path):
    folder = tmp_path / "post"
    folder.mkdir()
    with Post(folder) as made:
        yield made


class Stage:
    """The service on a clock that tests move, with a mail server connected as `mail`."""

    def __init__(self, tmp_path, post):
        self.clock = FakeClock()
        self._settings = Settings(_env_file=None, data=tmp_path, allow_code=True, egress_allow="127.0.0.1")
        self.post = post
        self._real = SystemClock()

    async def open(self):
        self.application = Application(self._settings, self.clock)
        await self.application.start()
        self.client = AsgiClient(self.application.asgi())

    async def close(self):
        await self.application.stop()

    async def connect(self, name, kind, **fields):
        made = await self.client.post("/api/v1/connections", json={"name": name, "kind": kind, "fields": fields})
        assert made.status == 201, made.text

    async def mail(self):
        await self.connect(
            "mail", "smtp", host="127.0.0.1", port=self.post.port, security="none", sender="wfs@example.test"
        )

    async def until(self, what):
        """Return what `what()` gives once it is true; real work takes real time, and the clock moves by little."""
        for _ in range(600):
            found = await what()
            if found:
                return found
            await self._real.sleep(0.01)
            await self.clock.advance(0.05)
        raise AssertionError("it did not come to that")

    async def ended(self, run_id):
        async def final():
            shown = (await self.client.get(f"/api/v1/runs/{run_id}")).json()
            return shown if shown["status"] in FINAL else None

        return await self.until(final)

    async def run(self, template, **given):
        started = await self.client.post(f"/api/v1/templates/{template}/run", json={"input": given})
        assert started.status == 202, started.text
        return await self.ended(started.json()["run_id"])

    async def make(self, template, workflow, **given):
        body = {"workflow": workflow, "input": given, "deploy": True}
        made = await self.client.post(f"/api/v1/templates/{template}/instantiate", json=body)
        assert made.status == 201, made.text
        return made.json()

    async def runs(self, workflow, count):
        """Return the ended runs of a workflow, the oldest first, once there are `count`."""

        async def found():
            items = (await self.client.get(f"/api/v1/runs?workflow={workflow}")).json()["items"]
            done = [one for one in items if one["status"] in FINAL]
            return done[::-1] if len(done) >= count else None

        return await self.until(found)

    @property
    def subjects(self):
        return [one["subject"] for one in self.post.box.messages]


@pytest.fixture
def warehouse(request, tmp_path):
    """The URL of a database that jobs work on."""
    return (
        request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/warehouse.db"
    )


@pytest.fixture
async def stage(tmp_path, post):
    made = Stage(tmp_path, post)
    await made.open()
    await made.mail()
    yield made
    await made.close()

"""The published suites over both types, and the trigger against a server inside the real service."""

import socket
from importlib.metadata import entry_points

import pytest
from aiohttp import web
from wfs_statuspage import job, trigger

from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.testing.conformance.job_type import JobTypeConformance
from workflow_scheduler.testing.conformance.source_type import SourceTypeConformance
from workflow_scheduler.testing.conformance.trigger_type import TriggerTypeConformance
from workflow_scheduler.testing.sources import SourceBench


class TestTrigger(TriggerTypeConformance):
    """What every trigger type must do."""

    @pytest.fixture
    def trigger_type(self):
        return trigger


class TestSource(SourceTypeConformance):
    """What every polled or streaming type must do."""

    @pytest.fixture
    def trigger_type(self):
        return trigger


class TestJob(JobTypeConformance):
    """What every job type must do."""

    @pytest.fixture
    def job_type(self):
        return job


def test_both_are_found_by_their_entry_points():
    found = {point.load().name for group in ("triggers", "jobs") for point in
             entry_points(group=f"workflow_scheduler.{group}")}  # fmt: skip
    assert {"statuspage", "incident_text"} <= found


class Page:
    """A status page on 127.0.0.1."""

    type = "statuspage"
    secrets = {}
    connections = {}

    def __init__(self):
        self.incidents = []
        self.asked = 0
        self._version = 0

    async def start(self):
        app = web.Application()
        app.router.add_get("/api/v2/incidents.json", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        await web.SockSite(self._runner, listening).start()

    async def stop(self):
        await self._runner.cleanup()

    def config(self):
        return {"type": "statuspage", "url": f"http://127.0.0.1:{self.port}", "impact": "minor", "every": "1s"}

    def number(self, data):
        return int(data["id"])

    async def publish(self, numbers, impact="major"):
        for number in numbers:
            self._version += 1
            incident = {"id": str(number), "name": "Outage", "impact": impact, "updated_at": f"v{self._version}"}
            self.incidents = [incident, *(one for one in self.incidents if one["id"] != str(number))]

    async def _answer(self, request):
        self.asked += 1
        etag = f'"{self._version}"'
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers={"ETag": etag})
        return web.json_response({"incidents": self.incidents}, headers={"ETag": etag})


async def test_each_change_of_an_incident_starts_one_run(tmp_path):
    page = Page()
    await page.start()
    await page.publish([1])  # it stood there before
    try:
        async with SourceBench(tmp_path, page) as bench:
            await bench.until(lambda: page.asked > 0, "the first look")
            await page.publish([2, 3])
            assert dict(await bench.heard(2)) == {2: 1, 3: 1}
            await page.publish([1])
            assert dict(await bench.heard(3)) == {1: 1, 2: 1, 3: 1}
    finally:
        await page.stop()


@pytest.mark.parametrize(("impact", "fits"), [("none", False), ("minor", True), ("critical", True), ("new", None)])
def test_small_incidents_start_nothing(impact, fits):
    config = trigger.Config(url="https://status.example", impact="minor")
    event = Event(id="e", tenant_id="t", provider="statuspage", source="s", type="x", event_key="k", time=0,
                  received_at=0, data=b'{"impact":"' + impact.encode() + b'"}')  # fmt: skip
    assert trigger.matches(config, EventView(event)).result is fits

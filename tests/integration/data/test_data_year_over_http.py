"""A year of one schedule over HTTP, on the whole service: crashes, pauses, edits, deployments, and a ledger that fits.

The loops of the timer do not run here: a year of their looks would take minutes. Each step lets the timer settle once.
"""

import asyncio

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.core.time.clock import DAY_US, to_iso
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.clock import NOON, FakeClock

HOUR, DAY = 3600, 86_400
PARTS = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
TICK = {"type": "cron", "cron": "0 */2 * * *", "timezone": "Europe/Berlin"}


def flow(jobs=("work",), **tick):
    return {
        "version": 1,
        "name": "report",
        "triggers": {"tick": {**TICK, **tick}},
        "jobs": {name: {"uses": "noop"} for name in jobs},
    }


class Year:
    """The service, what it is told, and what it says about it."""

    def __init__(self, folder, database):
        roles = "api,ingest,dispatch,engine"
        kept = {"retention_events_days": 400, "retention_runs_days": 400}  # the runs of a year are counted
        self.settings = Settings(_env_file=None, data=folder, database_url=database, roles=roles, **kept)
        self.clock = FakeClock()
        self.sums = {}

    async def begin(self):
        self.application = Application(self.settings, self.clock)
        await self.application.start()
        self.client = AsgiClient(self.application.asgi())

    async def crash(self):
        """Let everything go without a word, as a process that is killed; the lease stays."""
        for task in self.application._tasks:
            task.cancel()
        await asyncio.gather(*self.application._tasks, return_exceptions=True)
        await self.application.store.close()

    async def call(self, method, target, body=None, status=200):
        reply = await getattr(self.client, method)(target, **({} if body is None else {"json": body}))
        assert reply.status == status, reply.text
        return reply.json()

    async def passes(self, seconds):
        self.clock.jump(seconds)
        await self.application.cache.refresh()
        while await self.application.timer.tick():
            pass

    async def on_time(self, times=6):
        for _ in range(times):
            shown = await self.call("get", f"/api/v1/schedules/{self.schedule}")
            ((due,),) = await self.application.store.read("SELECT next_fire_at FROM schedules")
            assert shown["next_fire_at"] == to_iso(due)
            await self.passes((due - self.clock.now()) / 1e6)

    async def deploy(self, **changed):
        target = "/api/v1/deployment/workflows/report/deploy"
        await self.call("post", target, {"workflow_spec": flow(**changed)})

    async def check(self):
        until = self.clock.now() + DAY_US
        target = f"/api/v1/schedules/{self.schedule}/occurrences?limit=1&from={to_iso(NOON)}&to={to_iso(until)}"
        self.sums = (await self.call("get", target))["sums"]
        assert self.sums["planned"] == sum(self.sums[part] for part in PARTS)
        assert self.sums["pending"] == 0
        ((runs, doubled),) = await self.application.store.read(
            "SELECT COUNT(*), COUNT(*) - COUNT(DISTINCT scheduled_for) FROM runs"
        )
        assert (self.sums["fired"], doubled) == (runs, 0)


@pytest.fixture(params=["sqlite", "postgres"])
async def year(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else f"sqlite:///{tmp_path}/wfs.db"
    made = Year(tmp_path, url)
    await made.begin()
    await made.call("post", "/api/v1/workflows", flow(), 201)
    await made.deploy()
    (listed,) = (await made.call("get", "/api/v1/schedules"))["items"]
    made.schedule = listed["id"]
    yield made
    await made.application.stop()


async def month(year, number):
    """Let one month go by in which everything happens once."""
    own = f"/api/v1/schedules/{year.schedule}"
    await year.on_time()
    await year.crash()
    year.clock.jump((3 + number) * DAY)
    await year.begin()
    await year.passes(0)
    await year.check()
    await year.call("post", f"{own}/pause", {"reason": "stocktaking"})
    await year.passes(2 * DAY)
    await year.check()
    await year.call("post", f"{own}/resume", {"missed": ("none", "latest", "all")[number % 3]})
    await year.passes(0)
    await year.call("post", f"{own}/skip", {})
    await year.on_time(2)
    await year.check()
    await year.call("put", own, {"cron": f"{number * 5} */{number % 4 + 1} * * *", "timezone": "Europe/Berlin"})
    await year.on_time()
    await year.check()
    await year.deploy(jobs=("work", f"more{number}"), catchup=("none", "latest", "all")[number % 3], catchup_max=5)
    await year.passes(4 * DAY)
    await year.check()
    await year.call("post", "/api/v1/deployment/workflows/report/undeploy", {})
    await year.passes(DAY)
    await year.deploy()
    await year.on_time(3)
    await year.check()


async def test_what_was_planned_is_what_became_of_it_whatever_happened_in_a_year(year):
    for number in range(12):
        begin = NOON + number * 30 * DAY_US
        await year.passes(max(0, begin - year.clock.now()) / 1e6)
        await month(year, number)
    await year.passes(max(0, NOON + 365 * DAY_US - year.clock.now()) / 1e6)
    await year.check()
    assert all(year.sums[part] for part in ("fired", "skipped", "missed", "coalesced", "superseded")), year.sums


async def test_a_filter_reads_the_clock_payload(year):
    condition = (
        "event.data.triggerType == 'recurring' && event.data.scheduledFor.contains('T16:') && trigger.name == 'tick'"
    )
    await year.deploy(cron="0 * * * *", timezone="UTC", condition=condition)
    await year.on_time(8)
    runs = (await year.call("get", "/api/v1/runs"))["items"]
    assert [(run["trigger_type"], run["scheduled_for"][11:16]) for run in runs] == [("cron", "16:00")]
    target = f"/api/v1/schedules/{year.schedule}/occurrences?from={to_iso(NOON)}&to={to_iso(year.clock.now() + 1)}"
    found = await year.call("get", target)
    assert [item["outcome"] for item in found["items"]].count("filtered") == 7
    filtered = next(item for item in found["items"] if item["outcome"] == "filtered")
    event = (await year.call("get", f"/api/v1/events/{filtered['event_id']}/explain"))["decisions"][0]
    assert event["outcome"] == "filtered"

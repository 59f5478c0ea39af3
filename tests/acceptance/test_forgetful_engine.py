"""An engine that commits a run and then forgets to say so, behind the whole pipeline: no run starts twice."""

import asyncio
import http.client
import random

import pytest
from chaos.service import Service

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.fake_engine import FakeEngine, Fault

RUNS = 1_000
FORGETFUL = (Fault.DROP_AFTER, Fault.ERROR_AFTER)
UNRELIABLE = (*FORGETFUL, Fault.DROP_BEFORE, Fault.ERROR_BEFORE, Fault.NONE)
WORKFLOW = {
    "version": 1,
    "name": "elsewhere",
    "engine": "http",
    "triggers": {"in": {"type": "webhook", "path": "elsewhere", "signature": {"scheme": "none"}}},
    "jobs": {"only": {"uses": "noop"}},
}


def first_attempt(faults, seed=7):
    """Plan a fault for the first attempt of each run, seldom for a second one, and none later."""
    draw = random.Random(seed)  # noqa: S311 -- a seed repeats the run

    def plan(_key, attempt):
        if attempt == 1 or (attempt == 2 and draw.random() < 0.1):
            return draw.choice(faults)
        return Fault.NONE

    return plan


class Bed:
    """The application and its engine, on one event loop."""

    def __init__(self, folder):
        self.folder = folder
        self.engine = None
        self.application = None
        self.client = None

    async def open(self, plan, *, idempotent=False, start_seconds=5.0):
        self.engine = await FakeEngine(plan, idempotent=idempotent).open()
        self.application = Application(
            Settings(
                _env_file=None,
                data=self.folder,
                workflow_engine_url=self.engine.url,
                engine_start_seconds=start_seconds,
            )
        )
        await self.application.start()
        self.client = AsgiClient(self.application.asgi())
        created = (await self.client.post("/api/v1/workflows", json=WORKFLOW)).json()
        answer = await self.client.post(f"/api/v1/deployment/workflows/{created['id']}/deploy")
        assert answer.status == 200, answer.text

    async def close(self):
        if self.application is not None:
            await self.application.stop()
        await self.engine.close()

    async def pour(self, count, start=0):
        async def one(number):
            answer = await self.client.post(
                "/api/v1/public/webhook/elsewhere", json={"n": number}, headers={"webhook-id": f"k{number}"}
            )
            assert answer.status == 202, answer.text

        await asyncio.gather(*(one(number) for number in range(start, start + count)))

    async def statuses(self):
        rows = await self.application.store.read("SELECT status, COUNT(*) FROM runs GROUP BY status")
        return dict(rows)

    async def until(self, happened, seconds=60):
        """Ask again and again; the engine and the service send no signals to a test."""
        clock = self.application.clock
        deadline = clock.monotonic() + seconds
        while not await happened():
            assert clock.monotonic() < deadline, f"{await self.statuses()}, {len(self.engine.starts)} started"
            await clock.sleep(0.05)

    async def started(self, count):
        async def all_started():
            return len(self.engine.starts) >= count

        await self.until(all_started)

    async def ended(self, count):
        async def all_ended():
            for run_id in [one["idempotency_key"] for one in self.engine.executions.values()]:
                self.engine.finish(run_id)
            return (await self.statuses()) == {"SUCCEEDED": count}

        await self.until(all_ended)


@pytest.fixture
async def bed(tmp_path):
    made = Bed(tmp_path)
    yield made
    await made.close()


async def test_a_thousand_runs_on_an_engine_that_forgets_start_once_and_end(bed):
    await bed.open(first_attempt(UNRELIABLE))
    await bed.pour(RUNS)
    await bed.started(RUNS)
    await bed.ended(RUNS)
    assert set(bed.engine.starts.values()) == {1}
    assert len(bed.engine.starts) == RUNS


async def test_an_answer_after_the_time_out_is_looked_up_and_not_started_again(bed):
    await bed.open(first_attempt((Fault.LATE,)), start_seconds=1.0)
    await bed.pour(150)
    await bed.started(150)
    await bed.ended(150)
    assert set(bed.engine.starts.values()) == {1}


async def test_what_came_while_the_engine_was_down_is_started_once_when_it_is_back(bed):
    down = True
    await bed.open(lambda _key, _attempt: Fault.DROP_BEFORE if down else Fault.NONE)
    await bed.pour(50)

    async def tried():
        return sum(bed.engine.attempts.values()) >= 5

    await bed.until(tried)
    assert not bed.engine.starts
    down = False
    await bed.started(50)
    await bed.ended(50)
    assert set(bed.engine.starts.values()) == {1}


async def test_refused_runs_are_dead_letters_and_start_once_when_they_are_redriven(bed):
    refusing = True
    await bed.open(lambda _key, _attempt: Fault.REFUSE if refusing else Fault.NONE)
    await bed.pour(20)

    async def dead():
        return (await bed.statuses()) == {"FAILED": 20}

    await bed.until(dead)
    letters = (await bed.client.get("/api/v1/dead-letters?limit=100")).json()["items"]
    assert {letter["reason"] for letter in letters} == {"engine_refused"}
    assert len(letters) == 20
    counted = await bed.client.post("/api/v1/dead-letters/redrive", json={"dry_run": True})
    assert counted.status == 200, counted.text
    refusing = False
    assert (await bed.client.post("/api/v1/dead-letters/redrive", json={})).status == 200
    await bed.started(20)
    await bed.ended(20)
    assert set(bed.engine.starts.values()) == {1}
    assert (await bed.client.get("/api/v1/dead-letters")).json()["items"] == []


async def test_killed_while_it_hands_runs_over_the_service_starts_none_of_them_twice(tmp_path):
    engine = await FakeEngine(first_attempt(UNRELIABLE), idempotent=False).open()
    service = Service(tmp_path, WORKFLOW_ENGINE_URL=engine.url)

    def pour(numbers):
        for number in numbers:
            try:
                service.call("POST", "/api/v1/public/webhook/elsewhere", {"n": number}, {"webhook-id": f"k{number}"})
            except (OSError, http.client.HTTPException):
                service.kill()
                service.start()
                pour([number])

    try:
        await asyncio.to_thread(service.start)
        await asyncio.to_thread(service.deploy, WORKFLOW)
        for number, failpoint in enumerate(("", "dispatch.start.before:9", "dispatch.start.after:9", "", "")):
            service.kill()
            await asyncio.to_thread(service.start, **({"WFS_FAILPOINT": failpoint} if failpoint else {}))
            await asyncio.to_thread(pour, range(number * 40, number * 40 + 40))
        count = 200
        for _ in range(600):
            for run_id in list(engine.starts):
                engine.finish(run_id)
            found = await asyncio.to_thread(service.items, "/api/v1/runs", status="SUCCEEDED")
            if len(found) == count:
                break
            await asyncio.to_thread(service.died_within, 0.1)
        assert len(found) == count, service.tail()
        assert len(engine.starts) == count
        assert set(engine.starts.values()) == {1}
    finally:
        service.kill()
        await engine.close()

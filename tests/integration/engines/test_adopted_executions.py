"""Executions that others started on an HTTP engine and that stand still there: an event lets the right one go on."""

import asyncio

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.fake_engine import FakeEngine, Fault

WORKFLOW = {
    "version": 1,
    "name": "elsewhere",
    "engine": "http",
    "triggers": {
        "in": {"type": "webhook", "path": "in", "signature": {"scheme": "none"}},
        "by-hand": {"type": "manual"},
        "resuming": {"type": "interval", "every": "1000h", "resume": True},
    },
    "jobs": {"only": {"uses": "noop"}},
}


class Bed:
    def __init__(self, folder, url):
        self.folder, self.url = folder, url
        self.engine = self.application = self.client = self.workflow = None

    async def open(self, plan=None):
        self.engine = await (FakeEngine() if plan is None else FakeEngine(plan)).open()
        settings = {"data": self.folder, "workflow_engine_url": self.engine.url, "database_url": self.url}
        self.application = Application(Settings(_env_file=None, **{k: v for k, v in settings.items() if v}))
        await self.application.start()
        self.client = AsgiClient(self.application.asgi())
        self.workflow = (await self.client.post("/api/v1/workflows", json=WORKFLOW)).json()["id"]
        answer = await self.client.post("/api/v1/deployment/workflows/elsewhere/deploy", json={})
        assert answer.status == 200, answer.text
        return self

    async def say(self, data):
        answer = await self.client.post("/api/v1/public/webhook/in", json=data)
        assert answer.status == 202, answer.text
        return answer.json()["event_id"]

    async def run_of(self, event_id, *statuses):
        """Return the run of an event once it has one of these statuses."""
        async with asyncio.timeout(20):
            while True:
                items = (await self.client.get(f"/api/v1/runs?event={event_id}")).json()["items"]
                if items and items[0]["status"] in statuses:
                    return items[0]
                await asyncio.to_thread(lambda: None)

    async def decision(self, event_id):
        return (await self.client.get(f"/api/v1/events/{event_id}/explain")).json()["decisions"][0]

    def resumed(self):
        return [
            (path.split("/")[3], body) for method, path, _, body in self.engine.requests if path.endswith("/resume")
        ]

    async def close(self):
        await self.application.stop()
        await self.engine.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def bed(request, tmp_path):
    url = request.getfixturevalue("postgres_url") if request.param == "postgres" else ""
    made = Bed(tmp_path, url)
    yield made
    await made.close()


async def test_an_event_lets_the_paused_execution_go_on_that_started_last(bed):
    await bed.open()
    bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z")
    last = bed.engine.pause(bed.workflow, "2027-01-02T00:00:00Z", "i-7")
    event = await bed.say({"approved": True, "by": "ann"})
    run = await bed.run_of(event, "RUNNING")
    assert bed.resumed() == [(last, {"resume_data": {"approved": True, "by": "ann"}, "interaction_id": "i-7"})]
    assert bed.engine.executions[last]["resumed_by"] == run["id"]
    assert not bed.engine.starts
    decision = await bed.decision(event)
    assert (decision["outcome"], decision["reason"], decision["run_id"]) == ("run_resumed", "wait_answered", run["id"])
    told = {line["expected"]["execution"]: line for line in decision["predicates"] if line["name"] == "execution"}
    assert told[last]["note"] == "the paused execution that started last"
    assert len(told) == 2

    bed.engine.executions[last].update(status="SUCCEEDED", ended_at="2027-01-02T01:00:00Z", output={"n": 1})
    assert (await bed.run_of(event, "SUCCEEDED"))["output"] == {"n": 1}


async def test_the_next_event_takes_the_next_one_and_then_runs_start(bed):
    await bed.open()
    ids = [bed.engine.pause(bed.workflow, f"2027-01-0{day}T00:00:00Z") for day in (1, 2)]
    for _ in range(3):
        await bed.run_of(await bed.say({}), "RUNNING")
    assert [execution for execution, _ in bed.resumed()] == ids[::-1]
    assert len(bed.engine.starts) == 1


async def test_a_start_by_hand_starts(bed):
    await bed.open()
    bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z")
    answer = await bed.client.post("/api/v1/triggers/workflows/elsewhere/manual", json={})
    await bed.run_of(answer.json()["event_id"], "RUNNING")
    assert bed.resumed() == []
    assert len(bed.engine.starts) == 1


async def test_a_clock_resumes_where_its_trigger_says_so(bed):
    await bed.open()
    last = bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z")
    schedules = (await bed.client.get("/api/v1/schedules")).json()["items"]
    answer = await bed.client.post(f"/api/v1/schedules/{schedules[0]['id']}/trigger", json={})
    assert answer.status in (200, 202), answer.text
    async with asyncio.timeout(20):
        while not bed.resumed():
            await asyncio.to_thread(lambda: None)
    assert bed.resumed()[0][0] == last


async def test_a_lost_answer_is_not_given_twice_and_no_run_starts(bed):
    def plan(_key, attempt):
        return Fault.DROP_AFTER if attempt == 1 else Fault.NONE

    await bed.open(plan)
    bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z")
    await bed.run_of(await bed.say({"n": 1}), "RUNNING")
    assert len(bed.resumed()) == 1
    assert not bed.engine.starts


async def test_an_answer_that_did_not_arrive_is_given_again(bed):
    def plan(_key, attempt):
        return Fault.DROP_BEFORE if attempt == 1 else Fault.NONE

    await bed.open(plan)
    last = bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z", "i-1")
    await bed.run_of(await bed.say({"n": 1}), "RUNNING")
    assert [body["interaction_id"] for _, body in bed.resumed()] == ["i-1", "i-1"]
    assert bed.engine.executions[last]["status"] == "RUNNING"
    assert not bed.engine.starts


async def test_one_that_is_cancelled_before_the_answer_arrives_takes_nothing_and_a_run_starts(bed):
    def plan(_key, attempt):
        if attempt == 1:
            bed.engine.executions[last].update(status="CANCELLED", ended_at="2027-01-01T01:00:00Z")
            return Fault.DROP_BEFORE
        return Fault.NONE

    await bed.open(plan)
    last = bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z")
    event = await bed.say({"n": 1})
    run = await bed.run_of(event, "RUNNING")
    assert bed.engine.starts == {run["id"]: 1}
    assert (await bed.decision(event))["outcome"] == "run_started"


async def test_an_answer_that_is_given_again_still_names_what_it_answers(bed):
    def plan(_key, attempt):
        return Fault.DROP_BEFORE if attempt == 1 else Fault.NONE

    await bed.open(plan)
    last = bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z")
    bed.engine.executions[last]["interactions"] = [{"interaction_id": "i-1"}, {"interaction_id": "i-2"}]
    await bed.run_of(await bed.say({"interaction_id": "i-2", "approved": True}), "RUNNING")
    assert [body["interaction_id"] for _, body in bed.resumed()] == ["i-2", "i-2"]


async def test_a_refused_answer_leaves_it_standing_and_a_run_starts(bed):
    def plan(key, attempt):
        return Fault.REFUSE if attempt == 1 else Fault.NONE

    await bed.open(plan)
    standing = bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z")
    event = await bed.say({"n": 1})
    await bed.run_of(event, "RUNNING")
    assert bed.engine.executions[standing]["status"] == "PAUSED"
    assert len(bed.engine.starts) == 1
    decision = await bed.decision(event)
    assert (decision["outcome"], decision["reason"]) == ("run_started", "matched")
    assert any("refuses" in (line["note"] or "") for line in decision["predicates"])


async def test_a_rerun_and_a_replay_start_runs_as_they_are_meant_to(bed):
    await bed.open()
    event = await bed.say({"n": 1})
    first = await bed.run_of(event, "RUNNING")
    bed.engine.finish(first["id"])
    await bed.run_of(event, "SUCCEEDED")
    standing = bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z")

    again = (await bed.client.post(f"/api/v1/runs/{first['id']}/rerun", json={})).json()["run_id"]
    replayed = await bed.client.post("/api/v1/events/replay", json={"ids": [event]})
    assert replayed.status < 300, replayed.text
    async with asyncio.timeout(20):
        while len(bed.engine.starts) + len(bed.resumed()) < 3:
            await asyncio.to_thread(lambda: None)
    assert bed.resumed() == []
    assert again in bed.engine.starts
    assert bed.engine.executions[standing]["status"] == "PAUSED"


async def test_why_no_execution_was_taken_is_told_once_however_often_it_is_tried(bed):
    def plan(_key, attempt):
        return Fault.ERROR_BEFORE if attempt == 1 else Fault.NONE

    await bed.open(plan)
    twins = {bed.engine.pause(bed.workflow, "2027-01-01T00:00:00Z") for _ in range(2)}
    event = await bed.say({"n": 1})
    await bed.run_of(event, "RUNNING")
    assert bed.resumed() == []
    decision = await bed.decision(event)
    told = [line for line in decision["predicates"] if line["name"] == "execution"]
    assert (decision["outcome"], len(told)) == ("run_started", 2)
    assert {line["expected"]["execution"] for line in told} == twins
    assert {line["note"] for line in told} == {"several executions started at the same instant"}

"""Overlap over HTTP, on the whole service in one process: what waits, for whom, why, and giving it up."""

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

NAP = {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}}
RULE = {"policy": "queue_all", "key": "event.data.customer"}
FLOW = {
    "version": 1,
    "name": "bills",
    "triggers": {"hook": {"type": "webhook", "path": "bills", "signature": "none", "overlap": RULE}},
    "jobs": NAP,
}

UNDER_WAY = {"RUNNING", "PAUSED"}  # a run that sleeps is paused


@pytest.fixture
async def client(tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path, database_url=f"sqlite:///{tmp_path}/wfs.db"))
    await application.start()
    await application.context.deployments.deploy(LOCAL, "bills", FLOW)
    yield AsgiClient(application.asgi())
    await application.stop()


async def sent(client, customer):
    reply = await client.post("/api/v1/public/webhook/bills?wait=decision", json={"customer": customer})
    assert reply.status == 202, reply.text
    (decision,) = reply.json()["decisions"]
    return decision


async def only(client, target):
    reply = await client.get(target)
    assert reply.status == 200, reply.text
    return reply.json()


async def the_trigger(client):
    (found,) = (await only(client, "/api/v1/triggers?workflow=bills"))["items"]
    return found


async def test_what_waits_is_counted_and_says_for_which_run(client):
    decisions = [await sent(client, customer) for customer in ("a", "a", "b", "a")]
    assert [(one["outcome"], one["reason"]) for one in decisions] == [
        ("run_started", "matched"), ("deferred", "overlap_queued"), ("run_started", "matched"),
        ("deferred", "overlap_queued"),
    ]  # fmt: skip
    trigger = await the_trigger(client)
    assert (trigger["waiting"], trigger["overlap"]["policy"]) == (2, "queue_all")
    assert (await only(client, "/api/v1/workflows/bills"))["triggers"][0]["waiting"] == 2
    waiting = await only(client, f"/api/v1/runs/{decisions[1]['run_id']}")
    assert (waiting["status"], waiting["waiting"]) == ("QUEUED", True)
    assert waiting["waits_for"] == [decisions[0]["run_id"]]
    explained = await only(client, f"/api/v1/events/{waiting['event_id']}/explain")
    assert "an earlier run was still under way, and it waits for its end" in explained["summary"]
    assert f"run {decisions[0]['run_id']} was still under way" in explained["summary"]


async def test_the_end_of_a_run_starts_the_next_one(client):
    first, second = [(await sent(client, "a"))["run_id"] for _ in range(2)]
    assert (await client.post(f"/api/v1/runs/{first}/cancel", json={})).status == 202
    await only(client, f"/api/v1/runs/{first}/wait?timeout=20")
    for _ in range(200):
        run = await only(client, f"/api/v1/runs/{second}")
        if run["status"] in UNDER_WAY:
            break
    assert (run["status"] in UNDER_WAY, run["waiting"], run["waits_for"]) == (True, False, [])


@pytest.mark.parametrize(("keep", "left"), [("latest", [2, 4]), ("none", [])])
async def test_a_flush_keeps_the_latest_of_each_key(client, keep, left):
    ids = [(await sent(client, customer))["run_id"] for customer in ("a", "a", "a", "b", "b")]
    trigger = await the_trigger(client)
    reply = await client.post(f"/api/v1/triggers/{trigger['id']}/flush", json={"keep": keep})
    assert reply.status == 200, reply.text
    flushed = [run_id for place, run_id in enumerate(ids) if place in {1, 2, 4} and place not in left]
    assert reply.json() == {"flushed": len(flushed), "waiting": len(left), "kept": sorted(ids[n] for n in left)}
    for run_id in flushed:
        run = await only(client, f"/api/v1/runs/{run_id}")
        assert (run["status"], run["error"]["code"]) == ("CANCELLED", "overlap_flushed")
        (decision,) = (await only(client, f"/api/v1/events/{run['event_id']}/explain"))["decisions"]
        assert (decision["outcome"], decision["reason"]) == ("skipped", "overlap_flushed")
    assert (await the_trigger(client))["waiting"] == len(left)


async def test_a_workflow_is_flushed_as_a_whole_and_what_is_under_way_goes_on(client):
    first, _, third = [(await sent(client, "a"))["run_id"] for _ in range(3)]
    reply = await client.post("/api/v1/workflows/bills/flush")
    assert reply.json() == {"flushed": 1, "waiting": 1, "kept": [third]}
    assert (await only(client, f"/api/v1/runs/{first}"))["status"] in UNDER_WAY


async def test_bad_requests_to_flush_name_the_field(client):
    trigger = await the_trigger(client)
    reply = await client.post(f"/api/v1/triggers/{trigger['id']}/flush", json={"keep": "some"})
    assert reply.status == 422
    assert reply.json()["errors"][0]["field"] == "keep"
    assert (await client.post("/api/v1/triggers/nothing/flush")).status == 404
    assert (await client.post("/api/v1/workflows/nothing/flush")).status == 404


async def test_a_schedule_without_a_file_takes_a_rule(client):
    body = {"workflow": "bills", "name": "hourly", "every": "1h", "overlap": "skip"}
    reply = await client.post("/api/v1/schedules", json=body)
    assert reply.status == 201, reply.text
    assert reply.json()["overlap"]["policy"] == "skip"
    reply = await client.post("/api/v1/schedules", json={**body, "name": "other", "overlap": "skipp"})
    assert reply.status == 422
    assert any("overlap" in issue["field"] for issue in reply.json()["errors"])

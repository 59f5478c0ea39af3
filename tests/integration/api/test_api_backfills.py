"""Backfills over HTTP on the whole service, with its engine, its loops and its live stream."""

import asyncio

import msgspec
import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.time.clock import to_iso

NIGHTLY = {"type": "cron", "cron": "0 2 * * *", "timezone": "Europe/Berlin"}
SPAN = {"workflow": "report", "from": "2026-01-01T00:00:00Z", "to": "2026-01-11T00:00:00Z"}


def flow(name="report", job=None, **more):
    return {
        "version": 1,
        "name": name,
        "triggers": {"nightly": NIGHTLY},
        "jobs": {"work": job or {"uses": "noop"}},
    } | more


async def deployed(application, definition):
    await application.context.deployments.deploy(LOCAL, definition["name"], definition)


async def shown(client, backfill_id, *statuses):
    """Look at a backfill until it has one of these statuses."""
    for _ in range(600):
        reply = await client.get(f"/api/v1/backfills/{backfill_id}")
        assert reply.status == 200, reply.text
        if reply.json()["status"] in statuses:
            return reply.json()
        await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.02)
    raise AssertionError(reply.text)


async def test_planned_then_run_then_listed(application, client):
    await deployed(application, flow())
    reply = await client.post("/api/v1/backfills", json={**SPAN, "dry_run": True, "limit": 4})
    plan = reply.json()
    assert reply.status == 200
    assert (plan["planned"], plan["to_run"], plan["left_out"]) == (10, 10, 0)
    assert plan["items"][0]["utc"] == "2026-01-01T01:00:00Z"
    rest = (await client.post("/api/v1/backfills", json={**SPAN, "dry_run": True, "cursor": plan["next"]})).json()
    assert len(plan["items"]) + len(rest["items"]) == 10
    reply = await client.post("/api/v1/backfills", json={**SPAN, "max_active": 3, "input": {"full": True}})
    assert reply.status == 201, reply.text
    done = await shown(client, reply.json()["id"], "completed")
    assert (done["planned"], done["started"], done["succeeded"], done["remaining"]) == (10, 10, 10, 0)
    runs = (await client.get(f"/api/v1/backfills/{done['id']}/runs?limit=100")).json()["items"]
    assert len({run["scheduled_for"] for run in runs}) == len(runs) == 10
    assert {msgspec.json.encode(run["input"]) for run in runs} == {b'{"full":true}'}
    assert (await client.get(f"/api/v1/runs?backfill={done['id']}&limit=100")).json()["items"] == runs
    why = (await client.get(f"/api/v1/runs/{runs[0]['id']}/explain")).json()
    assert why["backfill_id"] == done["id"]
    listed = (await client.get("/api/v1/backfills?workflow=report&status=completed")).json()["items"]
    assert [one["id"] for one in listed] == [done["id"]]


async def test_the_stream_tells_the_progress(application, client):
    await deployed(application, flow())
    items = application.live.subscribe(LOCAL.tenant_id, {"backfills"})
    first = asyncio.ensure_future(anext(items))
    made = (await client.post("/api/v1/backfills", json=SPAN)).json()
    seen = [await first]
    while seen[-1].data["status"] != "completed":
        seen.append(await asyncio.wait_for(anext(items), 30))
    assert {one.data["id"] for one in seen} == {made["id"]}
    assert {one.type for one in seen} == {"backfill.changed"}
    assert seen[-1].data["succeeded"] == 10
    assert (await client.get("/api/v1/stream?topics=backfill")).status == 422


async def test_its_runs_stand_beside_the_limit_of_the_workflow(application, client):
    nap = {"uses": "sleep_for", "with": {"duration": "1h"}}
    await deployed(application, flow(job=nap, concurrency={"max_runs": 1}))
    made = (await client.post("/api/v1/backfills", json={**SPAN, "max_active": 3})).json()
    for _ in range(200):
        one = (await client.get(f"/api/v1/backfills/{made['id']}")).json()
        if one["active"] == 3:
            break
        await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.02)
    hand = (await client.post("/api/v1/triggers/workflows/report/manual", json={})).json()
    for _ in range(200):
        runs = (await client.get("/api/v1/runs?workflow=report")).json()["items"]
        if all(run["status"] in ("RUNNING", "PAUSED") for run in runs) and len(runs) == 4:
            break
        await asyncio.wait([asyncio.ensure_future(asyncio.Event().wait())], timeout=0.02)
    assert len(runs) == 4
    assert "QUEUED" not in {run["status"] for run in runs}
    reply = await client.post(f"/api/v1/backfills/{made['id']}/cancel", json={"cancel_runs": True})
    assert reply.status == 200
    ended = await shown(client, made["id"], "cancelled")
    assert (ended["started"], ended["cancelled"]) == (3, 3)
    assert (await client.get(f"/api/v1/runs/{hand['run_id']}")).json()["status"] != "CANCELLED"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"workflow": "nobody"}, "workflow"),
        ({"from": "2026-02-01T00:00:00Z"}, "to"),
        ({"to": "2999-01-01T00:00:00Z"}, "to"),
        ({"from": "yesterday"}, "from"),
        ({"reprocess": "some"}, "reprocess"),
        ({"max_active": 0}, "max_active"),
        ({"max_activ": 2}, "max_activ"),
        ({"trigger": "nightli"}, "trigger"),
    ],
)
async def test_wrong_requests_are_refused_with_the_field(application, client, change, field):
    await deployed(application, flow())
    reply = await client.post("/api/v1/backfills", json={**SPAN, **change})
    assert reply.status == 422, reply.text
    problem = reply.json()
    assert field in {error["field"] for error in problem["errors"]}, problem
    assert (await client.get("/api/v1/backfills")).json()["items"] == []


async def test_the_same_idempotency_key_starts_one_backfill(application, client):
    await deployed(application, flow())
    key = {"idempotency-key": "once"}
    made = [(await client.post("/api/v1/backfills", json=SPAN, headers=key)).json()["id"] for _ in range(2)]
    assert made[0] == made[1]
    assert len((await client.get("/api/v1/backfills")).json()["items"]) == 1


@pytest.mark.parametrize("what", ["schedule", "workflow"])
async def test_a_person_starts_a_schedule_also_while_it_is_paused_and_the_decision_says_so(application, client, what):
    await deployed(application, flow())
    schedule = (await client.get("/api/v1/schedules")).json()["items"][0]
    if what == "schedule":
        await client.post(f"/api/v1/schedules/{schedule['id']}/pause", json={})
    else:
        await application.context.workflows.pause(LOCAL, "report")
    reply = await client.post(f"/api/v1/schedules/{schedule['id']}/trigger", json={"input": {"full": 1}})
    started = reply.json()
    assert (reply.status, started["outcome"], started["reason"]) == (202, "run_started", "started_while_paused")
    run = (await client.get(f"/api/v1/runs/{started['run_id']}")).json()
    assert run["input"] == {"full": 1}
    assert "although it was paused" in run["cause"]["summary"]
    assert run["cause"]["decision"]["reason"] == "started_while_paused"


async def test_a_schedule_that_is_not_deployed_is_not_started(application, client):
    await deployed(application, flow())
    schedule = (await client.get("/api/v1/schedules")).json()["items"][0]
    await application.context.deployments.undeploy(LOCAL, "report")
    reply = await client.post(f"/api/v1/schedules/{schedule['id']}/trigger", json={})
    assert reply.status in (404, 409), reply.text


async def test_times_written_as_dates_are_taken_in_utc(application, client):
    await deployed(application, flow())
    body = {**SPAN, "from": "2026-01-01", "to": "2026-01-03", "dry_run": True}
    plan = (await client.post("/api/v1/backfills", json=body)).json()
    assert (plan["from"], plan["planned"]) == (to_iso(1_767_225_600_000_000), 2)

"""The resources over HTTP, on the whole service in one process."""

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.factories import Rows, make_dead_letter

FLOW = {
    "version": 1,
    "name": "orders",
    "triggers": {
        "hook": {"type": "webhook", "path": "orders", "signature": "none", "condition": "event.data.amount > 100"},
        "nightly": {"type": "cron", "cron": "0 2 * * *", "timezone": "America/New_York"},
    },
    "jobs": {"work": {"uses": "noop"}},
}
SLOW = {"version": 1, "name": "slow", "jobs": {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}}}


@pytest.fixture
async def service(tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path, database_url=f"sqlite:///{tmp_path}/wfs.db"))
    await application.start()
    await application.context.deployments.deploy(LOCAL, "orders", FLOW)
    yield application
    await application.stop()


@pytest.fixture
def client(service):
    return AsgiClient(service.asgi())


async def ordered(client, amount):
    reply = await client.post("/api/v1/public/webhook/orders?wait=decision", json={"amount": amount})
    assert reply.status == 202, reply.text
    return reply.json()


async def only(client, target):
    reply = await client.get(target)
    assert reply.status == 200, reply.text
    return reply.json()


async def test_an_event_is_found_explained_and_followed_to_its_run(client):
    accepted = await ordered(client, 500)
    explained = await only(client, accepted["explain"])
    (decision,) = explained["decisions"]
    assert decision["outcome"] == "run_started"
    run = await only(client, f"/api/v1/runs/{decision['run_id']}/wait?timeout=10")
    assert (run["status"], run["ended"]) == ("SUCCEEDED", True)
    assert [job["id"] for job in run["jobs"]] == ["work"]
    assert run["cause"]["summary"].startswith("Started by *hook*")
    listed = await only(client, "/api/v1/runs?workflow=orders&status=SUCCEEDED&trigger_type=webhook")
    assert [item["id"] for item in listed["items"]] == [run["id"]]
    of_event = await only(client, f"/api/v1/runs?event={accepted['event_id']}")
    assert [item["id"] for item in of_event["items"]] == [run["id"]]
    assert (await only(client, f"/api/v1/runs/{run['id']}/explain"))["decision"]["run_id"] == run["id"]
    assert (await only(client, f"/api/v1/runs/{run['id']}/logs"))["next"] is None
    assert (await client.get(f"/api/v1/runs/{run['id']}/output")).status == 200
    event = await only(client, f"/api/v1/events/{accepted['event_id']}")
    assert event["data"] == {"amount": 500}
    events = await only(client, "/api/v1/events?provider=webhook&limit=1")
    assert [item["id"] for item in events["items"]] == [accepted["event_id"]]
    decisions = await only(client, f"/api/v1/events/{accepted['event_id']}/decisions")
    assert len(decisions["items"]) == 1
    of_trigger = await only(client, f"/api/v1/triggers/{decision['trigger_id']}/decisions")
    assert of_trigger["items"][0]["event_id"] == accepted["event_id"]


async def test_what_did_not_match_says_why_not(client):
    accepted = await ordered(client, 5)
    explained = await only(client, f"/api/v1/events/{accepted['event_id']}/explain")
    assert explained["decisions"][0]["outcome"] == "filtered"
    assert "did not match" in explained["summary"]
    anything = await only(client, f"/api/v1/explain?ref={accepted['event_id']}")
    assert anything["kind"] == "event"


async def test_pages_follow_their_cursors_and_refuse_forged_ones(client):
    for amount in (1, 2, 3):
        await ordered(client, amount)
    first = await only(client, "/api/v1/events?limit=2")
    rest = await only(client, f"/api/v1/events?limit=2&cursor={first['next']}")
    assert len({item["id"] for item in first["items"] + rest["items"]}) == 3
    assert rest["next"] is None
    assert (await client.get("/api/v1/events?cursor=forged")).status == 400
    assert (await client.get("/api/v1/events?limit=0")).status == 422
    assert (await client.get("/api/v1/events?since=yesterday")).status == 422
    assert (await client.get("/api/v1/runs?status=NONE")).status == 422


@pytest.mark.parametrize(
    "target",
    [
        "/api/v1/events/nothing", "/api/v1/events/nothing/explain", "/api/v1/events/nothing/decisions",
        "/api/v1/runs/nothing", "/api/v1/runs/nothing/logs", "/api/v1/runs/nothing/wait",
        "/api/v1/runs/nothing/explain",
        "/api/v1/runs/nothing/output", "/api/v1/dead-letters/nothing", "/api/v1/schedules/nothing",
        "/api/v1/schedules/nothing/occurrences", "/api/v1/triggers/nothing/explain", "/api/v1/explain?ref=nothing",
        "/v2/executions/nothing",
    ],
)  # fmt: skip
async def test_what_is_not_there_is_a_problem_document(client, target):
    reply = await client.get(target)
    assert reply.status == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "not_found"


async def test_replay_counts_and_then_starts_new_runs(client):
    accepted = await ordered(client, 500)
    counted = await client.post("/api/v1/events/replay", json={"filter": {"provider": "webhook"}, "dry_run": True})
    assert (counted.status, counted.json()["count"], counted.json()["runs"]) == (200, 1, 1)
    done = (await client.post("/api/v1/events/replay", json={"ids": [accepted["event_id"]]})).json()
    run = await only(client, f"/api/v1/runs/{done['items'][0]['run_ids'][0]}/wait?timeout=10")
    assert run["replay_of"] == accepted["event_id"]
    assert run["status"] == "SUCCEEDED"
    assert (await client.post("/api/v1/events/replay", json={})).status == 422
    assert (await client.post("/api/v1/events/replay", json={"idz": []})).status == 422


async def test_a_run_is_cancelled_once(client, service):
    await service.context.deployments.deploy(LOCAL, "slow", SLOW)
    started = await client.post("/v2/workflows/slow/execute", json={"input": 1}, headers={"idempotency-key": "k1"})
    assert started.status == 202, started.text
    run_id = started.json()["execution_id"]
    waiting = await only(client, f"/api/v1/runs/{run_id}/wait?timeout=0")
    assert waiting["ended"] is False
    cancelled = await client.post(f"/api/v1/runs/{run_id}/cancel")
    assert cancelled.status == 202
    assert (await only(client, f"/api/v1/runs/{run_id}/wait?timeout=10"))["status"] == "CANCELLED"
    ended = (await only(client, "/api/v1/runs?status=CANCELLED"))["items"]
    assert [item["id"] for item in ended] == [run_id]


async def test_the_engine_protocol_starts_lists_and_shows(client):
    header = {"idempotency-key": "their-run"}
    first = await client.post("/v2/workflows/orders/execute", json={"input": {"a": 1}}, headers=header)
    again = await client.post("/v2/workflows/orders/execute", json={"input": {"a": 1}}, headers=header)
    assert first.status == 202, first.text
    assert again.json()["execution_id"] == first.json()["execution_id"]
    other = await client.post("/v2/workflows/orders/execute", json={"input": {"a": 2}}, headers=header)
    assert other.status == 422
    run_id = first.json()["execution_id"]
    await only(client, f"/api/v1/runs/{run_id}/wait?timeout=10")
    listed = await only(client, "/v2/workflows/orders/executions")
    assert [item["execution_id"] for item in listed["workflows"]] == [run_id]
    by_key = await only(client, "/v2/workflows/orders/executions?idempotency_key=their-run")
    assert by_key["workflows"][0]["execution_id"] == run_id
    shown = await only(client, f"/v2/executions/{run_id}")
    assert (shown["status"], shown["jobs"][0]["id"]) == ("SUCCEEDED", "work")
    refused = await client.post(f"/v2/executions/{run_id}/resume", json={"resume_data": {}, "interaction_id": "i"})
    assert refused.status == 409
    assert "no open interaction" in refused.json()["detail"]
    assert (await client.post(f"/v2/executions/{run_id}/cancel")).status == 409
    assert (await client.post("/v2/workflows/unknown/execute", json={})).status == 404


async def test_what_cannot_be_started_is_not_told_as_existing(client, service):
    await service.context.workflows.create(LOCAL, {**SLOW, "name": "draft"})
    reply = await client.post("/v2/workflows/draft/execute", json={"input": 1})
    assert reply.status == 422, "409 would mean that the execution exists"


async def test_schedules_are_made_shown_paused_and_run_now(client):
    body = {"workflow": "orders", "name": "often", "every": "15m", "input": {"n": 1}}
    made = await client.post("/api/v1/schedules", json=body)
    assert made.status == 201, made.text
    schedule_id = made.json()["id"]
    assert {item["name"] for item in (await only(client, "/api/v1/schedules?workflow=orders"))["items"]} == {
        "often", "nightly",
    }  # fmt: skip
    shown = await client.get(f"/api/v1/schedules/{schedule_id}")
    assert shown.headers["etag"] == f'"{shown.json()["revision"]}"'
    paused = await client.post(f"/api/v1/schedules/{schedule_id}/pause", json={"reason": "stocktaking"})
    assert paused.json()["paused_reason"] == "stocktaking"
    assert (await client.post(f"/api/v1/schedules/{schedule_id}/resume")).json()["paused"] is False
    run_now = await client.post(f"/api/v1/schedules/{schedule_id}/trigger", json={"input": {"n": 2}})
    assert run_now.status == 202, run_now.text
    run = await only(client, f"/api/v1/runs/{run_now.json()['run_id']}/wait?timeout=10")
    assert (run["status"], run["input"]) == ("SUCCEEDED", {"n": 2})
    times = await only(client, f"/api/v1/schedules/{schedule_id}/occurrences?limit=2")
    assert [item["outcome"] for item in times["items"]] == ["planned", "planned"]
    following = await only(client, f"/api/v1/schedules/{schedule_id}/occurrences?limit=2&cursor={times['next']}")
    assert following["items"][0]["utc"] == times["next"]
    stale = {"if-match": '"77"'}
    put = await client.put(f"/api/v1/schedules/{schedule_id}", json={"every": "20m"}, headers=stale)
    assert put.status == 412
    put = await client.put(f"/api/v1/schedules/{schedule_id}", json={"every": "20m"})
    assert (put.status, put.json()["every"]) == (200, "20m")
    assert (await client.delete(f"/api/v1/schedules/{schedule_id}")).status == 204
    assert (await client.get(f"/api/v1/schedules/{schedule_id}")).status == 404


async def test_the_ledger_has_the_same_sums_on_each_page(client):
    await client.post("/api/v1/schedules", json={"workflow": "orders", "name": "often", "every": "10m"})
    listed = (await client.get("/api/v1/schedules?workflow=orders")).json()["items"]
    schedule_id = next(one["id"] for one in listed if one["name"] == "often")
    path = f"/api/v1/schedules/{schedule_id}/occurrences?limit=3"
    first = (await client.get(path)).json()
    assert first["sums"]["planned"] == first["sums"]["upcoming"] == 7 * 24 * 6
    query = f"&from={first['from']}&to={first['to']}&cursor={first['next']}"
    second = await client.get(path + query)
    assert second.status == 200, second.body
    assert second.json()["sums"] == first["sums"]
    assert second.json()["items"][0]["utc"] == first["next"]
    assert (await client.get(path + "&from=2020-01-01&to=2040-01-01")).status == 422


async def test_one_time_is_skipped_and_taken_back(client):
    made = await client.post("/api/v1/schedules", json={"workflow": "orders", "name": "soon", "every": "10m"})
    path = f"/api/v1/schedules/{made.json()['id']}"
    skipped = await client.post(f"{path}/skip")
    assert skipped.status == 200, skipped.body
    assert skipped.json()["skips"] == [skipped.json()["at"]]
    again = await client.post(f"{path}/unskip", json={"at": skipped.json()["at"]})
    assert (again.status, again.json()["skips"]) == (200, [])
    assert (await client.post(f"{path}/skip", json={"at": "2020-01-01T00:00:00Z"})).status == 422
    assert (await client.post(f"{path}/unskip")).status == 422
    assert (await client.post("/api/v1/schedules/nothing/skip")).status == 404


async def test_the_forecast_counts_what_is_planned(client):
    reply = await client.get("/api/v1/forecast?hours=24&spread=true")
    assert reply.status == 200, reply.body
    assert {"total", "items", "collisions", "busiest_minutes", "exact", "note", "next"} <= set(reply.json())
    assert (await client.get("/api/v1/forecast?hours=0")).status == 422
    assert (await client.get("/api/v1/forecast?collisions=1000")).status == 422


async def test_the_laboratory_lists_what_clock_changes_do(client):
    body = {"cron": "30 2 * * *", "timezone": "America/New_York", "years": 1, "from": "2027-01-01T00:00:00Z"}
    reply = await client.post("/api/v1/schedules/lab", json=body)
    assert reply.status == 200, reply.body
    (item,) = reply.json()["items"]
    assert (item["local"], item["utc"]) == ("2027-03-14T02:30:00", "2027-03-14T07:00:00Z")
    skipped = await client.post("/api/v1/schedules/lab", json={**body, "dst_gap": "skip"})
    assert skipped.json()["items"][0]["utc"] is None
    assert skipped.json()["days"][0]["fires"] == 0
    for wrong in ({"cron": "0 0 31 2 *"}, {"timezone": "Mars/Base"}, {"years": 0}, {"from": "9999-01-01"}):
        bad = await client.post("/api/v1/schedules/lab", json={**body, **wrong})
        assert bad.status == 422, bad.body


async def test_previews_note_clock_changes(client):
    body = {"cron": "30 2 * * *", "timezone": "America/New_York", "from": "2027-03-13T00:00:00Z", "count": 2}
    reply = await client.post("/api/v1/schedules/preview", json=body)
    fires = reply.json()["fires"]
    assert [fire["utc"] for fire in fires] == ["2027-03-13T07:30:00Z", "2027-03-14T07:00:00Z"]
    assert "does not exist" in fires[1]["note"]
    bad = await client.post("/api/v1/schedules/preview", json={"cron": "0 0 31 2 *"})
    assert (bad.status, bad.json()["errors"][0]["field"]) == (422, "cron")


async def test_dead_letters_are_listed_and_counted(client):
    assert (await only(client, "/api/v1/dead-letters"))["items"] == []
    counted = await client.post("/api/v1/dead-letters/redrive", json={"filter": {"reason": "poison"}, "dry_run": True})
    assert (counted.status, counted.json()["count"]) == (200, 0)
    assert (await client.post("/api/v1/dead-letters/nothing/redrive", json={"payload": 1})).status == 404
    assert (await client.post("/api/v1/dead-letters/nothing/discard")).status == 404
    assert (await client.get("/api/v1/dead-letters?status=lost")).status == 422


async def test_a_dead_run_is_redriven_with_another_payload_and_cannot_double(client, service):
    started = (await client.post("/v2/workflows/orders/execute", json={"input": {"n": 1}})).json()
    run_id = started["execution_id"]
    await only(client, f"/api/v1/runs/{run_id}/wait?timeout=10")
    run = await service.context.runs.find(LOCAL, run_id)
    letter = make_dead_letter(run_id=run_id, event_id=run.event_id, workflow_id=run.workflow_id, payload=run.input)
    await Rows(service.store).dead_letter(letter)
    await service.store.transact(_failed(run_id))
    (listed,) = (await only(client, f"/api/v1/dead-letters?run_id={run_id}"))["items"]
    assert listed["payload"] == {"n": 1}
    done = await client.post(f"/api/v1/dead-letters/{letter.id}/redrive", json={"payload": {"n": 2}})
    assert done.status == 202, done.text
    assert (done.json()["revived_id"], done.json()["status"]) == (run_id, "redriven")
    again = await only(client, f"/api/v1/runs/{run_id}/wait?timeout=10")
    assert (again["status"], again["input"]) == ("SUCCEEDED", {"n": 2})
    assert (await client.post(f"/api/v1/dead-letters/{letter.id}/redrive")).status == 409
    assert len((await only(client, "/api/v1/runs"))["items"]) == 1


def _failed(run_id):
    yield Sql("UPDATE runs SET status = 'FAILED' WHERE id = :id", {"id": run_id})
    yield Sql("DELETE FROM jobs WHERE run_id = :id", {"id": run_id})


async def test_a_trigger_is_explained_at_a_time(client):
    (schedule,) = (await only(client, "/api/v1/schedules"))["items"]
    why = await only(client, f"/api/v1/triggers/{schedule['id']}/explain?at=2020-01-05T07:00:00Z")
    assert why["outcome"] == "not_scheduled"
    assert "created later" in why["summary"]
    named = await only(client, "/api/v1/explain?ref=orders/nightly&at=2020-01-05T08:00:00%2B00:00")
    assert named["kind"] == "trigger"
    assert "is not a time of" in named["summary"]


async def test_every_route_is_documented(client):
    paths = (await only(client, "/openapi.json"))["paths"]
    for path in (
        "/api/v1/events", "/api/v1/events/replay", "/api/v1/events/{event_id}/explain", "/api/v1/runs/{run_id}/wait",
        "/api/v1/dead-letters/redrive", "/api/v1/schedules/preview", "/api/v1/schedules/{schedule_id}/occurrences",
        "/v2/workflows/{workflow_id}/execute", "/v2/executions/{execution_id}/resume",
    ):  # fmt: skip
        for operation in paths[path].values():
            assert operation["summary"]
            assert {"404", "422"} <= set(operation["responses"])

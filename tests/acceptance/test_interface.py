"""What users and other programs call: every name, shape and status of the interface, on the whole service."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.factories import Rows, make_dead_letter

V1 = "/api/v1"
SIGNED = {"scheme": "hmac-sha256", "header": "X-Signature", "secret": "hook"}
FLOW = {
    "version": 1,
    "name": "orders",
    "triggers": {
        "hand": {"type": "manual"},
        "open": {"type": "webhook", "path": "orders", "methods": ["POST", "PUT"], "signature": "none",
                 "condition": "event.data.amount > 100"},
        "signed": {"type": "webhook", "path": "signed", "signature": SIGNED},
        "nightly": {"type": "cron", "cron": "0 2 * * *", "timezone": "America/New_York"},
        "created": {"type": "event", "event": "order.created"},
    },
    "jobs": {"work": {"uses": "noop"}},
}  # fmt: skip
SLOW = {"version": 1, "name": "slow", "jobs": {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}}}

ENDPOINTS = """
POST,GET /api/v1/workflows
GET,PUT,DELETE /api/v1/workflows/{workflow_id}
GET /api/v1/workflows/{workflow_id}/versions
POST /api/v1/workflows/validate
POST /api/v1/validate/dependencies
POST /api/v1/deployment/workflows/{workflow_id}/deploy
POST /api/v1/deployment/workflows/{workflow_id}/undeploy
POST /api/v1/deployment/workflows/{workflow_id}/rollback
GET /api/v1/deployment/workflows/{workflow_id}/history
GET /api/v1/deployment/workflows/{workflow_id}/status
POST /api/v1/deployment/plan
POST,GET /api/v1/triggers
GET,PUT,DELETE /api/v1/triggers/{trigger_id}
POST /api/v1/triggers/{trigger_id}/mode
POST /api/v1/triggers/{trigger_id}/test
POST /api/v1/triggers/{trigger_id}/simulate
GET /api/v1/triggers/{trigger_id}/health
POST /api/v1/triggers/workflows/{workflow_id}/manual
GET /api/v1/trigger-types
POST /webhooks/{provider}/{id}
POST /api/v1/public/webhook/{path}
POST /api/v1/github/webhook
POST,GET /api/v1/events
GET /api/v1/events/{event_id}
GET /api/v1/events/{event_id}/explain
POST /api/v1/events/replay
GET /api/v1/dead-letters
POST /api/v1/dead-letters/{dead_letter_id}/redrive
POST /api/v1/dead-letters/redrive
POST,GET /api/v1/schedules
GET,PUT,DELETE /api/v1/schedules/{schedule_id}
POST /api/v1/schedules/{schedule_id}/pause
POST /api/v1/schedules/{schedule_id}/resume
POST /api/v1/schedules/{schedule_id}/trigger
GET /api/v1/schedules/{schedule_id}/occurrences
POST /api/v1/schedules/preview
GET /api/v1/runs
GET /api/v1/runs/{run_id}
GET /api/v1/runs/{run_id}/logs
POST /api/v1/runs/{run_id}/cancel
GET /api/v1/runs/{run_id}/wait
POST /v2/workflows/{workflow_id}/execute
GET /v2/workflows/{workflow_id}/executions
POST /v2/executions/{execution_id}/resume
GET /v2/executions/{execution_id}
POST /v2/executions/{execution_id}/cancel
POST,GET /api/v1/secrets
POST,GET /api/v1/keys
GET /api/v1/stream
GET /health
GET /health/detailed
GET /metrics
GET /schemas/workflow/v1.json
"""
SHAPES = {
    "workflow": "id name version deployment_status paused definition triggers",
    "trigger": "id workflow_id workflow name type mode config index_key next_fire_at last_decision",
    "event": "id source type subject time received_at data event_key",
    "decision": "trigger_id trigger workflow outcome reason predicates run_id",
    "predicate": "name expected actual verdict",
    "run": "id workflow_id workflow version status trigger_id trigger_type event_id scheduled_for input output error "
    "created_at started_at ended_at jobs",
    "job": "id status attempt started_at ended_at output error",
    "occurrence": "nominal_local utc timezone fold outcome reason note run_id",
    "problem": "type title status detail code fix errors",
    "execution": "execution_id status started_at",
}
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def has(shape, value):
    missing = set(SHAPES[shape].split()) - set(value)
    assert not missing, (shape, missing)
    return value


@pytest.fixture
async def service(tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path))
    await application.start()
    yield application
    await application.stop()


@pytest.fixture
async def client(service):
    made = AsgiClient(service.asgi())
    await made.post(f"{V1}/secrets", json={"name": "hook", "value": "s3cret"})
    for definition in (FLOW, SLOW):
        name = definition["name"]
        reply = await made.post(f"{V1}/deployment/workflows/{name}/deploy", json={"workflow_spec": definition})
        assert reply.status == 200, reply.text
    return made


async def ok(client, target, status=200):
    reply = await client.get(target)
    assert reply.status == status, (target, reply.text)
    return reply.json()


async def ended_run(client, amount=500):
    reply = await client.post(f"{V1}/public/webhook/orders?wait=run", json={"amount": amount})
    assert reply.status == 202, reply.text
    return reply.json()


@pytest.mark.parametrize("line", ENDPOINTS.split("\n")[1:-1])
async def test_every_endpoint_is_there_and_refuses_other_methods(client, line):
    methods, _, path = line.partition(" ")
    document = (await client.get("/openapi.json")).json()
    described = {method.upper() for method in document["paths"][path]}
    assert set(methods.split(",")) <= described
    target = re.sub(r"\{(\w+)\}", "nothing", path)
    reply = await client.request("PATCH", target)
    if path.startswith(("/webhooks", f"{V1}/public")):
        assert reply.status in {404, 405}
        return
    assert reply.status == 405, (target, reply.status)
    assert has("problem", reply.json())["code"] == "method_not_allowed"
    allowed = {name.strip() for name in reply.headers["allow"].split(",")}
    assert set(methods.split(",")) <= allowed, (target, allowed)


async def test_every_trigger_endpoint_also_answers_without_the_version(client):
    trigger = (await ok(client, f"{V1}/triggers"))["items"][0]
    for suffix in ("", f"/{trigger['id']}", f"/{trigger['id']}/health"):
        old, new = await client.get(f"/api/triggers{suffix}"), await client.get(f"{V1}/triggers{suffix}")
        assert (old.status, old.body) == (new.status, new.body) == (200, new.body)
    started = await client.post("/api/triggers/workflows/orders/manual", json={"input": 1})
    assert started.status == 202
    document = (await client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        if path.startswith(f"{V1}/triggers/{{trigger_id}}") and not path.endswith(("/decisions", "/explain")):
            for method in operations:
                target = re.sub(r"\{\w+\}", "nothing", path).replace(V1, "/api")
                reply = await client.request(method.upper(), target, json={})
                assert reply.status in {404, 422}, (method, target)
                assert reply.json()["detail"] != "there is no such path", target


async def test_workflows_have_their_shape_by_id_and_by_name(client):
    shown = has("workflow", await ok(client, f"{V1}/workflows/orders"))
    assert (await ok(client, f"{V1}/workflows/{shown['id']}")) == shown
    assert (shown["deployment_status"], shown["paused"], shown["version"]) == ("DEPLOYED", False, 1)
    for trigger in shown["triggers"]:
        has("trigger", trigger)
        assert has("trigger", await ok(client, f"{V1}/triggers/{trigger['id']}"))["workflow"] == "orders"
    nightly = next(one for one in shown["triggers"] if one["type"] == "cron")
    assert ISO.fullmatch(nightly["next_fire_at"])
    for filters, number in (("workflow=orders", 5), ("type=cron", 1), ("mode=enabled", 5), ("mode=disabled", 0)):
        assert len((await ok(client, f"{V1}/triggers?{filters}"))["items"]) == number, filters
    yaml = b"version: 1\nname: by-yaml\njobs:\n  a: {uses: noop}\n"
    made = await client.post(f"{V1}/workflows", body=yaml, headers={"content-type": "application/yaml"})
    assert (made.status, made.json()["deployment_status"]) == (201, "UNDEPLOYED")


async def test_modes_are_set_by_one_call_and_seen_everywhere(client):
    trigger = (await ok(client, f"{V1}/triggers?type=webhook"))["items"][0]
    for mode in ("disabled", "suspended", "enabled"):
        reply = await client.post(f"{V1}/triggers/{trigger['id']}/mode", json={"mode": mode, "reason": "audit"})
        assert (reply.status, reply.json()["mode"]) == (200, mode)
    refused = await client.post(f"{V1}/triggers/{trigger['id']}/mode", json={"mode": "off"})
    assert (refused.status, has("problem", refused.json())["errors"][0]["field"]) == (422, "mode")


async def test_deliveries_are_acknowledged_with_the_event_and_its_explanation(client):
    plain = await client.post(f"{V1}/public/webhook/orders", json={"amount": 500})
    assert plain.status == 202
    assert set(plain.json()) == {"event_id", "explain"}
    explained = await ok(client, plain.json()["explain"])
    has("event", explained["event"])
    for decision in explained["decisions"]:
        has("decision", decision)
        for predicate in decision["predicates"]:
            has("predicate", predicate)
    decided = (await client.post(f"{V1}/public/webhook/orders?wait=decision", json={"amount": 5})).json()
    assert {"event_id", "explain", "decisions"} <= set(decided)
    assert decided["decisions"][0]["outcome"] == "filtered"
    waited = await ended_run(client)
    assert (waited["status"], waited["decisions"][0]["outcome"]) == ("SUCCEEDED", "run_started")
    by_id = await ok(client, f"{V1}/triggers?type=webhook")
    route = next(one["id"] for one in by_id["items"] if one["name"] == "open")
    assert (await client.post(f"/webhooks/webhook/{route}", json={"amount": 1})).status == 202
    workflow = (await ok(client, f"{V1}/workflows/orders"))["id"]
    assert (await client.post(f"{V1}/public/webhook/{workflow}", json={"amount": 1})).status in {202, 401}


async def test_deliveries_are_refused_with_the_right_status(client):
    cases = (
        ("PATCH", f"{V1}/public/webhook/orders", b"{}", {}, 405),
        ("GET", f"{V1}/github/webhook", b"", {}, 405),
        ("GET", "/webhooks/webhook/orders", b"", {}, 405),
        ("POST", f"{V1}/public/webhook/signed", b"{}", {}, 401),
        ("POST", f"{V1}/public/webhook/signed", b"{}", {"x-signature": "00"}, 401),
        ("POST", f"{V1}/public/webhook/nothing", b"{}", {}, 404),
        ("POST", "/webhooks/nothing/x", b"{}", {}, 404),
        ("POST", f"{V1}/public/webhook/orders", b" " * 1_100_000, {}, 413),
        ("POST", f"{V1}/github/webhook", b"{}", {}, 401),
        ("POST", f"{V1}/events", b"{}", {"content-type": "application/cloudevents+json"}, 422),
        ("POST", f"{V1}/workflows", b" " * 1_100_000, {}, 413),
    )
    for method, target, body, headers, status in cases:
        reply = await client.request(method, target, body=body, headers=headers)
        assert reply.status == status or (status == 422 and reply.status == 400), (method, target, reply.text)
        assert reply.headers["content-type"] == "application/problem+json"
        problem = has("problem", reply.json())
        assert problem["status"] == reply.status
        assert problem["detail"]
        if reply.status == 405:
            assert reply.headers["allow"]
    assert (await client.request("PATCH", f"{V1}/public/webhook/orders")).headers["allow"] == "POST, PUT"
    good = hmac.digest(b"s3cret", b"{}", hashlib.sha256).hex()
    assert (await client.post(f"{V1}/public/webhook/signed", body=b"{}", headers={"x-signature": good})).status == 202


async def test_cloudevents_come_in_all_three_modes(client):
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.created", "data": {"n": 1}}
    structured = await client.post(
        f"{V1}/events?wait=run", json=event, headers={"content-type": "application/cloudevents+json"}
    )
    assert (structured.status, structured.json()["status"]) == (202, "SUCCEEDED")
    binary = {"ce-specversion": "1.0", "ce-id": "2", "ce-source": "/shop", "ce-type": "order.created",
              "content-type": "application/json"}  # fmt: skip
    assert (await client.post(f"{V1}/events?wait=run", body=b'{"n": 2}', headers=binary)).json()["run_id"]
    batch = await client.post(
        f"{V1}/events", json=[{**event, "id": "3"}, {**event, "id": "1"}],
        headers={"content-type": "application/cloudevents-batch+json"},
    )  # fmt: skip
    assert batch.status == 202
    assert [bool(one.get("duplicate")) for one in batch.json()] == [False, True]
    assert batch.json()[1]["event_id"] == structured.json()["event_id"]
    listed = (await ok(client, f"{V1}/events?type=order.created"))["items"]
    assert len(listed) == 3
    for one in listed:
        has("event", one)
        assert ISO.fullmatch(one["received_at"])


async def test_runs_have_their_shape_and_filters(client):
    done = await ended_run(client)
    run = has("run", await ok(client, f"{V1}/runs/{done['run_id']}"))
    assert {"cause"} <= set(run)
    assert [has("job", job)["status"] for job in run["jobs"]] == ["SUCCEEDED"]
    for name in ("created_at", "started_at", "ended_at"):
        assert ISO.fullmatch(run[name]), name
    for wanted in ("workflow=orders", f"workflow={run['workflow_id']}", "status=SUCCEEDED", "trigger_type=webhook",
                   f"event={run['event_id']}"):  # fmt: skip
        assert [one["id"] for one in (await ok(client, f"{V1}/runs?{wanted}"))["items"]] == [run["id"]], wanted
    assert (await ok(client, f"{V1}/runs?status=FAILED"))["items"] == []
    assert set(await ok(client, f"{V1}/runs/{run['id']}/logs")) == {"items", "next"}
    assert (await ok(client, f"{V1}/runs/{run['id']}/wait?timeout=0"))["status"] == "SUCCEEDED"
    assert (await client.post(f"{V1}/runs/{run['id']}/cancel")).status == 409


async def test_schedules_are_made_without_a_file(client):
    bodies = (
        {"workflow": "slow", "name": "by-cron", "cron": "30 2 * * *", "timezone": "Europe/Berlin", "input": {"a": 1}},
        {"workflow": "slow", "name": "once", "run_at": "2099-01-01T00:00:00Z", "timezone": "UTC"},
        {"workflow": "slow", "name": "often", "every": "15m", "input": [1]},
    )
    for body in bodies:
        made = await client.post(f"{V1}/schedules", json=body)
        assert made.status == 201, made.text
        shown = await ok(client, f"{V1}/schedules/{made.json()['id']}")
        assert (shown["name"], shown["workflow"], shown["next_fire_at"] is not None) == (body["name"], "slow", True)
        assert shown["input"] == body.get("input")
        base = f"{V1}/schedules/{shown['id']}"
        assert (await client.post(f"{base}/pause", json={"reason": "audit"})).json()["paused"] is True
        assert (await client.post(f"{base}/resume")).json()["paused"] is False
        times = await ok(client, f"{base}/occurrences?from=2099-01-01T00:00:00Z&to=2099-01-02T00:00:00Z")
        assert times["items"]
        for one in times["items"]:
            has("occurrence", one)
        assert (await client.delete(base)).status == 204
        assert (await client.get(base)).status == 404
    preview = await client.post(
        f"{V1}/schedules/preview",
        json={"cron": "30 2 * * *", "timezone": "America/New_York", "from": "2027-03-13T12:00:00Z", "count": 2},
    )
    fires = preview.json()["fires"]
    assert [set(one) >= {"utc", "local", "note"} for one in fires] == [True, True]
    assert fires[0]["utc"] == "2027-03-14T07:00:00Z"
    assert fires[0]["note"]


async def test_the_engine_protocol_has_its_shapes(client):
    key = {"idempotency-key": "k"}
    started = await client.post("/v2/workflows/orders/execute", json={"input": {"a": 1}}, headers=key)
    execution = has("execution", started.json())
    again = await client.post("/v2/workflows/orders/execute", json={"input": {"a": 1}}, headers=key)
    assert again.json()["execution_id"] == execution["execution_id"]
    await ok(client, f"{V1}/runs/{execution['execution_id']}/wait")
    listed = await ok(client, "/v2/workflows/orders/executions")
    assert [has("execution", one)["execution_id"] for one in listed["workflows"]] == [execution["execution_id"]]
    shown = has("execution", await ok(client, f"/v2/executions/{execution['execution_id']}"))
    assert shown["status"] == "SUCCEEDED"
    slow = (await client.post("/v2/workflows/slow/execute", json={})).json()["execution_id"]
    body = {"resume_data": {}, "interaction_id": "i"}
    assert (await client.post(f"/v2/executions/{slow}/resume", json=body)).status == 409
    assert (await client.post(f"/v2/executions/{slow}/cancel")).status in {200, 202}
    assert (await ok(client, f"{V1}/runs/{slow}/wait"))["status"] == "CANCELLED"


async def test_dead_letters_are_listed_and_redriven(service, client):
    letter = await Rows(service.store).dead_letter(make_dead_letter())
    listed = (await ok(client, f"{V1}/dead-letters"))["items"]
    assert [one["id"] for one in listed] == [letter.id]
    counted = await client.post(f"{V1}/dead-letters/redrive", json={"filter": {"kind": "run"}, "dry_run": True})
    assert counted.json()["count"] == 1
    assert (await client.post(f"{V1}/dead-letters/{letter.id}/redrive")).status in {202, 409}


async def test_trigger_types_serve_schema_hints_and_examples(client):
    items = (await ok(client, f"{V1}/trigger-types"))["items"]
    names = {one["name"] for one in items}
    assert {"manual", "cron", "interval", "once", "webhook", "github", "workflow", "event"} <= names
    for one in items:
        assert one["schema"]["type"] == "object", one["name"]
        assert one["examples"], one["name"]
        assert one["title"], one["name"]
    schema = await ok(client, "/schemas/workflow/v1.json")
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"name", "triggers", "jobs"} <= set(schema["properties"])


async def test_lists_are_cut_into_pages_by_cursors(client):
    for amount in range(3):
        await client.post(f"{V1}/public/webhook/orders", json={"amount": amount})
    for target in ("workflows", "triggers", "events", "schedules", "secrets"):
        await client.post(f"{V1}/secrets", json={"name": "second", "value": "v"})
        whole = [one.get("id", one.get("name")) for one in (await ok(client, f"{V1}/{target}"))["items"]]
        found, cursor = [], ""
        while cursor is not None:
            page = await ok(client, f"{V1}/{target}?limit=1&cursor={cursor}")
            assert set(page) == {"items", "next"}
            assert len(page["items"]) <= 1
            found += [one.get("id", one.get("name")) for one in page["items"]]
            cursor = page["next"]
        assert found == whole, target
        assert (await client.get(f"{V1}/{target}?limit=501")).status == 422


async def test_a_put_with_an_old_revision_is_refused(client):
    trigger = (await ok(client, f"{V1}/triggers?type=cron"))["items"][0]
    for target, body in (
        (f"{V1}/triggers/{trigger['id']}", {"config": {"cron": "0 3 * * *", "timezone": "America/New_York"}}),
        (f"{V1}/schedules/{trigger['id']}", {"cron": "0 4 * * *"}),
        (f"{V1}/workflows/orders", {**FLOW, "description": "new"}),
    ):
        tag = (await client.get(target)).headers["etag"]
        assert (await client.put(target, json=body, headers={"if-match": '"12345"'})).status == 412, target
        good = await client.put(target, json=body, headers={"if-match": tag})
        assert good.status == 200, (target, good.text)
        late = await client.put(target, json=body, headers={"if-match": tag})
        assert late.status == 412, (target, late.text)
        assert (await client.put(target, json=body, headers={"if-match": "*"})).status == 200, target


async def test_every_post_takes_an_idempotency_key(client):
    done = await ended_run(client)
    event = {"specversion": "1.0", "source": "/shop", "type": "order.created", "data": {"n": 1}}
    trigger = next(one for one in (await ok(client, f"{V1}/triggers?type=cron"))["items"])
    posts = (
        (f"{V1}/workflows", {**SLOW, "name": "w-a"}, {**SLOW, "name": "w-b"}),
        (f"{V1}/triggers", *({"workflow": "slow", "name": name, "type": "manual", "config": {}} for name in "ab")),
        (f"{V1}/triggers/workflows/orders/manual", {"input": 1}, {"input": 2}),
        (f"{V1}/triggers/{trigger['id']}/mode", {"mode": "suspended"}, {"mode": "enabled"}),
        ("/v2/workflows/orders/execute", {"input": 1}, {"input": 2}),
        (f"{V1}/schedules", *({"workflow": "slow", "name": f"s{every}", "every": every} for every in ("1h", "2h"))),
        (f"{V1}/schedules/{trigger['id']}/trigger", {"input": 1}, {"input": 2}),
        (f"{V1}/schedules/{trigger['id']}/pause", {"reason": "a"}, {"reason": "b"}),
        (f"{V1}/events", {**event, "id": "i1"}, {**event, "id": "i2"}),
        (f"{V1}/events/replay", {"ids": [done["event_id"]]}, {"ids": []}),
        (f"{V1}/deployment/workflows/slow/deploy", {}, {"workflow_spec": SLOW}),
    )
    for target, body, other in posts:
        headers = {"idempotency-key": f"key-{target}"}
        if target.endswith("/events"):
            headers["content-type"] = "application/cloudevents+json"
        first = await client.post(target, json=body, headers=headers)
        assert first.status < 300, (target, first.text)
        before = await counts(client)
        again = await client.post(target, json=body, headers=headers)
        assert (again.status, again.body) == (first.status, first.body), target
        assert await counts(client) == before, target
        changed = await client.post(target, json=other, headers=headers)
        assert changed.status == 422, (target, changed.status, changed.text)
        assert has("problem", changed.json())
        assert await counts(client) == before, target


async def test_an_idempotency_key_stands_for_the_attributes_of_an_event_as_well(client):
    binary = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "order.created",
              "content-type": "application/json", "idempotency-key": "k"}  # fmt: skip
    first = await client.post(f"{V1}/events", body=b"{}", headers=binary)
    again = await client.post(f"{V1}/events", body=b"{}", headers=binary)
    assert (first.status, first.body) == (202, again.body)
    assert (await client.post(f"{V1}/events", body=b"{}", headers={**binary, "ce-id": "2"})).status == 422
    refused = await client.post(f"{V1}/events", body=b"{", headers={**binary, "idempotency-key": "k2", "ce-id": ""})
    assert refused.status == 400
    good = await client.post(f"{V1}/events", body=b"{}", headers={**binary, "idempotency-key": "k2", "ce-id": "9"})
    assert good.status == 202, "a refusal does not use the key up"


async def counts(client):
    lists = ("workflows", "triggers", "schedules", "events", "runs")
    return [len((await ok(client, f"{V1}/{name}?limit=500"))["items"]) for name in lists]


async def test_health_and_metrics_have_their_forms(client):
    await ended_run(client)
    await client.post(f"{V1}/public/webhook/orders", json={"amount": 1})
    assert await ok(client, "/health") == {"service": "workflow_scheduler", "status": "healthy"}
    assert (await ok(client, "/health/detailed"))["components"]["store"]["status"] == "healthy"
    totals = (await client.get("/metrics", headers={"accept": "application/json"})).json()
    assert set(totals) == {"service", "total_workflows", "total_triggers", "trigger_types"}
    assert (totals["service"], totals["total_workflows"]) == ("workflow_scheduler", 2)
    assert totals["trigger_types"]["WEBHOOK"] == 2
    text = (await client.get("/metrics")).text
    for line in (
        "# TYPE triggers_events_received_total counter",
        'triggers_events_received_total{provider="webhook"} 2.0',
        'triggers_events_filtered_total{provider="webhook",result="filtered"} 1.0',
        'triggers_runs_started_total{provider="webhook"} 1.0',
        "# TYPE triggers_latency_seconds histogram",
        'triggers_latency_seconds_count{provider="webhook"} 1.0',
        "scheduler_due ", "scheduler_overdue ", "scheduler_dispatch_lag_seconds ", "queue_oldest_pending_age_seconds ",
        "dead_letters ", "dead_letters_oldest_age_seconds ", "# TYPE source_lag_seconds gauge",
    ):  # fmt: skip
        assert line in text, line


async def test_the_stream_goes_on_after_the_last_id(service, client):
    await ended_run(client)
    first = service.live._ring[0].id
    for since, expected in ((first - 1, 3), (first, 2), (0, None)):
        found = await streamed(client, f"{V1}/stream?topics=events,runs", {"last-event-id": str(since)})
        ids = [int(line[4:]) for line in found.splitlines() if line.startswith("id: ")]
        if expected is None:
            assert "event: reset" in found
        else:
            assert ids[0] == since + 1
            assert len(ids) >= expected
    assert (await client.get(f"{V1}/stream?topics=nothing")).status == 422


async def streamed(client, target, headers):
    """Return what a stream sends in its first moments."""
    sent, enough = bytearray(), asyncio.Event()

    async def receive():
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.extend(message.get("body", b""))
        if sent.count(b"\n\n") > 1:
            asyncio.get_running_loop().call_later(0.05, enough.set)

    path, _, query = target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in headers.items())],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
    }  # fmt: skip
    async with asyncio.timeout(10):
        await client._app(scope, receive, send)
    return sent.decode()


async def test_no_operation_is_undescribed(client):
    document = (await client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["tags"], where
            assert any(status.startswith("2") for status in operation["responses"]), where
            assert {"400", "404", "405"} <= set(operation["responses"]), where

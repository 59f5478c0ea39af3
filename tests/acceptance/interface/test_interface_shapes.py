"""What users and other programs call: every name, shape and status of the interface."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest
from interface_words import ENDPOINTS, ISO, V1, ended_run, has, ok

from workflow_scheduler.testing.factories import Rows, make_dead_letter


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

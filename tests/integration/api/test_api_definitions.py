"""Workflows, deployments and triggers over HTTP, on the real application."""

from __future__ import annotations

import asyncio
import json

import pytest

YAML = b"""version: 1
name: shop
triggers:
  nightly: {type: cron, cron: "0 2 * * *", timezone: America/New_York}
  orders: {type: webhook, path: orders, signature: none, condition: event.data.amount > 100}
  hand: {type: manual}
jobs:
  a: {uses: noop}
  b: {uses: noop, needs: [a]}
"""
AS_YAML = {"content-type": "application/yaml"}
BASE = "/api/v1/workflows"
DEPLOYMENT = "/api/v1/deployment/workflows"


@pytest.fixture
async def shop(client):
    reply = await client.post(f"{DEPLOYMENT}/shop/deploy", json={"workflow_spec": YAML.decode()})
    assert reply.status == 200, reply.text
    return (await client.get(f"{BASE}/shop")).json()


async def test_a_workflow_comes_as_yaml_and_goes_as_json(client):
    made = await client.post(BASE, body=YAML, headers=AS_YAML)
    assert made.status == 201
    workflow = made.json()
    assert made.headers["location"] == f"{BASE}/{workflow['id']}"
    assert (workflow["version"], workflow["deployment_status"]) == (1, "UNDEPLOYED")
    assert workflow["definition"]["jobs"] == {"a": {"uses": "noop"}, "b": {"uses": "noop", "needs": ["a"]}}
    assert {trigger["name"] for trigger in workflow["triggers"]} == {"nightly", "orders", "hand"}
    for reference in ("shop", workflow["id"]):
        assert (await client.get(f"{BASE}/{reference}")).json()["id"] == workflow["id"]


async def test_a_workflow_comes_as_json_as_well(client):
    assert (await client.post(BASE, json={"name": "x", "jobs": {"a": {"uses": "noop"}}})).status == 201
    again = await client.post(BASE, json={"name": "x", "jobs": {}})
    assert (again.status, again.json()["code"]) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b"name: x\njobs:\n  a: {uses: nop}\n", AS_YAML),
        (b'{"name": "x",\n "jobs": {\n"a": {  "uses": "nop"}}}', {"content-type": "application/json"}),
        (b"name: x\njobs:\n  a: {uses: nop}\n", {}),
    ],
)
async def test_mistakes_have_line_column_and_suggestion(client, body, headers):
    reply = await client.post(BASE, body=body, headers=headers)
    assert (reply.status, reply.json()["code"]) == (422, "definition_invalid")
    assert reply.headers["content-type"] == "application/problem+json"
    error = reply.json()["errors"][0]
    assert (error["field"], error["line"], error["suggestion"]) == ("jobs.a.uses", 3, "noop")
    validated = await client.post(f"{BASE}/validate", body=body, headers=headers)
    assert (validated.status, validated.json()["valid"], validated.json()["errors"][0]["line"]) == (200, False, 3)


async def test_a_change_needs_the_revision_that_was_read(client, shop):
    changed = YAML.replace(b"0 2", b"0 3")
    stale = await client.put(f"{BASE}/shop", body=changed, headers={**AS_YAML, "if-match": '"999"'})
    assert (stale.status, stale.json()["code"]) == (412, "precondition_failed")
    shown = await client.get(f"{BASE}/shop")
    good = await client.put(f"{BASE}/shop", body=changed, headers={**AS_YAML, "if-match": shown.headers["etag"]})
    assert (good.status, good.json()["version"], good.json()["live_version"]) == (200, 2, 1)
    diff = (await client.get(f"{BASE}/shop/diff?from=1&to=2")).json()
    assert diff["changes"][0]["path"] == ["triggers", "nightly", "cron"]
    versions = (await client.get(f"{BASE}/shop/versions?limit=1")).json()
    assert versions["items"][0]["version"] == 2
    following = (await client.get(f"{BASE}/shop/versions?cursor={versions['next']}")).json()
    assert [item["version"] for item in following["items"]] == [1]
    assert (await client.get(f"{BASE}/shop/versions/1")).json()["source"] == YAML.decode()
    odd = await client.put(f"{BASE}/shop", body=changed, headers={**AS_YAML, "if-match": "abc"})
    assert odd.status == 412


async def test_lists_have_cursors_and_filters(client, shop):
    for name in ("a", "b"):
        await client.post(BASE, json={"name": name, "jobs": {}})
    first = (await client.get(f"{BASE}?limit=2")).json()
    assert [item["name"] for item in first["items"]] == ["a", "b"]
    rest = (await client.get(f"{BASE}?limit=2&cursor={first['next']}")).json()
    assert ([item["name"] for item in rest["items"]], rest["next"]) == (["shop"], None)
    live = (await client.get(f"{BASE}?status=DEPLOYED&trigger_type=webhook&name=sho")).json()
    assert [item["name"] for item in live["items"]] == ["shop"]
    assert (await client.get(f"{BASE}?status=gone")).status == 422
    assert (await client.get(f"{BASE}?cursor=nonsense")).status == 400


async def test_deploying_undeploying_and_rolling_back(client, shop):
    planned = await client.post("/api/v1/deployment/plan", body=YAML.replace(b"0 2", b"0 4"), headers=AS_YAML)
    assert planned.json()["triggers"]["changed"][0]["name"] == "nightly"
    spec = json.loads(json.dumps(shop["definition"]).replace("0 2", "0 4"))
    deployed = (await client.post(f"{DEPLOYMENT}/shop/deploy", json={"workflow_spec": spec})).json()
    assert (deployed["deployment_status"], deployed["version"]) == ("DEPLOYED", 2)
    back = (await client.post(f"{DEPLOYMENT}/shop/rollback", json={"version": 1})).json()
    assert back["live_version"] == 1
    history = (await client.get(f"{DEPLOYMENT}/shop/history?limit=2")).json()
    assert [entry["action"] for entry in history["items"]] == ["rollback", "deploy"]
    assert history["next"]
    assert (await client.delete(f"{BASE}/shop")).status == 409
    assert (await client.post(f"{DEPLOYMENT}/shop/undeploy")).json()["deployment_status"] == "UNDEPLOYED"
    assert (await client.post(f"{DEPLOYMENT}/shop/undeploy")).status == 409
    assert (await client.get(f"{DEPLOYMENT}/shop/status")).json()["live_version"] is None
    assert (await client.post(f"{DEPLOYMENT}/shop/deploy")).json()["live_version"] == 2
    assert (await client.delete(f"{BASE}/shop?force=true")).status == 204
    assert (await client.get(f"{BASE}/shop")).status == 404


async def test_a_failed_deployment_is_told(client, shop):
    wrong = {"name": "shop", "triggers": {"t": {"type": "cron", "cron": "0 99 * * *"}}}
    reply = await client.post(f"{DEPLOYMENT}/shop/deploy", json={"workflow_spec": wrong})
    assert (reply.status, reply.json()["errors"][0]["field"]) == (422, "triggers.t.cron")
    status = (await client.get(f"{DEPLOYMENT}/shop/status")).json()
    assert (status["deployment_status"], status["live_version"]) == ("DEPLOYMENT_FAILED", 1)
    assert (await client.post(f"{DEPLOYMENT}/shop/deploy", json={"workflow_spec": 5})).status == 422


async def test_dependencies_are_validated(client):
    jobs = {"a": {"uses": "noop", "needs": ["b"]}, "b": {"uses": "noop", "needs": ["a"]}}
    reply = (await client.post("/api/v1/validate/dependencies", json={"name": "x", "jobs": jobs})).json()
    assert not reply["valid"]
    assert "a → b → a" in reply["errors"][0]["message"]


async def test_pausing_and_resuming(client, shop):
    paused = (await client.post(f"{BASE}/shop/pause", json={"reason": "flood"})).json()
    assert (paused["paused"], paused["paused_reason"]) == (True, "flood")
    assert (await client.post(f"{BASE}/shop/resume")).json()["paused"] is False
    told = {"paused_by": "local", "paused_reason": None, "paused_until": None}
    assert (await client.post(f"{BASE}/pause")).json() == {"paused": 1, **told}
    assert (await client.post(f"{BASE}/resume", json={"missed": "none"})).json() == {"resumed": 1}
    assert (await client.post(f"{BASE}/shop/pause", json={"until": "soon"})).status == 422
    assert (await client.post(f"{BASE}/shop/pause", json={"until": "2001-01-01T00:00:00Z"})).status == 422


@pytest.mark.parametrize("base", ["/api/v1/triggers", "/api/triggers"])
async def test_triggers_outside_a_file(client, shop, base):
    made = await client.post(base, json={"workflow": "shop", "type": "interval", "config": {"every": "5m"}})
    assert (made.status, made.json()["deployment_status"]) == (201, "active")
    place = f"{base}/{made.json()['id']}"
    shown = await client.get(place)
    changed = await client.put(place, json={"config": {"every": "6m"}}, headers={"if-match": shown.headers["etag"]})
    assert changed.json()["config"]["every"] == 360
    again = await client.put(place, json={"config": {"every": "7m"}}, headers={"if-match": shown.headers["etag"]})
    assert again.status == 412
    mode = await client.post(f"{place}/mode", json={"mode": "suspended", "reason": "r"})
    assert (mode.json()["mode"], mode.json()["mode_reason"]) == ("suspended", "r")
    assert (await client.post(f"{place}/mode", json={"mode": "off"})).status == 422
    listed = (await client.get(f"{base}?workflow=shop&type=interval&mode=suspended")).json()
    assert [item["id"] for item in listed["items"]] == [made.json()["id"]]
    assert (await client.delete(place)).status == 204
    assert (await client.get(place)).status == 404


async def test_a_dry_run(client, shop):
    trigger = next(t["id"] for t in shop["triggers"] if t["name"] == "orders")
    yes = await client.post(
        f"/api/v1/triggers/{trigger}/test", json={"event": {"method": "POST", "data": {"amount": 500}}}
    )
    assert yes.json()["outcome"] == "run_started"
    no = await client.post(f"/api/v1/triggers/{trigger}/test", json={"request": {"body": {"amount": 5}}})
    assert (no.json()["outcome"], no.json()["reason"]) == ("filtered", "condition_false")


async def test_simulation_and_health(client, shop):
    trigger = next(t["id"] for t in shop["triggers"] if t["name"] == "orders")
    await client.post("/api/v1/public/webhook/orders", json={"amount": 500})
    simulated = await client.post(f"/api/v1/triggers/{trigger}/simulate", json={"condition": "event.data.amount > 900"})
    assert (simulated.json()["live"], simulated.json()["proposed"]) == ({"run_started": 1}, {"filtered": 1})
    health = (await client.get(f"/api/triggers/{trigger}/health")).json()
    assert (health["status"], health["decisions_24h"]) == ("healthy", {"run_started": 1})


async def test_a_refused_request_is_told_by_the_health_of_its_trigger_and_in_its_explanation(client, shop):
    trigger = next(t["id"] for t in shop["triggers"] if t["name"] == "orders")
    assert (await client.get(f"/api/v1/triggers/{trigger}/health")).json()["refused"] is None
    assert (await client.delete("/api/v1/public/webhook/orders")).status == 405
    refused = (await client.get(f"/api/v1/triggers/{trigger}/health")).json()["refused"]
    assert refused["why"] == "This address takes POST."
    why = (await client.get("/api/v1/explain?ref=shop/orders")).json()["summary"]
    assert why.endswith(f"It last refused a request at {refused['at']}: This address takes POST.")


async def test_a_manual_start_happens_once_per_key(client, shop):
    path = "/api/v1/triggers/workflows/shop/manual"
    starts = [await client.post(path, json={"input": {"x": 1}}, headers={"idempotency-key": "k1"}) for _ in range(3)]
    assert {reply.status for reply in starts} == {202}
    assert len({reply.json()["run_id"] for reply in starts}) == 1
    started = starts[0].json()
    assert started["explain"] == f"/api/v1/events/{started['event_id']}/explain"
    other = await client.post(path, json={"input": {"x": 2}}, headers={"idempotency-key": "k1"})
    assert other.status == 422
    run = await client.get(f"/api/v1/runs/{started['run_id']}/wait")
    assert run.json()["status"] == "SUCCEEDED"
    assert (await client.post(path.replace("shop", "nothing"))).status == 404


async def test_a_manual_start_waits_for_the_end_on_request(client, shop):
    path = "/api/v1/triggers/workflows/shop/manual?wait=run"
    ended = (await client.post(path, json={"input": {"x": 1}}, headers={"idempotency-key": "w"})).json()
    again = (await client.post(path, json={"input": {"x": 1}}, headers={"idempotency-key": "w"})).json()
    assert (ended["status"], ended["runs"][0]["ended"], ended["decisions"][0]["outcome"]) == (
        "SUCCEEDED", True, "run_started",
    )  # fmt: skip
    assert (again["run_id"], again["status"]) == (ended["run_id"], "SUCCEEDED")
    assert (await client.post(path.replace("=run", "=forever"))).status == 422


async def test_a_webhook_starts_what_was_deployed(client, shop):
    reply = await client.post("/api/v1/public/webhook/orders?wait=run", json={"amount": 500})
    assert reply.status == 202
    shown = await client.get(f"{BASE}/shop")
    trigger = next(t for t in shown.json()["triggers"] if t["name"] == "orders")
    assert trigger["last_decision"]["outcome"] == "run_started"


async def test_the_catalogue_and_the_schema_are_served(client):
    types = (await client.get("/api/v1/trigger-types")).json()["items"]
    assert {"cron", "webhook", "github"} <= {entry["name"] for entry in types}
    schema = await client.get("/schemas/workflow/v1.json")
    assert (schema.status, schema.json()["$schema"]) == (200, "https://json-schema.org/draft/2020-12/schema")
    openapi = (await client.get("/openapi.json")).json()
    operation = openapi["paths"][BASE]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", "application/yaml"}
    assert operation["operationId"] == "create_workflow"
    refusal = operation["responses"]["422"]["content"]["application/problem+json"]["schema"]
    assert refusal == {"$ref": "#/components/schemas/Problem"}
    assert not {"HTTPValidationError", "ValidationError"} & set(openapi["components"]["schemas"])
    assert "/api/triggers" not in openapi["paths"]


HOSTILE = (
    b"", b"   ", b"[" * 5_000, b'{"a":' * 5_000, b"\xff\xfe", b"a: &a [*a]", b"{", b"null", b"5", b"- 1", b'"x"',
    b'{"name": NaN}', b'{"name": "\\ud800"}', b'{"name": "a\\u0000"}', b"name: " + b"9" * 5_000,
    b'{"version": ' + b"9" * 5_000 + b"}", b'{"name": {"a": []}, "triggers": [], "jobs": 5}',
    b'{"triggers": {"a": null}, "jobs": {"b": null}}', b'{"triggers": {"": {"type": []}}, "jobs": {"": {"uses": {}}}}',
    b'{"definition": 5}', b'{"workflow_spec": "a: b: c"}', b"name: x\njobs: {a: {uses: http, with: [1]}}",
    b'{"name": "x", "triggers": {"t": {"type": "webhook", "signature": [], "path": {}, "condition": 5}}}',
    b'{"name": "x", "triggers": {"t": {"type": "workflow", "workflow": {}, "after": 5, "condition": []}}}',
    b'{"name": "x", "triggers": {"t": {"type": "cron", "cron": [], "timezone": {}}}}',
    b'{"name": "x", "triggers": {"t": {"type": "cron", "cron": "* * * * *", "timezone": "../../etc/passwd"}}}',
)  # fmt: skip


@pytest.mark.parametrize("kind", ["application/json", "application/yaml", "text/plain"])
async def test_hostile_bodies_get_clear_refusals(client, shop, kind):
    trigger = shop["triggers"][0]["id"]
    targets = [
        ("POST", BASE), ("PUT", f"{BASE}/shop"), ("POST", f"{BASE}/validate"), ("POST", "/api/v1/deployment/plan"),
        ("POST", "/api/v1/validate/dependencies"), ("POST", f"{DEPLOYMENT}/shop/deploy"), ("POST", "/api/v1/triggers"),
        ("PUT", f"/api/v1/triggers/{trigger}"), ("POST", f"/api/v1/triggers/{trigger}/test"),
        ("POST", f"/api/v1/triggers/{trigger}/simulate"),
        ("POST", f"/api/v1/triggers/{trigger}/mode"), ("POST", "/api/v1/triggers/workflows/shop/manual"),
    ]  # fmt: skip
    for body in HOSTILE:
        for method, target in targets:
            reply = await client.request(method, target, body=body, headers={"content-type": kind})
            assert reply.status < 500, (method, target, body[:60], reply.text)


async def test_foreign_and_random_ids_answer_alike(application, client, shop):
    for target in ("/api/v1/workflows/{}", "/api/v1/deployment/workflows/{}/status", "/api/v1/triggers/{}"):
        reply = await client.get(target.format("0197f0c2-7d3a-7000-8000-000000000001"))
        assert (reply.status, reply.json()["code"]) == (404, "not_found")


async def test_concurrent_deployments_leave_one_version_live(client, shop):
    bodies = [
        {"workflow_spec": {"name": "shop", "triggers": {}, "jobs": {f"j{i}": {"uses": "noop"}}}} for i in range(5)
    ]
    replies = await asyncio.gather(*(client.post(f"{DEPLOYMENT}/shop/deploy", json=body) for body in bodies))
    assert {reply.status for reply in replies} <= {200, 409}
    status = (await client.get(f"{DEPLOYMENT}/shop/status")).json()
    assert status["deployment_status"] == "DEPLOYED"


async def test_a_repeated_delivery_is_answered_with_what_the_first_one_did(client, shop):
    path, headers = "/api/v1/public/webhook/orders", {"webhook-id": "msg_1"}
    first = (await client.post(f"{path}?wait=run", json={"amount": 500}, headers=headers)).json()
    again = (await client.post(f"{path}?wait=run", json={"amount": 500}, headers=headers)).json()
    assert again["duplicate"] is True
    assert (again["run_id"], again["status"]) == (first["run_id"], "SUCCEEDED")
    decided = (await client.post(f"{path}?wait=decision", json={"amount": 500}, headers=headers)).json()["decisions"]
    assert [(one["outcome"], one["run_id"]) for one in decided] == [("run_started", first["run_id"])]

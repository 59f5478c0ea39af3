"""What the API itself promises, on the real application."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from workflow_scheduler.testing.asgi import AsgiClient

HOSTILE = (
    b"", b"{", b"[]", b"null", b'"text"', b"NaN", b'{"a": "\xff"}', b'{"a": "\\ud800"}', b'{"name": "a\\u0000b"}',
    b"[" * 10_000 + b"]" * 10_000, b'{"a": ' + b"9" * 5_000 + b"}", b'{"name": 5}', b'{"name": {}, "cron": []}',
    b'{"name": "' + b"x" * 10_000 + b'"}', b'{"value": null, "name": null}',
)  # fmt: skip


async def test_everything_that_needs_no_caller_answers(client):
    assert (await client.get("/health")).json() == {"service": "workflow_scheduler", "status": "healthy"}
    detailed = (await client.get("/health/detailed")).json()
    assert detailed["status"] == "healthy"
    assert detailed["components"]["store"]["status"] == "healthy"
    assert detailed["tzdata"] == detailed["instances"][0]["tzdata"]
    assert "triggers_events_received_total" in (await client.get("/metrics")).text
    totals = await client.get("/metrics", headers={"accept": "application/json"})
    assert totals.json() == {
        "service": "workflow_scheduler", "total_workflows": 0, "total_triggers": 0, "trigger_types": {}
    }  # fmt: skip


async def test_health_says_when_the_store_does_not_work(application, client):
    await application.store.close()
    reply = await client.get("/health/detailed")
    assert reply.status == 503
    assert reply.json()["components"]["store"]["status"] == "unhealthy"
    assert (await client.get("/health")).status == 200


async def test_the_documentation_needs_nothing_from_elsewhere(client):
    for path in ("/docs", "/docs/docs.js", "/docs/docs.css", "/problems/not_found"):
        reply = await client.get(path)
        assert reply.status == 200
        assert "script-src 'self'" in reply.headers["content-security-policy"]
        assert "http://" not in reply.text
        assert "https://" not in reply.text
    assert (await client.get("/docs/../settings.py")).status == 404
    assert (await client.get("/problems/nothing")).status == 404


async def test_the_openapi_document_names_every_interface_route(client):
    spec = (await client.get("/openapi.json")).json()
    for path in (
        "/api/v1/workflows", "/api/v1/events", "/api/v1/keys", "/api/v1/secrets", "/api/v1/stream", "/health",
        "/metrics", "/webhooks/{provider}/{id}", "/api/v1/github/webhook", "/v2/workflows/{workflow_id}/execute",
    ):  # fmt: skip
        assert path in spec["paths"], path
    assert {"get", "post"} <= set(spec["paths"]["/api/v1/events"])
    names = [
        operation["operationId"]
        for operations in spec["paths"].values()
        for operation in operations.values()
        if isinstance(operation, dict)
    ]
    assert len(names) == len(set(names))
    text = json.dumps(spec)
    for reference in set(re.findall(r'"#/components/schemas/([^"]+)"', text)):
        assert reference in spec["components"]["schemas"], reference
    assert "HTTPValidationError" not in text.split('"schemas"')[0]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
async def test_no_endpoint_answers_a_hostile_body_with_a_fault(client, body):
    spec = (await client.get("/openapi.json")).json()
    for path, operations in spec["paths"].items():
        target = re.sub(r"\{\w+\}", "nothing-here", path)
        for method in operations:
            if method in {"post", "put", "patch"}:
                headers = {"content-type": "application/json"}
                reply = await client.request(method.upper(), target, body=body, headers=headers)
                assert reply.status < 500, (method, target, reply.text[:300])
                if reply.status >= 400:
                    assert reply.headers["content-type"] == "application/problem+json", (method, target)


@pytest.mark.parametrize(
    "value", ["", "x" * 5_000, "%F0%9F%92%A9", "..%2f..%2fetc", "%7B%7D", "-1", "1e999", "' OR 1=1 --"]
)
async def test_no_endpoint_answers_a_strange_id_or_query_with_a_fault(client, value):
    spec = (await client.get("/openapi.json")).json()
    quoted = value.replace(" ", "%20").replace("'", "%27")
    for path, operations in spec["paths"].items():
        if "get" not in operations or path == "/api/v1/stream":
            continue
        target = re.sub(r"\{\w+\}", quoted or "%20", path)
        names = [item["name"] for item in operations["get"].get("parameters", []) if item.get("in") == "query"]
        query = "&".join(f"{name}={quoted}" for name in names)
        reply = await client.get(f"{target}?{query}")
        assert reply.status < 500, (target, query, reply.text[:300])


async def test_a_key_is_shown_once_and_closes_the_open_service(application, client):
    made = (await client.post("/api/v1/keys", json={"name": "ci"})).json()
    assert made["key"].startswith("wfs_")
    assert (await client.get("/api/v1/keys")).status == 401
    own = AsgiClient(application.asgi(), {"authorization": f"Bearer {made['key']}"})
    listed = (await own.get("/api/v1/keys")).json()["items"]
    assert [item["id"] for item in listed] == [made["id"]]
    assert "key" not in listed[0]
    dump = await application.store.read("SELECT * FROM api_keys")
    assert made["key"] not in str(dump)
    second = (await own.post("/api/v1/keys", json={"name": "two"})).json()
    assert (await own.delete(f"/api/v1/keys/{made['id']}")).status == 204
    assert (await own.get("/api/v1/keys")).status == 401
    other = AsgiClient(application.asgi(), {"x-api-key": second["key"]})
    assert (await other.get("/api/v1/keys")).json()["items"][0]["revoked_at"] is not None
    assert (await other.delete("/api/v1/keys/nothing")).status == 404


async def test_keys_are_checked_before_they_are_made(client):
    for body, field in (({"name": ""}, "name"), ({"name": "a", "role": "god"}, "role"), ({}, "name")):
        reply = await client.post("/api/v1/keys", json=body)
        assert reply.status == 422
        assert reply.json()["errors"][0]["field"] == field
    past = {"name": "a", "expires_at": "2001-01-01T00:00:00Z"}
    assert (await client.post("/api/v1/keys", json=past)).status == 422


async def test_a_foreign_id_is_the_same_404_as_a_random_one(application, client):
    from workflow_scheduler.core.model.principal import Principal

    other = Principal(tenant_id="other", user_id="eve")
    key = await application.context.keys.create(other, "foreign")
    await application.context.secrets.put(other, "foreign", "value")
    own = await application.context.keys.create(Principal(tenant_id="local", user_id="me"), "own")
    mine = AsgiClient(application.asgi(), {"x-api-key": own["key"]})
    foreign = await mine.delete(f"/api/v1/keys/{key['id']}")
    random = await mine.delete("/api/v1/keys/0196b7a0-0000-7000-8000-000000000001")
    assert foreign.status == random.status == 404
    assert foreign.json()["code"] == random.json()["code"]
    assert (await mine.get("/api/v1/secrets")).json()["items"] == []
    assert (await mine.delete("/api/v1/secrets/foreign")).status == 404


async def test_a_secret_is_written_and_never_shown(application, client):
    reply = await client.post("/api/v1/secrets", json={"name": "hook", "value": "canary-4711"})
    assert reply.status == 201
    assert "canary-4711" not in reply.text + (await client.get("/api/v1/secrets")).text
    assert "canary-4711" not in str(await application.store.read("SELECT * FROM secrets"))
    assert await application.secrets.get("local", "hook") == "canary-4711"
    assert await application.secrets.get("other", "hook") is None
    await client.post("/api/v1/secrets", json={"name": "hook", "value": "second"})
    assert await application.secrets.get("local", "hook") == "second"
    assert (await client.delete("/api/v1/secrets/hook")).status == 204
    assert await application.secrets.get("local", "hook") is None
    assert (await client.delete("/api/v1/secrets/hook")).status == 404


async def test_a_refused_secret_is_not_echoed(client):
    reply = await client.post("/api/v1/secrets", json={"name": "bad name", "value": "canary-4711"})
    assert reply.status == 422
    reply2 = await client.post("/api/v1/secrets", json={"name": "a", "value": ["canary-4711"]})
    assert reply2.status == 422
    assert "canary-4711" not in reply.text + reply2.text


async def test_lists_are_paged_by_cursors_that_cannot_be_made_up(client):
    for number in range(5):
        await client.post("/api/v1/secrets", json={"name": f"s{number}", "value": "v"})
    names, cursor = [], ""
    while cursor is not None:
        page = (await client.get(f"/api/v1/secrets?limit=2&cursor={cursor}")).json()
        names += [item["name"] for item in page["items"]]
        cursor = page["next"]
    assert names == ["s0", "s1", "s2", "s3", "s4"]
    for wrong in ("x", "WzEsMl0", "%21", "a" * 900):
        assert (await client.get(f"/api/v1/secrets?cursor={wrong}")).status == 400
    assert (await client.get("/api/v1/secrets?limit=0")).status == 422


async def test_the_same_idempotency_key_gives_the_same_answer_and_does_the_work_once(application, client):
    headers = {"idempotency-key": "abc"}
    body = {"version": 1, "name": "w1", "jobs": {"a": {"uses": "noop"}}}
    first = await client.post("/api/v1/workflows", json=body, headers=headers)
    again = await client.post("/api/v1/workflows", json=body, headers=headers)
    assert first.status == again.status == 201
    assert first.body == again.body
    assert again.headers["idempotent-replayed"] == "true"
    changed = await client.post("/api/v1/workflows", json={**body, "name": "w2"}, headers=headers)
    assert changed.status == 422
    assert len((await client.get("/api/v1/workflows")).json()["items"]) == 1


async def test_a_refused_request_does_not_use_its_key_up(client):
    headers = {"idempotency-key": "abc"}
    assert (await client.post("/api/v1/workflows", json={"name": 5}, headers=headers)).status == 422
    body = {"version": 1, "name": "w1", "jobs": {"a": {"uses": "noop"}}}
    assert (await client.post("/api/v1/workflows", json=body, headers=headers)).status == 201


async def test_requests_with_one_key_at_the_same_time_do_the_work_once(client):
    body = {"version": 1, "name": "w1", "jobs": {"a": {"uses": "noop"}}}
    replies = await asyncio.gather(
        *(client.post("/api/v1/workflows", json=body, headers={"idempotency-key": "k"}) for _ in range(10))
    )
    assert {reply.status for reply in replies} <= {201, 409}
    assert sum(reply.status == 201 for reply in replies) >= 1
    assert len((await client.get("/api/v1/workflows")).json()["items"]) == 1


async def test_after_a_crash_in_between_a_key_is_refused_and_not_done_twice(application, client):
    body = {"version": 1, "name": "w1", "jobs": {"a": {"uses": "noop"}}}
    await client.post("/api/v1/workflows", json=body, headers={"idempotency-key": "k"})
    await application.store.transact(_forget_answer())
    reply = await client.post("/api/v1/workflows", json=body, headers={"idempotency-key": "k"})
    assert reply.status == 409
    assert "outcome is not known" in reply.json()["detail"]


def _forget_answer():
    from workflow_scheduler.core.ports.store import Sql

    yield Sql("UPDATE idempotency_keys SET status = 0")


async def test_a_key_shown_once_is_not_kept_for_repeated_requests(application, client):
    made = await client.post("/api/v1/keys", json={"name": "a"}, headers={"idempotency-key": "k"})
    own = {"x-api-key": made.json()["key"], "idempotency-key": "k2"}
    second = (await client.post("/api/v1/keys", json={"name": "b"}, headers=own)).json()
    again = (await client.post("/api/v1/keys", json={"name": "b"}, headers=own)).json()
    assert again["id"] == second["id"]
    assert again["key"] is None
    assert second["key"] not in str(await application.store.read("SELECT * FROM idempotency_keys"))


async def test_manual_starts_with_one_key_are_one_run(client):
    body = {"version": 1, "name": "w1", "triggers": {"go": {"type": "manual"}}, "jobs": {"a": {"uses": "noop"}}}
    assert (await client.post("/api/v1/workflows", json=body)).status == 201
    assert (await client.post("/api/v1/deployment/workflows/w1/deploy")).status < 300
    headers = {"idempotency-key": "k"}
    replies = [
        await client.post("/api/v1/triggers/workflows/w1/manual", json={"input": {"n": 1}}, headers=headers)
        for _ in range(3)
    ]
    assert len({reply.json()["run_id"] for reply in replies}) == 1
    other = await client.post("/api/v1/triggers/workflows/w1/manual", json={"input": {"n": 2}}, headers=headers)
    assert other.status == 422


async def test_an_event_reaches_its_runs_end_in_one_request(client):
    body = {
        "version": 1, "name": "w1", "triggers": {"orders": {"type": "event", "event": "order.created"}},
        "jobs": {"a": {"uses": "noop"}},
    }  # fmt: skip
    made = await client.post("/api/v1/workflows", json=body)
    assert made.status == 201, made.text
    await client.post("/api/v1/deployment/workflows/w1/deploy")
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.created", "data": {"n": 1}}
    headers = {"content-type": "application/cloudevents+json"}
    reply = await client.post("/api/v1/events?wait=run", json=event, headers=headers)
    assert reply.status == 202
    assert reply.json()["status"] == "SUCCEEDED", reply.text
    again = await client.post("/api/v1/events?wait=run", json=event, headers=headers)
    assert again.json()["duplicate"] is True
    assert again.json()["run_id"] == reply.json()["run_id"]
    explained = await client.get(reply.json()["explain"])
    assert explained.status == 200

"""The routes that hear events."""

from __future__ import annotations

import base64

import msgspec
import pytest

from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.pipeline.entries import Receipt

ID = "0196b7a0-0000-7000-8000-000000000001"
OTHER = "0196b7a0-0000-7000-8000-000000000002"
ACCEPTED = {"event_id": ID, "explain": f"/api/v1/events/{ID}/explain"}
EVENT = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.created"}
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


def decided(run_id="run-1"):
    return Decision(
        tenant_id="acme", event_id=ID, trigger_id="t", workflow_id="w", outcome=Outcome.RUN_STARTED,
        reason=Reason.MATCHED, decided_at=1, predicates=b'[{"name":"a","expected":1,"actual":1,"verdict":true}]',
        run_id=run_id,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "provider", "route"),
    [
        ("/webhooks/webhook/orders", "webhook", "orders"),
        ("/webhooks/webhook/a/b/c", "webhook", "a/b/c"),
        ("/webhooks/github/some-id", "github", "some-id"),
        ("/api/v1/public/webhook/shop/orders", "webhook", "shop/orders"),
        ("/api/v1/github/webhook", "github", ""),
        ("/webhooks/webhook/caf%C3%A9", "webhook", "café"),
    ],
)
async def test_each_route_reaches_its_trigger(client, context, path, provider, route):
    reply = await client.post(path + "?a=1", body=b"raw", headers={"X-One": "yes"})
    assert (reply.status, reply.json()) == (202, ACCEPTED)
    assert reply.headers["content-type"] == "application/json"
    assert int(reply.headers["content-length"]) == len(reply.body)
    heard = context.push.requests[0]
    assert heard[:2] == (provider, route)
    assert heard[2].body == b"raw"
    assert heard[2].query == "a=1"
    assert heard[2].headers["x-one"] == "yes"


async def test_a_public_webhook_takes_any_method_its_trigger_allows(client, context):
    assert (await client.get("/api/v1/public/webhook/orders")).status == 202
    assert context.push.requests[0][2].method == "GET"
    reply = await client.post("/api/v1/public/webhook/get-only")
    assert (reply.status, reply.headers["allow"]) == (405, "GET")


@pytest.mark.parametrize("path", ["/webhooks/webhook/x", "/api/v1/github/webhook"])
async def test_provider_routes_take_only_posts(client, path):
    reply = await client.get(path)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "path", ["/webhooks/cron/x", "/webhooks/nothing/x", "/webhooks/webhook/", "/webhooks/", "/webhooks/webhook/missing"]
)
async def test_nothing_listens_elsewhere(client, path):
    assert (await client.post(path)).status == 404


async def test_a_wrong_signature_is_401(client):
    reply = await client.post("/webhooks/webhook/x", headers={"x-signature": "wrong"})
    assert (reply.status, reply.json()["code"]) == (401, "signature_invalid")


async def test_a_repeated_header_is_joined_so_that_none_hides_another(app):
    from workflow_scheduler.api.ingress import header_map

    pairs = [(b"x-signature", b"good"), (b"x-signature", b"bad"), (b"a", b"1")]
    assert header_map({"headers": pairs}) == {"x-signature": "good, bad", "a": "1"}


async def test_a_duplicate_says_so_and_names_the_first_event(client, context):
    context.push.receipts = [Receipt(OTHER, duplicate=True, decisions=[], run_ids=[])]
    reply = await client.post("/webhooks/webhook/x")
    assert reply.json() == {"event_id": OTHER, "explain": f"/api/v1/events/{OTHER}/explain", "duplicate": True}


async def test_one_delivery_that_is_several_events_lists_them(client, context):
    context.push.receipts = [Receipt(one, duplicate=False, decisions=[], run_ids=[]) for one in (ID, OTHER)]
    found = (await client.post("/api/v1/github/webhook")).json()
    assert found["event_id"] == ID
    assert [item["event_id"] for item in found["events"]] == [ID, OTHER]
    context.push.receipts = []
    assert (await client.post("/api/v1/github/webhook")).json() == {"event_id": None, "explain": None, "events": []}


async def test_wait_decision_adds_the_decisions(client, context):
    context.push.receipts = [Receipt(ID, duplicate=False, decisions=[decided()], run_ids=["run-1"], tenant_id="local")]
    found = (await client.post("/webhooks/webhook/x?wait=decision")).json()
    assert found["decisions"] == [
        {
            "trigger_id": "t", "workflow_id": "w", "outcome": "run_started", "reason": "matched",
            "predicates": [{"name": "a", "expected": 1, "actual": 1, "verdict": True}], "run_id": "run-1",
        }
    ]  # fmt: skip


async def test_wait_run_waits_in_the_tenant_of_the_trigger(client, context):
    waited = []

    class Tracker:
        async def wait(self, tenant_id, run_id, seconds):
            waited.append((tenant_id, run_id, seconds))
            return True

    class Runs:
        async def show(self, principal, run_id):
            return {"workflow": "shop", "status": "SUCCEEDED", "output": {"n": 1}, "error": None, "id": run_id}

    context.tracker, context.runs = Tracker(), Runs()
    context.push.receipts = [Receipt(ID, duplicate=False, decisions=[decided()], run_ids=["run-1"], tenant_id="acme")]
    found = (await client.post("/webhooks/webhook/x?wait=run&timeout=7")).json()
    assert waited == [("acme", "run-1", 7.0)]
    assert found["status"] == "SUCCEEDED"
    assert found["output"] == {"n": 1}
    assert found["runs"][0] == {
        "run_id": "run-1", "ended": True, "workflow": "shop", "status": "SUCCEEDED", "output": {"n": 1}, "error": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    "query",
    [
        "wait=never",
        "wait=",
        "wait=run&timeout=x",
        "wait=run&timeout=-1",
        "wait=run&timeout=nan",
        "wait=run&timeout=1e9",
    ],
)
async def test_a_wish_that_is_not_known_is_refused(client, context, query):
    assert (await client.post(f"/webhooks/webhook/x?{query}")).status == 400
    assert context.push.requests == []


async def test_a_structured_event_is_accepted(client, context):
    body = {**EVENT, "subject": "order/1", "time": "2027-03-14T07:30:00Z", "data": {"amount": 120}, "region": "eu"}
    reply = await client.post("/api/v1/events", json=body, headers=STRUCTURED)
    assert (reply.status, reply.json()) == (202, ACCEPTED)
    event = context.inbox.events[0]
    assert (event.source, event.type, event.event_key, event.subject) == ("/shop", "order.created", "1", "order/1")
    assert event.provider == "event"
    assert event.tenant_id == "local"
    assert "order.created" in event.index_keys
    assert event.time == 1_805_009_400_000_000
    assert msgspec.json.decode(event.data) == {"amount": 120}
    assert msgspec.json.decode(event.attributes)["extensions"] == {"region": "eu"}


async def test_a_binary_event_is_accepted(client, context):
    headers = {
        "ce-specversion": "1.0", "ce-id": "2", "ce-source": "/shop", "ce-type": "t", "ce-subject": "caf%C3%A9",
        "content-type": "application/json; charset=utf-8",
    }  # fmt: skip
    assert (await client.post("/api/v1/events", body=b'{"a": 1}', headers=headers)).status == 202
    assert (
        await client.post("/api/v1/events", body=b"hello", headers={**headers, "content-type": "text/plain"})
    ).status == 202
    assert (
        await client.post("/api/v1/events", body=b"\x00\xff", headers={**headers, "content-type": "image/png"})
    ).status == 202
    assert (await client.post("/api/v1/events", headers={**headers, "content-type": ""})).status == 202
    first, second, third, fourth = context.inbox.events
    assert first.subject == "café"
    assert first.data == b'{"a": 1}'
    assert msgspec.json.decode(second.data) == "hello"
    assert base64.b64decode(msgspec.json.decode(third.data)) == b"\x00\xff"
    assert msgspec.json.decode(third.attributes)["encoding"] == "base64"
    assert fourth.data == b"null"


async def test_a_batch_is_answered_with_a_list(client, context):
    reply = await client.post("/api/v1/events", json=[EVENT, {**EVENT, "id": "2"}], headers=BATCH)
    assert reply.status == 202
    assert [item["event_id"] for item in reply.json()] == [ID, ID]
    assert [event.event_key for event in context.inbox.events] == ["1", "2"]
    assert (await client.post("/api/v1/events", json=[], headers=BATCH)).json() == []


async def test_a_batch_with_one_wrong_event_stores_none_and_names_it(client, context):
    reply = await client.post("/api/v1/events", json=[EVENT, {**EVENT, "id": ""}], headers=BATCH)
    assert reply.status == 422
    assert reply.json()["errors"][0]["field"] == "1.id"
    assert context.inbox.events == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"id": None}, "id"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"source": ""}, "source"),
        ({"type": "a\x00b"}, "type"),
        ({"type": "x" * 2_000}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2027-03-14T07:30:00"}, "time"),
        ({"time": "2027-13-14T07:30:00Z"}, "time"),
        ({"time": "2027-03-14T07:30:00+99:99"}, "time"),
        ({"Region": "eu"}, "Region"),
        ({"region": {"a": 1}}, "region"),
        ({"region": 1.5}, "region"),
        ({"data": 1, "data_base64": "AA=="}, "data_base64"),
        ({"data_base64": "%%%"}, "data_base64"),
        ({"data_base64": 5}, "data_base64"),
    ],
)
async def test_attributes_are_checked_strictly(client, context, change, field):
    body = {name: value for name, value in {**EVENT, **change}.items() if value is not None}
    reply = await client.post("/api/v1/events", json=body, headers=STRUCTURED)
    assert reply.status == 422, reply.text
    assert reply.json()["errors"][0]["field"] == field
    assert context.inbox.events == []


@pytest.mark.parametrize("media", ["text/plain", "", "application/cloudevents+xml", "application/cloudevents+avro"])
async def test_what_is_no_cloudevent_is_415(client, media):
    assert (await client.post("/api/v1/events", json=EVENT, headers={"content-type": media})).status == 415


async def test_another_charset_is_415(client):
    headers = {"content-type": "application/cloudevents+json; charset=latin-1"}
    assert (await client.post("/api/v1/events", json=EVENT, headers=headers)).status == 415


async def test_plain_json_that_is_a_cloudevent_is_taken(client):
    assert (await client.post("/api/v1/events", json=EVENT)).status == 202
    assert (await client.post("/api/v1/events", json=[EVENT])).status == 202
    assert (await client.post("/api/v1/events", json={"hello": 1})).status == 415


async def test_events_need_a_caller_and_take_its_tenant(client, context, owned):
    await context.authenticator.start()
    assert (await client.post("/api/v1/events", json=EVENT, headers=STRUCTURED)).status == 401
    reply = await client.post("/api/v1/events", json=EVENT, headers={**STRUCTURED, "x-api-key": owned})
    assert reply.status == 202
    assert (context.inbox.events[0].tenant_id, context.inbox.events[0].user_id) == ("acme", "ann")


async def test_trace_context_comes_from_the_event_or_else_from_the_request(client, context):
    inner = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    outer = "00-11111111111111111111111111111111-2222222222222222-01"
    await client.post(
        "/api/v1/events", json={**EVENT, "traceparent": inner}, headers={**STRUCTURED, "traceparent": outer}
    )
    await client.post("/api/v1/events", json=EVENT, headers={**STRUCTURED, "traceparent": outer})
    await client.post("/api/v1/events", json=EVENT, headers={**STRUCTURED, "traceparent": "nonsense"})
    assert [event.traceparent for event in context.inbox.events] == [inner, outer, None]

"""What comes from outside, and what flows back: each tenant hears and sees its own only."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from pathlib import Path

import pytest

PUSH = (Path(__file__).parents[2] / "fixtures/github/push.json").read_bytes()
HOOK = {"type": "webhook", "path": "orders", "signature": "none"}


def flow(name, **triggers):
    return {"version": 1, "name": name, "triggers": triggers, "jobs": {"work": {"uses": "noop"}}}


def pushed(secret, delivery="d-1"):
    return {
        "content-type": "application/json",
        "x-github-event": "push",
        "x-github-delivery": delivery,
        "x-hub-signature-256": "sha256=" + hmac.digest(secret.encode(), PUSH, hashlib.sha256).hex(),
    }


async def runs_of(client):
    return {run["workflow"] for run in (await client.get("/api/v1/runs?limit=500")).json()["items"]}


async def events_of(client):
    """Return what was heard; what the service tells of itself comes whenever it comes."""
    items = (await client.get("/api/v1/events?limit=500")).json()["items"]
    return [one for one in items if not one["source"].startswith("/system/")]


@pytest.mark.parametrize("path", ["orders", "/orders", "webhook/orders", "webhook/webhook/orders"])
async def test_a_taken_path_cannot_be_listened_to_by_another_tenant(tenancy, path):
    definition = flow("thief", hook={**HOOK, "path": path})
    reply = await tenancy.eve.post("/api/v1/deployment/workflows/thief/deploy", json={"workflow_spec": definition})
    assert reply.status in {409, 422}, reply.text
    assert "acme" not in reply.text
    await tenancy.nobody.post("/api/v1/public/webhook/orders?wait=run", json={"amount": 2})
    assert await events_of(tenancy.eve) == []


@pytest.mark.parametrize(("squatted", "wanted"), [("webhook/webhook/shop", "webhook/shop"), ("webhook/shop", "shop")])
async def test_a_path_beside_a_path_hears_nothing_of_it(tenancy, squatted, wanted):
    await tenancy.deploy(tenancy.eve, flow("squatter", hook={**HOOK, "path": squatted}))
    definition = flow("shop", hook={**HOOK, "path": wanted})
    await tenancy.ann.post("/api/v1/deployment/workflows/shop/deploy", json={"workflow_spec": definition})
    before = len(await events_of(tenancy.ann))
    await tenancy.nobody.post(f"/api/v1/public/webhook/{wanted}?wait=run", json={"amount": 2})
    heard = (len(await events_of(tenancy.ann)) - before, len(await events_of(tenancy.eve)))
    assert sum(heard) <= 1, "one delivery is heard by one tenant"


async def test_a_push_starts_the_workflows_of_the_tenant_whose_secret_signed_it(tenancy):
    repository = json.loads(PUSH)["repository"]["full_name"]
    for client, secret in ((tenancy.ann, "ann-signs"), (tenancy.eve, "eve-signs")):
        await client.post("/api/v1/secrets", json={"name": "hub", "value": secret})
        push = {"type": "github", "repository": repository, "secret": "hub", "events": {"push": {}}}
        await tenancy.deploy(client, flow("on-push", pushes=push))
    reply = await tenancy.nobody.post("/api/v1/github/webhook?wait=run", body=PUSH, headers=pushed("eve-signs"))
    assert reply.status == 202, reply.text
    assert await runs_of(tenancy.eve) == {"on-push"}
    assert "on-push" not in await runs_of(tenancy.ann)
    refused = await tenancy.nobody.post("/api/v1/github/webhook", body=PUSH, headers=pushed("nobody-signs"))
    assert refused.status == 401


async def test_a_push_starts_only_those_workflows_whose_own_secret_signed_it(tenancy):
    repository = json.loads(PUSH)["repository"]["full_name"]
    for name in ("first", "second"):
        await tenancy.eve.post("/api/v1/secrets", json={"name": name, "value": f"{name}-signs"})
        push = {"type": "github", "repository": repository, "secret": name, "events": {"push": {}}}
        await tenancy.deploy(tenancy.eve, flow(name, pushes=push))
    await tenancy.nobody.post("/api/v1/github/webhook?wait=run", body=PUSH, headers=pushed("second-signs"))
    assert await runs_of(tenancy.eve) == {"second"}


async def test_events_of_one_tenant_start_nothing_of_another(tenancy):
    await tenancy.deploy(tenancy.eve, flow("mine", created={"type": "event", "event": "order.created"}))
    await tenancy.deploy(tenancy.eve, flow("after", end={"type": "workflow", "any": [{"workflow": "orders"}]}))
    event = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.created", "data": {"n": 1}}
    headers = {"content-type": "application/cloudevents+json"}
    theirs = await tenancy.ann.post("/api/v1/events?wait=run", json=event, headers=headers)
    assert theirs.json()["status"] == "SUCCEEDED"
    assert await runs_of(tenancy.eve) == set()
    mine = await tenancy.eve.post("/api/v1/events?wait=run", json=event, headers=headers)
    assert mine.json()["status"] == "SUCCEEDED", "the same source and id in another tenant is another event"
    assert "duplicate" not in mine.json()
    assert await runs_of(tenancy.eve) == {"mine"}


async def test_secrets_and_idempotency_keys_belong_to_one_tenant(tenancy):
    await tenancy.eve.post("/api/v1/secrets", json={"name": "hmac", "value": "hmac-of-eve"})
    body = b'{"amount": 1}'
    for secret, status in (("hmac-of-eve", 401), ("hmac-of-acme", 202)):
        headers = {"x-signature": hmac.digest(secret.encode(), body, hashlib.sha256).hex()}
        reply = await tenancy.nobody.post("/api/v1/public/webhook/signed", body=body, headers=headers)
        assert reply.status == status, secret
    await tenancy.eve.delete("/api/v1/secrets/hmac")
    assert [one["name"] for one in (await tenancy.ann.get("/api/v1/secrets")).json()["items"]] == ["hmac", "hub"]
    await tenancy.deploy(tenancy.eve, flow("orders", hand={"type": "manual"}))
    key = {"idempotency-key": "shared"}
    for path in ("/api/v1/triggers/workflows/orders/manual", "/v2/workflows/orders/execute", "/api/v1/keys"):
        body = {"name": "same"} if path.endswith("keys") else {"input": 1}
        first = await tenancy.ann.post(path, json=body, headers=key)
        second = await tenancy.eve.post(path, json={**body, **({} if "name" in body else {"input": 2})}, headers=key)
        assert first.status == second.status, second.text
        assert "idempotent-replayed" not in second.headers
        assert first.text != second.text


async def stream(tenancy, client, target="/api/v1/stream", headers=None):
    """Return what a stream sends until it has been silent for a moment, while both tenants are busy."""
    sent, gone = bytearray(), asyncio.Event()

    async def receive():
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.extend(message.get("body", b""))

    path, _, query = target.partition("?")
    given = {**client._headers, **(headers or {})}
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
    }  # fmt: skip
    following = asyncio.create_task(tenancy.asgi(scope, receive, send))
    await tenancy.nobody.post("/api/v1/public/webhook/orders?wait=run", json={"amount": 3})
    await tenancy.deploy(tenancy.eve, flow("mine", hand={"type": "manual"}))
    started = await tenancy.eve.post("/api/v1/triggers/workflows/mine/manual", json={"input": 1})
    await tenancy.eve.get(f"/api/v1/runs/{started.json()['run_id']}/wait")
    own = started.json()["event_id"].encode()
    async with asyncio.timeout(10):
        while client is tenancy.eve and own not in sent:
            await asyncio.wait((following,), timeout=0.01)
    gone.set()
    await asyncio.wait((following,), timeout=5)
    return bytes(sent)


@pytest.mark.parametrize("headers", [{}, {"last-event-id": "0"}, {"last-event-id": "1"}])
async def test_a_stream_holds_changes_of_its_own_tenant_only(tenancy, headers):
    found = (await stream(tenancy, tenancy.eve, headers=headers)).decode()
    assert "event.accepted" in found
    assert "orders" not in found
    theirs = {event["id"] for event in await events_of(tenancy.ann)}
    assert not [one for one in theirs if one in found]


async def test_a_stream_goes_on_after_the_last_id_within_the_tenant(tenancy):
    live = tenancy.application.live
    position = live.last_id
    found = (await stream(tenancy, tenancy.eve, headers={"last-event-id": str(position)})).decode()
    ids = [int(line[4:]) for line in found.splitlines() if line.startswith("id: ")]
    assert ids == sorted(ids)
    assert min(ids) > position
    # What the tenant is told later, such as of its deployment, is not in what was read until here.
    own = {item.id for item in live.since("other", (), position) if item.id <= max(ids)}
    assert own == set(ids)


async def test_two_tenants_may_have_the_same_names(tenancy):
    mine = await tenancy.deploy(tenancy.eve, flow("orders", hand={"type": "manual"}))
    theirs = (await tenancy.ann.get("/api/v1/workflows/orders")).json()
    assert mine["id"] != theirs["id"]
    assert {one["id"] for one in mine["triggers"]}.isdisjoint(one["id"] for one in theirs["triggers"])
    await tenancy.eve.delete("/api/v1/workflows/orders?force=true")
    assert (await tenancy.ann.get("/api/v1/workflows/orders")).json() == theirs


async def test_no_token_may_name_all_tenants_at_once(tenancy):
    for tenant in ("*", "", None, ["acme"], {"id": "acme"}, "acme\n", True):
        reply = await tenancy.nobody.get(
            "/api/v1/workflows", headers={"authorization": f"Bearer {tenancy.token(tenant)}"}
        )
        assert reply.status == 401, tenant
    strange = {"authorization": f"Bearer {tenancy.token('acme/x')}"}
    assert (await tenancy.nobody.get("/api/v1/workflows", headers=strange)).json()["items"] == []

"""Every signature preset at its address: mutations are 401, copies count once, two secrets live while one is rotated.

`WFS_SIGNATURE_MUTATIONS` sets the number of mutations per preset (a release tries 50,000).
"""

from __future__ import annotations

import os
import random

import pytest
import pytest_asyncio

from workflow_scheduler.app import Application
from workflow_scheduler.core.inbound import scheme
from workflow_scheduler.core.inbound.presets import PRESETS
from workflow_scheduler.core.inbound.scheme import Signature
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

pytestmark = pytest.mark.asyncio(loop_scope="module")
MUTATIONS = int(os.environ.get("WFS_SIGNATURE_MUTATIONS", "60"))
SECRET = "0123456789abcdef0123456789abcdef"
SIGNED = [name for name in PRESETS if name != "none"]
BODY = b'{"id": "evt_%d", "event_id": "Ev%d", "event": {"id": "pd%d"}, "n": 7}'
JSON = {"content-type": "application/json"}


def rule(name):
    given = {"header": "X-Signature", "timestamp_header": "X-Time"} if name.startswith("hmac-") else {}
    return {"scheme": name, "secret": "shared", **given}


def signed(application, name, body, secret=SECRET, **headers):
    one = Signature.model_validate(rule(name))
    request = PushRequest("POST", "/", "", {**JSON, **headers}, body, application.clock.now())
    return {**JSON, **headers, **scheme.sign(one, request, secret)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(tmp_path_factory):
    """One service for the module."""
    app = Application(Settings(_env_file=None, data=tmp_path_factory.mktemp("signatures")))
    await app.start()
    yield app
    await app.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deployed(application):
    client = AsgiClient(application.asgi())
    await client.post("/api/v1/secrets", json={"name": "shared", "value": SECRET})
    triggers = {name.replace("-", "_"): {"type": "webhook", "path": name, "signature": rule(name)} for name in SIGNED}
    definition = {"version": 1, "name": "hooks", "triggers": triggers, "jobs": {"a": {"uses": "noop"}}}
    made = await client.post("/api/v1/workflows", json=definition)
    assert made.status == 201, made.text
    assert (await client.post("/api/v1/deployment/workflows/hooks/deploy")).status < 300
    return client


def mutated(chance, body, headers, proofs, *, covered):
    """Return body and headers with one byte of what is signed, or of the signature, changed, added or dropped."""
    where = chance.choice(["body", *proofs] if covered else proofs)
    text = body if where == "body" else headers[where].encode()
    at = chance.randrange(len(text))
    changed = chance.choice(
        [
            text[:at] + bytes([text[at] ^ (1 << chance.randrange(7))]) + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text[:at] + bytes([chance.randrange(1, 127)]) + text[at:],
            text[:at],
        ]
    )
    changed = changed if changed != text else text + b"x"
    return (changed, headers) if where == "body" else (body, {**headers, where: changed.decode("latin-1")})


@pytest.mark.parametrize("name", SIGNED)
async def test_every_mutated_signature_is_401(application, deployed, name):
    chance = random.Random(name)  # noqa: S311 -- reproducible mutations
    body = BODY % (1, 1, 1)
    good = signed(application, name, body, **{"x-time": "0"})
    proofs = [key for key in good if key not in JSON and (key != "x-time" or name.startswith("hmac-"))]
    covered = PRESETS[name].kind == "hmac"
    path = f"/api/v1/public/webhook/{name}"
    statuses = {}
    for _ in range(MUTATIONS):
        bad_body, bad = mutated(chance, body, good, proofs, covered=covered)
        reply = await deployed.post(path, body=bad_body, headers=bad)
        statuses[reply.status] = statuses.get(reply.status, 0) + 1
        assert reply.status == 401, (bad_body, bad, reply.text)
    assert statuses == {401: MUTATIONS}
    ((stored,),) = await application.store.read(
        "SELECT COUNT(*) FROM events WHERE source = :path", {"path": f"/webhooks/{name}"}
    )
    assert stored == 0
    reply = await deployed.post(path, body=body, headers=signed(application, name, body))
    assert reply.status == 202, reply.text


KEYED = {
    "github": {"x-github-delivery": "d1"}, "shopify": {"x-shopify-webhook-id": "d1"},
    "gitlab": {"idempotency-key": "d1"}, "standard-webhooks": {"webhook-id": "d1"},
    "slack": {}, "stripe": {}, "pagerduty": {},
}  # fmt: skip


@pytest.mark.parametrize("name", KEYED)
async def test_a_delivery_that_comes_again_starts_nothing(application, deployed, name):
    """The sender's own id is found; the second try is signed anew, as senders do."""
    headers = KEYED[name]
    one, two = BODY % (11, 11, 11), BODY % (12, 12, 12)
    path = f"/webhooks/{name}/{name}" if name in ("stripe", "slack") else f"/api/v1/public/webhook/{name}"
    first = await deployed.post(path, body=one, headers=signed(application, name, one, **headers))
    again = await deployed.post(path, body=one, headers=signed(application, name, one, **headers))
    other = dict.fromkeys(headers, "d2")
    another = await deployed.post(path, body=two, headers=signed(application, name, two, **other))
    assert [first.status, again.status, another.status] == [202, 202, 202], first.text + again.text
    assert again.json()["duplicate"] is True
    assert first.json()["event_id"] == again.json()["event_id"] != another.json()["event_id"]


async def test_a_copy_under_another_id_is_refused(application, deployed):
    body = BODY % (21, 21, 21)
    headers = {**signed(application, "hmac-sha256", body), "webhook-id": "one"}
    path = "/api/v1/public/webhook/hmac-sha256"
    assert (await deployed.post(path, body=body, headers=headers)).status == 202
    assert (await deployed.post(path, body=body, headers=headers)).json()["duplicate"] is True
    copied = await deployed.post(path, body=body, headers={**headers, "webhook-id": "two"})
    assert copied.status == 401
    assert "taken before" in copied.json()["detail"]


async def test_two_secrets_live_while_one_is_rotated(application, deployed):
    path, body = "/api/v1/public/webhook/shopify", BODY % (31, 31, 31)

    async def send(secret):
        return (await deployed.post(path, body=body, headers=signed(application, "shopify", body, secret))).status

    fresh = {"name": "shared", "value": "fresh" * 8}
    shown = await deployed.post("/api/v1/secrets", json={**fresh, "keep_previous": "1h"})
    assert shown.json()["previous_until"] is not None
    assert [await send(SECRET), await send("fresh" * 8), await send("other")] == [202, 202, 401]
    await deployed.post("/api/v1/secrets", json=fresh)
    assert [await send(SECRET), await send("fresh" * 8)] == [401, 202]
    await deployed.post("/api/v1/secrets", json={"name": "shared", "value": SECRET})
    refused = await deployed.post("/api/v1/secrets", json={**fresh, "keep_previous": "31d"})
    assert refused.status == 422
    assert refused.json()["errors"][0]["field"] == "keep_previous"


async def test_the_address_names_the_sender(application, deployed):
    body = BODY % (41, 41, 41)
    headers = signed(application, "stripe", body)
    assert (await deployed.post("/webhooks/pagerduty/stripe", body=body, headers=headers)).status == 404
    assert (await deployed.post("/webhooks/nobody/stripe", body=body, headers=headers)).status == 404
    assert (await deployed.get("/webhooks/stripe/stripe", headers=headers)).status == 405
    reply = await deployed.post("/webhooks/stripe/stripe?wait=run", body=body, headers=headers)
    assert reply.json()["status"] == "SUCCEEDED"

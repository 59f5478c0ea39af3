"""Deliveries to deployed triggers: whatever the body is, it is stored or refused, never a fault."""

from __future__ import annotations

import gzip
import hashlib
import hmac
import json

import pytest

JSON = {"content-type": "application/json"}
BODIES = {
    "empty": b"", "truncated": b'{"a":', "nan": b'{"a": NaN}', "bad utf-8": b'{"a": "\xff"}',
    "lone surrogate": b'{"a": "\\ud800"}', "nul": b'{"a": "\\u0000"}', "deep": b"[" * 10_000 + b"]" * 10_000,
    "deep but decodable": b"[" * 500 + b"]" * 500, "deep objects": b'{"a":' * 900 + b"1" + b"}" * 900,
    "huge integer": b"9" * 5_000, "big integer": b'{"a": ' + b"9" * 40 + b"}", "huge exponent": b"1e99999",
    "array": b"[1, 2]", "scalar": b"5", "null": b"null",
    "many keys": json.dumps(dict.fromkeys(map(str, range(50_000)), 1)).encode(),
    "control": b'{"a": "\x01"}', "two": b"{}{}", "duplicate keys": b'{"a":1,"a":2}',
}  # fmt: skip
KINDS = (
    "application/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "x/\xff",
    "",
)


@pytest.fixture
async def deployed(client):
    await client.post("/api/v1/secrets", json={"name": "hook", "value": "s3cret"})
    definition = {
        "version": 1,
        "name": "w1",
        "triggers": {
            "open": {"type": "webhook", "path": "open", "signature": "none", "condition": "event.data.amount > 100"},
            "pushes": {"type": "github", "repository": "acme/billing", "secret": "hook", "events": {"push": {}}},
        },
        "jobs": {"a": {"uses": "noop"}},
    }
    made = await client.post("/api/v1/workflows", json=definition)
    assert made.status == 201, made.text
    reply = await client.post("/api/v1/deployment/workflows/w1/deploy")
    assert reply.status < 300, reply.text
    return client


@pytest.mark.parametrize("name", list(BODIES))
async def test_a_hostile_delivery_is_stored_or_refused(deployed, name):
    for kind in KINDS:
        reply = await deployed.post(
            "/api/v1/public/webhook/open?wait=decision", body=BODIES[name], headers={"content-type": kind}
        )
        assert reply.status == 202 or 400 <= reply.status < 500, (kind, reply.status, reply.text[:300])
        if reply.status == 202:
            shown = await deployed.get(f"/api/v1/events/{reply.json()['event_id']}")
            assert shown.status == 200, shown.text[:300]
            assert (await deployed.get(f"/api/v1/events/{reply.json()['event_id']}/explain")).status == 200
    assert (await deployed.get("/api/v1/events")).status == 200


@pytest.mark.parametrize("name", list(BODIES))
async def test_a_hostile_delivery_with_a_right_signature_is_stored_or_refused(deployed, name):
    body = BODIES[name]
    reply = await deployed.post("/api/v1/github/webhook", body=body, headers=signed(body))
    assert reply.status == 202 or 400 <= reply.status < 500, (reply.status, reply.text[:300])


def signed(body, secret=b"s3cret"):
    return {
        **JSON,
        "x-github-event": "push",
        "x-github-delivery": "d-1",
        "x-hub-signature-256": "sha256=" + hmac.digest(secret, body, hashlib.sha256).hex(),
    }


async def test_a_signature_that_does_not_fit_is_401_whatever_it_is(deployed):
    body = b"{}"
    right = signed(body)["x-hub-signature-256"]
    wrong = ["", "sha256=", "sha1=" + "0" * 40, right[:-1], right + "0", right.upper(), "sha256=\xff\xfe", "x" * 10_000]
    for value in wrong:
        headers = {**signed(body), "x-hub-signature-256": value}
        assert (await deployed.post("/api/v1/github/webhook", body=body, headers=headers)).status == 401, value
    missing = {name: value for name, value in signed(body).items() if name != "x-hub-signature-256"}
    assert (await deployed.post("/api/v1/github/webhook", body=body, headers=missing)).status == 401


async def test_a_packed_delivery_is_unpacked_before_it_is_read(deployed):
    body = gzip.compress(b'{"amount": 500}')
    reply = await deployed.post(
        "/api/v1/public/webhook/open?wait=run", body=body, headers={**JSON, "content-encoding": "gzip"}
    )
    assert reply.json()["status"] == "SUCCEEDED", reply.text


async def test_wait_decision_says_why_nothing_ran(deployed):
    reply = await deployed.post("/api/v1/public/webhook/open?wait=decision", json={"amount": 5})
    (decision,) = reply.json()["decisions"]
    assert decision["outcome"] == "filtered"
    assert decision["predicates"]

"""Webhooks: signatures, identity of a delivery, and what of a request is handed on."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from pydantic import ValidationError

from workflow_scheduler.core.errors import SignatureInvalid
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.triggers import webhook

NOW = 1_800_000_000_000_000
BODY = b'{"id": "evt_1", "n": 7}'


def request(body: bytes = BODY, method: str = "POST", query: str = "", at: int = NOW, **headers: str) -> PushRequest:
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return PushRequest(
        method, "/api/v1/public/webhook/orders", query, {"content-type": "application/json", **named}, body, at
    )


def config(signature: Any = "none", **extra: Any) -> webhook.Config:
    return webhook.Config.model_validate({"signature": signature, **extra})


def hmac_hex(body: bytes, digest: str = "sha256") -> str:
    return hmac.new(b"s3cret", body, digest).hexdigest()


@pytest.mark.parametrize("digest", ["sha256", "sha1", "sha512"])
@pytest.mark.parametrize("encoding", ["hex", "base64"])
def test_hmac_signatures(digest: str, encoding: str) -> None:
    rule = config({"scheme": f"hmac-{digest}", "header": "X-Sig", "secret": "k", "prefix": "v=", "encoding": encoding})
    raw = hmac.new(b"s3cret", BODY, digest)
    text = raw.hexdigest() if encoding == "hex" else base64.b64encode(raw.digest()).decode()
    webhook.verify(rule, request(x_sig="v=" + text), "s3cret")
    for bad in (text, "v=" + text[:-1], "v=" + text + " ", "", "é"):
        with pytest.raises(SignatureInvalid):
            webhook.verify(rule, request(x_sig=bad), "s3cret")
    with pytest.raises(SignatureInvalid):
        webhook.verify(rule, request(), "s3cret")
    with pytest.raises(SignatureInvalid):
        webhook.verify(rule, request(BODY + b" ", x_sig="v=" + text), "s3cret")
    for secret in (None, "", "other"):
        with pytest.raises(SignatureInvalid):
            webhook.verify(rule, request(x_sig="v=" + text), secret)


def test_a_time_stamp_is_signed_and_bounded() -> None:
    rule = config({"scheme": "hmac-sha256", "header": "X-Sig", "secret": "k", "timestamp_header": "X-Time"})
    signed = hmac_hex(b"1800000000." + BODY)
    webhook.verify(rule, request(x_sig=signed, x_time="1800000000"), "s3cret")
    webhook.verify(rule, request(x_sig=signed, x_time="1800000000", at=NOW + 300_000_000), "s3cret")
    for at in (NOW + 300_000_001, NOW - 301_000_000):
        with pytest.raises(SignatureInvalid, match="away from this clock"):
            webhook.verify(rule, request(x_sig=signed, x_time="1800000000", at=at), "s3cret")
    for stamp in ("1800000001", "x", "-1", "", "1" * 30, "१८००००००००"):
        with pytest.raises(SignatureInvalid):
            webhook.verify(rule, request(x_sig=signed, x_time=stamp), "s3cret")


def test_what_is_signed_can_be_described() -> None:
    rule = config(
        {
            "scheme": "hmac-sha256",
            "header": "X-Sig",
            "secret": "k",
            "timestamp_header": "X-Time",
            "prefix": "v0=",
            "signed": "v0:{timestamp}:{body}",
        }
    )
    signed = "v0=" + hmac_hex(b"v0:1800000000:" + BODY)
    webhook.verify(rule, request(x_sig=signed, x_time="1800000000"), "s3cret")


def test_standard_webhooks() -> None:
    rule = config({"scheme": "standard-webhooks", "secret": "k"})
    key = b"0123456789abcdef"
    signed = base64.b64encode(hmac.new(key, b"msg_1.1800000000." + BODY, hashlib.sha256).digest()).decode()
    headers = {"webhook_id": "msg_1", "webhook_timestamp": "1800000000"}
    secret = "whsec_" + base64.b64encode(key).decode()
    webhook.verify(rule, request(webhook_signature=f"v1,AAAA v1,{signed}", **headers), secret)
    for bad in ("v1,AAAA", "", signed):
        with pytest.raises(SignatureInvalid):
            webhook.verify(rule, request(webhook_signature=bad, **headers), secret)
    assert webhook.parse(rule, request(webhook_signature=f"v1,{signed}", **headers))[0].event_key == "msg_1"


def test_api_key_and_basic() -> None:
    webhook.verify(config({"scheme": "api-key", "secret": "k"}), request(x_api_key="s3cret"), "s3cret")
    bearer = config({"scheme": "api-key", "secret": "k", "header": "Authorization", "prefix": "Bearer "})
    webhook.verify(bearer, request(authorization="Bearer s3cret"), "s3cret")
    with pytest.raises(SignatureInvalid):
        webhook.verify(bearer, request(authorization="s3cret"), "s3cret")
    basic = config({"scheme": "basic", "secret": "k"})
    webhook.verify(basic, request(authorization="Basic " + base64.b64encode(b"ada:pw").decode()), "ada:pw")
    with pytest.raises(SignatureInvalid):
        webhook.verify(basic, request(authorization="Basic " + base64.b64encode(b"ada:px").decode()), "ada:pw")


def test_the_replay_key_needs_a_signed_time() -> None:
    timed = config({"scheme": "hmac-sha256", "header": "X-Sig", "secret": "k", "timestamp_header": "X-Time"})
    first = webhook.replay_key(timed, request(x_time="1800000000"))
    assert first == webhook.replay_key(timed, request(x_time="1800000000"))
    assert first != webhook.replay_key(timed, request(x_time="1800000001"))
    assert webhook.replay_key(config({"scheme": "hmac-sha256", "header": "X-Sig", "secret": "k"}), request()) is None
    assert webhook.replay_key(config(), request()) is None


def test_what_is_handed_on() -> None:
    rule = config({"scheme": "hmac-sha256", "header": "X-Sig", "secret": "k"}, path="/orders/")
    heard = webhook.parse(rule, request(query="a=1&a=2&b=", x_sig="s", authorization="x", cookie="y", x_kind="z"))[0]
    assert (heard.source, heard.type, heard.index_keys, heard.data) == (
        "/webhooks/orders",
        "webhook",
        ("orders",),
        BODY,
    )
    assert json.loads(heard.attributes) == {
        "method": "POST",
        "path": "/api/v1/public/webhook/orders",
        "query": {"a": ["1", "2"], "b": ""},
        "headers": {"content-type": "application/json", "x-kind": "z"},
        "content_type": "application/json",
    }


def test_the_missions_names_and_paths() -> None:
    rule = config(webhook_path="/webhook/my-workflow", allowed_methods=["post", "PUT"])
    assert rule.methods == ("POST", "PUT")
    assert webhook.index_keys(rule) == ("webhook/my-workflow", "my-workflow")
    assert webhook.index_keys(config()) == ()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("X-Event-Id", "e1"),
        ("body.id", "evt_1"),
        ("$.id", "evt_1"),
        ("body.n", "7"),
        ("headers['x-event-id']", "e1"),
        ("body.missing", None),
        ("body", None),
        ("X-None", None),
        ("body.id + '/' + string(body.n)", "evt_1/7"),
        ("query.q", "1"),
    ],
)
def test_the_configured_key(key: str, expected: str | None) -> None:
    heard = webhook.parse(config(event_key=key), request(query="q=1", x_event_id="e1"))[0]
    assert heard.event_key == expected


def test_without_a_key_every_request_is_new_and_webhook_id_is_one() -> None:
    assert webhook.parse(config(), request())[0].event_key is None
    assert webhook.parse(config(), request(webhook_id="m1"))[0].event_key == "m1"
    assert webhook.parse(config(event_key="body.missing"), request(webhook_id="m1"))[0].event_key == "m1"
    assert len(webhook.parse(config(), request(webhook_id="m" * 500))[0].event_key or "") == 64


def test_equal_bodies_are_one_delivery_within_a_window_when_asked() -> None:
    rule = config(dedup={"by": "body-hash", "window": "10m"})
    first = webhook.parse(rule, request())[0].event_key
    assert first == webhook.parse(rule, request(at=NOW + 1))[0].event_key
    assert first != webhook.parse(rule, request(BODY + b" "))[0].event_key
    assert first != webhook.parse(rule, request(at=NOW + 600_000_000))[0].event_key
    assert webhook.parse(config(dedup="body-hash"), request())[0].event_key == first


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"signature": {"scheme": "hmac-sha256"}},
        {"signature": {"scheme": "hmac-sha256", "secret": "k"}},
        {"signature": "none", "path": "a b"},
        {"signature": "none", "path": "../x"},
        {"signature": "none", "methods": []},
        {"signature": "none", "methods": ["FETCH"]},
        {"signature": "none", "event_key": "body."},
        {"signature": {"scheme": "hmac-sha256", "header": "X", "secret": "k", "signed": "{id}"}},
        {"signature": {"scheme": "hmac-sha256", "header": "X", "secret": "k", "signed": "{timestamp}{body}"}},
        {"signature": {"scheme": "api-key"}},
        {"signature": "none", "paht": "x"},
    ],
)
def test_configurations_that_are_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        webhook.Config.model_validate(bad)


@pytest.mark.parametrize(
    ("signature", "headers", "sentence"),
    [
        ({"scheme": "hmac-sha256", "header": "X-Sig"}, {}, "`x-sig` with the signature is missing"),
        ({"scheme": "hmac-sha256", "header": "X-Sig"}, {"x_sig": "00"}, "does not fit the bytes"),
        ({"scheme": "api-key"}, {}, "`x-api-key` with the right key is missing"),
        ({"scheme": "api-key"}, {"x_api_key": "no"}, "`x-api-key` does not hold the right key"),
        ({"scheme": "basic"}, {"authorization": "Basic bm8="}, "does not hold the right user and password"),
    ],
)
def test_a_refusal_says_what_is_wrong(signature: dict[str, str], headers: dict[str, str], sentence: str) -> None:
    with pytest.raises(SignatureInvalid, match=sentence):
        webhook.verify(config({**signature, "secret": "k"}), request(**headers), "me:s3cret")

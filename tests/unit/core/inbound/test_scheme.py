"""Signature presets: the senders' own published examples, and what each must refuse."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from joserfc import jwk, jwt
from pydantic import ValidationError

from workflow_scheduler.core.errors import SignatureInvalid
from workflow_scheduler.core.inbound import scheme
from workflow_scheduler.core.inbound.presets import PRESETS, PROVIDERS
from workflow_scheduler.core.inbound.scheme import Signature
from workflow_scheduler.core.registry import PushRequest

NOW = 1_800_000_000
SECRET = "k" * 40
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
PUBLISHED = {
    "github": (  # https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
        "It's a Secret to Everybody", NOW, b"Hello, World!",
        {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"},
    ),
    "slack": (  # https://docs.slack.dev/authentication/verifying-requests-from-slack
        "8f742231b10e8888abcd99yyyzzz85a5", 1_531_420_618, SLACK_BODY,
        {
            "x-slack-request-timestamp": "1531420618",
            "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        },
    ),
    "standard-webhooks": (  # the example of the specification's libraries
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 1_614_265_330, b'{"test": 2432232314}',
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
    ),
}  # fmt: skip


def request(body: bytes = b'{"id": 1}', seconds: int = NOW, **headers: str) -> PushRequest:
    return PushRequest("POST", "/", "", headers, body, seconds * 1_000_000)


def rule(name: str, **more: object) -> Signature:
    given = {"header": "X-Sig"} if name.startswith("hmac-") else {}
    return Signature.model_validate({"scheme": name, "secret": "s", **given, **more})


def refused(one: Signature, given: PushRequest, secret: str | None = SECRET) -> str:
    with pytest.raises(SignatureInvalid) as caught:
        scheme.verify(one, given, secret)
    return caught.value.detail


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_example_passes(name: str) -> None:
    secret, seconds, body, headers = PUBLISHED[name]
    scheme.verify(rule(name), request(body, seconds, **headers), secret)
    refused(rule(name), request(body + b" ", seconds, **headers), secret)
    refused(rule(name), request(body, seconds, **headers), secret + "x")


def test_stripe_signs_time_and_body_and_may_list_several() -> None:
    body = b'{"id": "evt_1"}'
    good = hmac.new(SECRET.encode(), b"%d." % NOW + body, hashlib.sha256).hexdigest()
    for text in (f"t={NOW},v1={good}", f"t={NOW},v1={'0' * 64},v1={good}", f"t={NOW},v0=abc,v1={good}"):
        scheme.verify(rule("stripe"), request(body, **{"stripe-signature": text}), SECRET)
    for text in (f"v1={good}", f"t={NOW + 1},v1={good}", f"t={NOW},v0={good}", f"t={NOW}", "", ","):
        refused(rule("stripe"), request(body, **{"stripe-signature": text}))
    late = request(body, NOW + 301, **{"stripe-signature": f"t={NOW},v1={good}"})
    assert "300 s away" in refused(rule("stripe"), late)
    scheme.verify(rule("stripe", tolerance="10m"), late, SECRET)


def test_pagerduty_lists_a_signature_per_secret() -> None:
    good = hmac.new(SECRET.encode(), b"{}", hashlib.sha256).hexdigest()
    scheme.verify(rule("pagerduty"), request(b"{}", **{"x-pagerduty-signature": f"v1={'0' * 64},v1={good}"}), SECRET)
    refused(rule("pagerduty"), request(b"{}", **{"x-pagerduty-signature": f"v2={good}"}))


def test_shopify_writes_base64_and_gitlab_sends_the_secret() -> None:
    good = base64.b64encode(hmac.digest(SECRET.encode(), b"{}", "sha256")).decode()
    scheme.verify(rule("shopify"), request(b"{}", **{"x-shopify-hmac-sha256": good}), SECRET)
    scheme.verify(rule("gitlab"), request(**{"x-gitlab-token": SECRET}), SECRET)
    assert "does not hold the right key" in refused(rule("gitlab"), request(**{"x-gitlab-token": SECRET[:-1]}))


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "none"])
def test_what_sign_makes_verify_takes_and_nothing_else(name: str) -> None:
    one = rule(name)
    headers = scheme.sign(one, request(), SECRET)
    assert scheme.header_of(one) in headers
    scheme.verify(one, request(**headers), SECRET)
    refused(one, request())
    for secret in (None, "", SECRET[:-1]):
        refused(one, request(**headers), secret)
    if PRESETS[name].kind == "hmac":
        refused(one, request(b'{"id": 2}', **headers))


def token(claims: dict[str, object], key: object = None, alg: str = "HS256") -> dict[str, str]:
    used = key or jwk.OctKey.import_key(SECRET)
    return {"authorization": "Bearer " + jwt.encode({"alg": alg}, claims, used, algorithms=[alg])}


def by_hand(claims: dict[str, object], key: bytes) -> str:
    """Return the token of somebody who takes the public key for a shared one."""
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in ({"alg": "HS256"}, claims)]
    proof = base64.urlsafe_b64encode(hmac.digest(key, b".".join(parts), "sha256")).rstrip(b"=")
    return b".".join([*parts, proof]).decode()


def test_a_token_must_be_in_time_and_for_us() -> None:
    one = rule("jwt", issuer="https://shop", audience="orders", tolerance="5s")
    claims = {"exp": NOW + 60, "iss": "https://shop", "aud": ["orders", "x"]}
    scheme.verify(one, request(**token(claims)), SECRET)
    assert "expired" in refused(one, request(**token({**claims, "exp": NOW - 5})))
    assert "not valid yet" in refused(one, request(**token({**claims, "nbf": NOW + 6})))
    assert "issuer" in refused(one, request(**token({**claims, "iss": "https://other"})))
    assert "audience" in refused(one, request(**token({**claims, "aud": "x"})))
    for exp in (None, "soon", True, 10**400):
        assert "when it expires" in refused(one, request(**token({**claims, "exp": exp})))
    refused(one, request(authorization="Basic abc"))
    refused(one, request(authorization="Bearer a.b.c"))
    refused(one, request(authorization="Bearer "))


def test_a_token_is_taken_as_it_was_written_only() -> None:
    one = rule("jwt")
    text = token({"exp": NOW + 60})["authorization"]
    scheme.verify(one, request(authorization=text), SECRET)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for last in letters.replace(text[-1], ""):
        refused(one, request(authorization=text[:-1] + last))
    for changed in (text + "=", text + "*", text + " ", text[:-4] + "*" + text[-4:], text + "\xe9"):
        refused(one, request(authorization=changed))


@pytest.mark.parametrize("alg", ["RS256", "ES256"])
def test_a_public_key_checks_tokens_and_never_makes_them(alg: str) -> None:
    private = jwk.RSAKey.generate_key(2048) if alg == "RS256" else jwk.ECKey.generate_key("P-256")
    pem = private.as_pem(private=False).decode()
    claims = {"exp": NOW + 60}
    one = rule("jwt")
    scheme.verify(one, request(**token(claims, private, alg)), pem)
    refused(one, request(authorization="Bearer " + by_hand(claims, pem.encode())), pem)
    if alg == "RS256":
        both = jwk.KeySet([private])
        scheme.verify(one, request(**token(claims, private, alg)), json.dumps(both.as_dict(private=False)))
        refused(one, request(**token(claims)), json.dumps(both.as_dict(private=False)))
    assert "no key" in refused(one, request(**token(claims)), "-----BEGIN PUBLIC KEY-----\nabc")
    assert "no key" in refused(one, request(**token(claims)), '{"kty": "x"}')


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scheme": "stripe"}, "needs a `secret`"),
        ({"scheme": "hmac-sha256", "secret": "s"}, "needs the `header`"),
        ({"scheme": "github", "secret": "s", "prefix": "x="}, "has no `prefix`"),
        ({"scheme": "stripe", "secret": "s", "issuer": "x"}, "has no `issuer`"),
        ({"scheme": "hmac-sha1", "secret": "s", "header": "X", "signed": "{timestamp}"}, "must contain `{body}`"),
        ({"scheme": "hmac-sha1", "secret": "s", "header": "X", "signed": "{timestamp}{body}"}, "`timestamp_header`"),
    ],
)
def test_what_cannot_protect_is_refused(given: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("{", r"\{").replace("}", r"\}")):
        Signature.model_validate(given)


def test_a_replay_key_is_there_where_the_time_is_signed() -> None:
    timed = {name for name in PRESETS if name != "none" and scheme.replay_key(rule(name), request())}
    assert timed == {"slack", "stripe", "standard-webhooks"}
    own = rule("hmac-sha256", timestamp_header="X-Time")
    assert scheme.replay_key(own, request(**{"x-time": "1"})) != scheme.replay_key(own, request(**{"x-time": "2"}))
    assert set(PROVIDERS) == {"github", "slack", "stripe", "pagerduty", "shopify", "gitlab"}

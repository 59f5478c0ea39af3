"""Tokens on the whole service: every way to forge one, and an issuer whose keys come over HTTP and change."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwk, jwt

from workflow_scheduler.api.tokens import TokenVerifier
from workflow_scheduler.app import Application
from workflow_scheduler.core.errors import Unauthenticated, Unavailable
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.clock import NOON, FakeClock

LATER = 4_000_000_000
CLAIMS = {"sub": "ann", "tenant_id": "acme", "role": "editor", "exp": LATER, "iss": "https://id.test", "aud": "wfs"}
SECRET = "a shared secret that is long enough, surely"


def rsa_key():
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def pem(key):
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def private(key, **facts):
    text = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return jwk.RSAKey.import_key(text, facts)


def encoded(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def by_hand(header, claims, sign):
    """Return a token whose parts are exactly those given; `claims` may be text that no library would write."""
    whole = f"{encoded(header)}.{encoded(claims)}"
    return f"{whole}.{base64.urlsafe_b64encode(sign(whole.encode())).rstrip(b'=').decode()}"


def shared(key):
    return lambda text: hmac.digest(key.encode(), text, hashlib.sha256)


KEY = rsa_key()
SETTINGS = {"jwt_public_key": pem(KEY), "jwt_secret": SECRET, "jwt_issuer": "https://id.test", "jwt_audience": "wfs"}


@pytest.fixture
async def ask(tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path, **SETTINGS))
    await application.start()
    client = AsgiClient(application.asgi(), {"host": "anywhere.test"})

    async def status(token):
        reply = await client.get("/api/v1/workflows", headers={"authorization": f"Bearer {token}"})
        assert reply.status == 200 or reply.headers["www-authenticate"].startswith("Bearer")
        assert token not in reply.text
        return reply.status

    yield status
    await application.stop()


async def test_right_tokens_of_both_kinds_are_taken(ask):
    assert await ask(jwt.encode({"alg": "HS256"}, CLAIMS, jwk.OctKey.import_key(SECRET))) == 200
    assert await ask(jwt.encode({"alg": "RS256"}, CLAIMS, private(KEY))) == 200
    assert await ask(jwt.encode({"alg": "RS256"}, {**CLAIMS, "aud": ["other", "wfs"]}, private(KEY))) == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1}, {"exp": None}, {"exp": True}, {"exp": "soon"}, {"exp": -1}, {"exp": [LATER]}, {"exp": {}},
        {"nbf": LATER - 1}, {"nbf": "x"}, {"iat": LATER - 1},
        {"iss": "https://other.test"}, {"iss": None}, {"iss": ["https://id.test"]}, {"iss": "https://id.test/"},
        {"aud": "other"}, {"aud": None}, {"aud": []}, {"aud": ["other"]},
        {"sub": None}, {"sub": ""}, {"sub": ["ann"]}, {"sub": "a\nb"}, {"sub": "x" * 300},
        {"tenant_id": None}, {"tenant_id": ""}, {"tenant_id": "*"}, {"tenant_id": {"a": 1}}, {"role": ["owner"]},
    ],
    ids=str,
)  # fmt: skip
async def test_claims_that_do_not_fit_are_refused(ask, claims):
    given = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    assert await ask(by_hand({"alg": "HS256"}, given, shared(SECRET))) == 401


@pytest.mark.parametrize(
    "text",
    [
        '{"exp": 1e400, "sub": "a", "tenant_id": "acme", "iss": "https://id.test", "aud": "wfs"}',
        '{"exp": Infinity, "sub": "a", "tenant_id": "acme", "iss": "https://id.test", "aud": "wfs"}',
        '{"exp": NaN, "sub": "a", "tenant_id": "acme", "iss": "https://id.test", "aud": "wfs"}',
        "[]", "null", '"text"', "", "{", "[" * 5_000, '{"exp": ' + "9" * 5_000 + "}",
    ],
    ids=range(10),
)  # fmt: skip
async def test_claims_that_are_hardly_json_are_refused(ask, text):
    assert await ask(by_hand({"alg": "HS256"}, text, shared(SECRET))) == 401


async def test_no_other_key_or_algorithm_forges_a_token(ask):
    other, public = rsa_key(), pem(KEY)
    right = jwt.encode({"alg": "RS256"}, CLAIMS, private(KEY))
    head, body, signature = right.split(".")
    own = private(other).as_dict(private=False)
    forged = [
        by_hand({"alg": "HS256"}, CLAIMS, shared(public)),
        by_hand({"alg": "HS256"}, CLAIMS, shared(public.strip())),
        by_hand({"alg": "none"}, CLAIMS, lambda _: b""),
        by_hand({"alg": "None"}, CLAIMS, lambda _: b""),
        by_hand({"alg": ""}, CLAIMS, lambda _: b""),
        by_hand({}, CLAIMS, shared(SECRET)),
        by_hand({"alg": "HS384"}, CLAIMS, lambda text: hmac.digest(SECRET.encode(), text, "sha384")),
        by_hand({"alg": ["HS256"]}, CLAIMS, shared(SECRET)),
        by_hand({"alg": "HS256", "crit": ["b64"], "b64": False}, CLAIMS, shared(SECRET)),
        by_hand({"alg": "HS256"}, CLAIMS, shared("")),
        jwt.encode({"alg": "RS256"}, CLAIMS, private(other)),
        jwt.encode({"alg": "RS256", "jwk": own}, CLAIMS, private(other)),
        jwt.encode({"alg": "RS256", "jku": "https://evil.test/jwks.json"}, CLAIMS, private(other)),
        jwt.encode({"alg": "RS256", "kid": "../../dev/null"}, CLAIMS, private(other)),
        jwt.encode({"alg": "PS256"}, CLAIMS, private(KEY), algorithms=["PS256"]),
        f"{head}.{body}.", f"{head}.{body}", f"{head}..{signature}", f".{body}.{signature}", f"{right}.x", "..",
        f"{head}.{encoded({**CLAIMS, 'tenant_id': 'other'})}.{signature}",
        f"{head}.{body}.{signature[:-4]}AAAA",
    ]  # fmt: skip
    for token in forged:
        assert await ask(token) == 401, token


class Issuer:
    """An issuer whose key set is served over HTTP on this machine."""

    def __init__(self):
        self.keys = {}
        self.status = 200
        self.asked = 0
        self.text = None

    async def serve(self, _request):
        self.asked += 1
        if self.text is not None:
            return web.Response(text=self.text, content_type="application/json")
        found = [private(key, kid=name).as_dict(private=False) for name, key in self.keys.items()]
        return web.json_response({"keys": found}, status=self.status)

    def token(self, name):
        return jwt.encode({"alg": "RS256", "kid": name}, CLAIMS, private(self.keys[name], kid=name))


async def moved(_request):
    return web.Response(status=302, headers={"location": "http://169.254.169.254/jwks.json"})


@pytest.fixture
async def issuer():
    made = Issuer()
    app = web.Application()
    app.router.add_get("/jwks.json", made.serve)
    app.router.add_get("/moved", moved)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    yield made
    await runner.cleanup()


@pytest.fixture
async def verifier(issuer):
    opened = []

    def make(path="/jwks.json", allow=("127.0.0.1",)):
        client = HttpClient(EgressGuard(allow))
        opened.append(client)
        return TokenVerifier(Settings(_env_file=None, jwt_jwks_url=issuer.url + path), client)

    yield make
    for client in opened:
        await client.close()


async def test_keys_of_the_issuer_are_read_kept_and_rotated(issuer, verifier):
    checks, clock = verifier(), FakeClock()
    issuer.keys["one"] = rsa_key()
    for _ in range(3):
        principal, _ = await checks.verify(issuer.token("one"), clock.now())
    assert (principal.tenant_id, principal.method, issuer.asked) == ("acme", "jwt", 1)
    issuer.keys["two"] = rsa_key()
    with pytest.raises(Unauthenticated):
        await checks.verify(issuer.token("two"), clock.now())
    assert issuer.asked == 1, "unknown key ids do not make the service ask at will"
    await clock.advance(61)
    await checks.verify(issuer.token("two"), clock.now())
    await checks.verify(issuer.token("one"), clock.now())
    assert issuer.asked == 2
    gone = issuer.token("one")
    del issuer.keys["one"]
    await clock.advance(3_601)
    with pytest.raises(Unauthenticated):
        await checks.verify(gone, clock.now())


async def test_an_issuer_that_fails_is_not_a_fault_of_ours(issuer, verifier):
    clock = FakeClock()
    issuer.keys["one"] = rsa_key()
    for status, text in ((500, None), (200, "not JSON"), (200, "[]"), (200, '{"keys": 5}'), (200, '{"keys": [{}]}')):
        issuer.status, issuer.text = status, text
        with pytest.raises((Unavailable, Unauthenticated)):
            await verifier().verify(issuer.token("one"), clock.now())
    issuer.status, issuer.text = 200, None
    checks = verifier()
    await checks.verify(issuer.token("one"), clock.now())
    issuer.status = 500
    await clock.advance(3_601)
    await checks.verify(issuer.token("one"), clock.now())


async def test_a_shared_secret_inside_a_key_set_signs_nothing(issuer, verifier):
    issuer.text = json.dumps({"keys": [{"kty": "oct", "k": encoded(SECRET), "kid": "s"}]})
    token = by_hand({"alg": "HS256", "kid": "s"}, CLAIMS, shared(SECRET))
    with pytest.raises(Unauthenticated):
        await verifier().verify(token, NOON)


async def test_the_key_set_is_fetched_through_the_egress_guard(issuer, verifier):
    issuer.keys["one"] = rsa_key()
    with pytest.raises(Unavailable) as refused:
        await verifier(allow=()).verify(issuer.token("one"), NOON)
    assert "WFS_EGRESS_ALLOW" in refused.value.fix
    with pytest.raises(Unavailable):
        await verifier("/moved").verify(issuer.token("one"), NOON)
    assert issuer.asked == 0

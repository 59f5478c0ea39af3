"""Who is let in, and as whom."""

from __future__ import annotations

import base64
import hmac
import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwk, jwt

from workflow_scheduler.api.security import CACHE_SECONDS, Authenticator, check_bind
from workflow_scheduler.api.tokens import TokenVerifier
from workflow_scheduler.core.errors import Forbidden, NotConnected, Unauthenticated, Unavailable, ValidationFailed
from workflow_scheduler.core.ports.resources import HttpReply
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.services.keys import KeyOwner, digest
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.clock import NOON, FakeClock

KEY = "wfs_0123456789abcdef0123456789abcdef"
SECRET = "a shared secret that is long enough, surely"
NOW = NOON // SECOND_US
CLAIMS = {"sub": "ann", "tenant_id": "acme", "role": "editor", "exp": NOW + 600}


def bearer(token):
    return [(b"authorization", b"Bearer " + token.encode()), (b"host", b"example.test")]


def settings_of(**more):
    return Settings(_env_file=None, **more)


class Keys:
    def __init__(self, **owners):
        self.owners = {digest(KEY): KeyOwner("acme", "ann", "editor", **owners)} if owners is not None else {}
        self.asked = 0

    async def owner(self, key_digest):
        self.asked += 1
        return self.owners.get(key_digest)

    async def any_active(self):
        return bool(self.owners)


async def opened(settings=None, keys=None, tokens=None, clock=None):
    authenticator = Authenticator(settings or settings_of(), keys or Keys(), clock or FakeClock(), tokens)
    await authenticator.start()
    return authenticator


@pytest.mark.parametrize("header", [(b"authorization", b"Bearer " + KEY.encode()), (b"x-api-key", KEY.encode())])
async def test_a_key_names_tenant_user_and_role(header):
    principal = await (await opened()).authenticate([header])
    assert (principal.tenant_id, principal.user_id, principal.role, principal.method) == (
        "acme", "ann", "editor", "api_key",
    )  # fmt: skip


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"Bearer wfs_unknown")],
        [(b"x-api-key", b"wfs_unknown")],
        [(b"x-api-key", b"something else")],
        [(b"authorization", b"Basic YTpi")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer \xff\xfe")],
        [(b"authorization", b"Bearer " + b"a" * 9_000)],
        [(b"authorization", b"Bearer eyJhbGciOiJub25lIn0.e30.")],
    ],
)
async def test_anything_else_is_unauthenticated(headers):
    with pytest.raises(Unauthenticated):
        await (await opened()).authenticate(headers)


async def test_a_key_is_looked_up_once_in_a_while():
    keys, clock = Keys(), FakeClock()
    authenticator = await opened(keys=keys, clock=clock)
    for _ in range(5):
        await authenticator.authenticate(bearer(KEY))
    assert keys.asked == 1
    await clock.advance(CACHE_SECONDS + 1)
    await authenticator.authenticate(bearer(KEY))
    assert keys.asked == 2


async def test_a_revoked_key_stops_at_once_here_and_soon_elsewhere():
    keys, clock = Keys(), FakeClock()
    here, elsewhere = await opened(keys=keys, clock=clock), await opened(keys=keys, clock=clock)
    await here.authenticate(bearer(KEY))
    await elsewhere.authenticate(bearer(KEY))
    keys.owners.clear()
    here.forget()
    with pytest.raises(Unauthenticated):
        await here.authenticate(bearer(KEY))
    await clock.advance(CACHE_SECONDS + 1)
    with pytest.raises(Unauthenticated):
        await elsewhere.authenticate(bearer(KEY))


async def test_a_key_expires_even_while_it_is_remembered():
    clock = FakeClock()
    authenticator = await opened(keys=Keys(expires_at=NOON + 5 * SECOND_US), clock=clock)
    await authenticator.authenticate(bearer(KEY))
    await clock.advance(6)
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(bearer(KEY))


async def open_service():
    keys = Keys()
    keys.owners.clear()
    return await opened(keys=keys)


async def test_without_keys_this_machine_is_the_local_tenant():
    authenticator = await open_service()
    assert (await authenticator.authenticate([(b"host", b"127.0.0.1:8003")])).tenant_id == "local"
    assert (await authenticator.authenticate([(b"host", b"[::1]:8003")])).tenant_id == "local"
    forwarded = await authenticator.authenticate([(b"host", b"localhost"), (b"authorization", b"Bearer abc.def.ghi")])
    assert (forwarded.tenant_id, forwarded.bearer) == ("local", "abc.def.ghi")


@pytest.mark.parametrize(
    "headers",
    [
        [(b"host", b"evil.test")],
        [(b"host", b"127.0.0.1.evil.test:8003")],
        [(b"host", b"localhost:8003"), (b"origin", b"https://evil.test")],
        [(b"host", b"localhost:8003"), (b"origin", b"null")],
        [(b"host", b"localhost:8003"), (b"sec-fetch-site", b"cross-site")],
    ],
)
async def test_a_web_page_cannot_use_the_open_local_tenant(headers):
    with pytest.raises(Forbidden):
        await (await open_service()).authenticate(headers)


async def test_the_first_key_closes_the_open_service():
    authenticator = await open_service()
    authenticator.key_created()
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate([(b"host", b"localhost")])


def test_binding_beyond_this_machine_needs_authentication():
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.test"):
        with pytest.raises(ValidationFailed, match="refusing to listen"):
            check_bind(settings_of(host=host), has_keys=False)
        assert check_bind(settings_of(host=host), has_keys=True) is None
        assert check_bind(settings_of(host=host, jwt_secret=SECRET), has_keys=False) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost", "x.localhost"])
def test_on_loopback_it_says_who_is_served(host):
    assert "local" in check_bind(settings_of(host=host), has_keys=False)
    assert check_bind(settings_of(host=host), has_keys=True) is None


def hs256(claims, secret=SECRET, **header):
    return jwt.encode({"alg": "HS256", **header}, claims, jwk.OctKey.import_key(secret))


async def verify(token, outbound=None, **more):
    return await TokenVerifier(settings_of(**more), outbound).verify(token, NOON)


async def test_a_shared_secret_token_names_tenant_user_and_role():
    principal, expires_at = await verify(hs256(CLAIMS), jwt_secret=SECRET)
    assert (principal.tenant_id, principal.user_id, principal.role) == ("acme", "ann", "editor")
    assert principal.method == "jwt"
    assert expires_at == (NOW + 600) * SECOND_US


@pytest.mark.parametrize(
    "change",
    [
        {"exp": NOW - 60},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": NOW + 600},
        {"iss": "https://other.test"},
        {"aud": "other"},
        {"tenant_id": None},
        {"tenant_id": {"a": 1}},
        {"tenant_id": "a\x00b"},
        {"tenant_id": "x" * 300},
        {"sub": None},
    ],
)
async def test_claims_that_do_not_fit_are_refused(change):
    claims = {**CLAIMS, "iss": "https://id.test", "aud": "wfs", **change}
    claims = {name: value for name, value in claims.items() if value is not None}
    with pytest.raises(Unauthenticated):
        await verify(hs256(claims), jwt_secret=SECRET, jwt_issuer="https://id.test", jwt_audience="wfs")


async def test_every_mutation_of_a_token_is_refused():
    token = hs256(CLAIMS)
    verifier = TokenVerifier(settings_of(jwt_secret=SECRET))
    for place in range(len(token)):
        for letter in ("A", "_", "."):
            mutated = token[:place] + letter + token[place + 1 :]
            if _same_bytes(mutated, token):
                continue
            with pytest.raises(Unauthenticated):
                await verifier.verify(mutated, NOON)


def _same_bytes(one, other):
    """Whether both decode to the same bytes: the last character of base64 has bits that mean nothing."""
    try:
        return [base64.urlsafe_b64decode(part + "==") for part in one.split(".")] == [
            base64.urlsafe_b64decode(part + "==") for part in other.split(".")
        ]
    except ValueError:
        return False


async def test_another_secret_or_no_signature_is_refused():
    with pytest.raises(Unauthenticated):
        await verify(hs256(CLAIMS, secret=SECRET + "!"), jwt_secret=SECRET)
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    body = base64.urlsafe_b64encode(json.dumps(CLAIMS).encode()).decode().rstrip("=")
    with pytest.raises(Unauthenticated):
        await verify(f"{head}.{body}.", jwt_secret=SECRET)


@pytest.fixture(scope="module")
def pair():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return jwk.RSAKey.import_key(private, {"kid": "one"}), public.decode()


async def test_a_public_key_token_is_accepted_and_cannot_be_forged_with_that_key_as_a_secret(pair):
    private, public = pair
    token = jwt.encode({"alg": "RS256"}, CLAIMS, private)
    principal, _ = await verify(token, jwt_public_key=public)
    assert principal.tenant_id == "acme"
    signed = ".".join(_packed(json.dumps(part).encode()) for part in ({"alg": "HS256"}, CLAIMS))
    confused = f"{signed}.{_packed(hmac.digest(public.encode(), signed.encode(), 'sha256'))}"
    with pytest.raises(Unauthenticated):
        await verify(confused, jwt_public_key=public)


def _packed(content):
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


class Issuer:
    """Serves a key set, or fails."""

    def __init__(self, *keys):
        self.keys = list(keys)
        self.asked = 0
        self.down = False

    async def send(self, request):
        self.asked += 1
        if self.down:
            raise NotConnected
        body = json.dumps({"keys": [key.as_dict(private=False) for key in self.keys]}).encode()
        return HttpReply(status=200, headers={}, body=body, url=request.url)


async def test_a_key_set_is_read_once_and_again_when_a_key_is_new(pair):
    private, _ = pair
    issuer = Issuer(private)
    verifier = TokenVerifier(settings_of(jwt_jwks_url="https://id.test/keys"), issuer)
    token = jwt.encode({"alg": "RS256", "kid": "one"}, CLAIMS, private)
    for _ in range(3):
        await verifier.verify(token, NOON)
    assert issuer.asked == 1
    newer = jwk.RSAKey.generate_key(2048, {"kid": "two"})
    issuer.keys.append(newer)
    fresh = jwt.encode({"alg": "RS256", "kid": "two"}, CLAIMS, newer)
    with pytest.raises(Unauthenticated):
        await verifier.verify(fresh, NOON)
    await verifier.verify(fresh, NOON + 61 * SECOND_US)
    assert issuer.asked == 2


async def test_an_issuer_that_is_down_is_no_reason_to_forget_its_keys(pair):
    private, _ = pair
    issuer = Issuer(private)
    verifier = TokenVerifier(settings_of(jwt_jwks_url="https://id.test/keys"), issuer)
    token = jwt.encode({"alg": "RS256", "kid": "one"}, {**CLAIMS, "exp": NOW + 90_000}, private)
    issuer.down = True
    with pytest.raises(Unavailable):
        await verifier.verify(token, NOON)
    issuer.down = False
    await verifier.verify(token, NOON)
    issuer.down = True
    await verifier.verify(token, NOON + 7_200 * SECOND_US)


def test_keys_that_cannot_be_used_are_refused_at_the_start():
    with pytest.raises(ValidationFailed, match="shorter"):
        TokenVerifier(settings_of(jwt_secret="short"))
    with pytest.raises(ValidationFailed, match="cannot be read"):
        TokenVerifier(settings_of(jwt_public_key="not a key"))

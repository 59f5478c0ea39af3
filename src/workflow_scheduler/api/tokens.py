"""Signed tokens (JWT) of the installation's own issuer: HS256, RS256 and key sets (JWKS)."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from joserfc import jwk, jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwt import JWTClaimsRegistry

from workflow_scheduler.core.errors import EgressRefused, SchedulerError, Unauthenticated, Unavailable, ValidationFailed
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.resources import HttpRequest, Outbound
from workflow_scheduler.core.time.clock import MINUTE_US, SECOND_US
from workflow_scheduler.settings import Settings

SHARED_ALGORITHMS = ("HS256",)
PUBLIC_ALGORITHMS = ("RS256",)
SECRET_BYTES_MIN = 32
EVERY_TENANT = "*"  # what PostgreSQL's row security takes for the service itself; nobody may be called so
JWKS_PAUSE_US = MINUTE_US
JWKS_AGE_MAX_US = 60 * MINUTE_US
IDENTIFIER_CHARACTERS_MAX = 255
_STATUS_OK = 200


class TokenVerifier:
    """Checks signature, time, issuer and audience, and reads tenant, user and role out of the claims."""

    def __init__(self, settings: Settings, outbound: Outbound | None = None) -> None:
        """Take the keys from `settings`; the issuer's key set is read through `outbound`.

        Raises:
            ValidationFailed: a key cannot be read, or the shared secret is too short to be safe.

        """
        self._settings = settings
        self._outbound = outbound
        self._tenant_claims = [name.strip() for name in settings.jwt_tenant_claim.split(",") if name.strip()]
        self._secret = _shared_key(settings.jwt_secret.get_secret_value())
        self._public = _public_key(settings.jwt_public_key)
        self._key_set: jwk.KeySet | None = None
        self._read_at: int | None = None

    async def verify(self, token: str, now: int) -> tuple[Principal, int]:
        """Return the caller and when the token expires (microseconds UTC).

        Raises:
            Unauthenticated: signature, time, issuer, audience or claims do not fit.
            Unavailable: the issuer's key set cannot be read now.

        """
        claims = self._checked(await self._decoded(token, now), now)
        principal = Principal(
            tenant_id=self._tenant(claims),
            user_id=_identifier(claims.get(self._settings.jwt_user_claim), "user"),
            role=_identifier(claims.get(self._settings.jwt_role_claim) or "member", "role"),
            method="jwt",
            bearer=token,
        )
        return principal, int(claims["exp"]) * SECOND_US

    async def _decoded(self, token: str, now: int) -> dict[str, Any]:
        algorithm, key_id = _announced(token)
        if algorithm in SHARED_ALGORITHMS and self._secret is not None:
            return _decode(token, self._secret, SHARED_ALGORITHMS)
        if algorithm in PUBLIC_ALGORITHMS:
            if self._public is not None and not self._settings.jwt_jwks_url:
                return _decode(token, self._public, PUBLIC_ALGORITHMS)
            if self._settings.jwt_jwks_url:
                return _decode(token, await self._keys(key_id, now), PUBLIC_ALGORITHMS)
        raise Unauthenticated("the token is signed in a way that is not accepted here")

    async def _keys(self, key_id: str | None, now: int) -> jwk.KeySet:
        """Return the issuer's key set; it is read again when it is old, or lacks `key_id` (once a minute at most)."""
        known = self._key_set is not None and (key_id is None or any(k.kid == key_id for k in self._key_set.keys))
        age = None if self._read_at is None else now - self._read_at
        stale = age is None or age > JWKS_AGE_MAX_US or (not known and age > JWKS_PAUSE_US)
        if stale and self._outbound is not None:
            self._read_at = now
            try:
                self._key_set = await _read_key_set(self._outbound, self._settings.jwt_jwks_url)
            except SchedulerError as error:
                if self._key_set is None:
                    self._read_at = None
                    fix = error.fix if isinstance(error, EgressRefused) else None
                    raise Unavailable("the issuer's key set (JWT_JWKS_URL) cannot be read now", fix=fix) from None
        if self._key_set is None:
            raise Unavailable("the issuer's key set (JWT_JWKS_URL) has not been read yet")
        return self._key_set

    def _checked(self, claims: dict[str, Any], now: int) -> dict[str, Any]:
        rules: dict[str, Any] = {"exp": {"essential": True}}
        if self._settings.jwt_issuer:
            rules["iss"] = {"essential": True, "value": self._settings.jwt_issuer}
        if self._settings.jwt_audience:
            rules["aud"] = {"essential": True, "value": self._settings.jwt_audience}
        registry = JWTClaimsRegistry(now=now // SECOND_US, leeway=self._settings.jwt_leeway_seconds, **rules)
        try:
            registry.validate(claims)
        except ExpiredTokenError:
            raise Unauthenticated("the token has expired", fix="get a new one from its issuer") from None
        except (JoseError, TypeError, ValueError) as error:
            raise Unauthenticated(f"the token is not valid here: {error}") from None
        return claims

    def _tenant(self, claims: dict[str, Any]) -> str:
        for name in self._tenant_claims:
            if claims.get(name) not in (None, ""):
                tenant = _identifier(claims[name], "tenant")
                if tenant == EVERY_TENANT:
                    break
                return tenant
        raise Unauthenticated(
            "the token names no usable tenant",
            fix=f"let its issuer set one of the claims: {', '.join(self._tenant_claims)}",
        )


def _announced(token: str) -> tuple[str, str | None]:
    """Return the algorithm and key id in the token's header; neither is trusted, they only choose the key."""
    try:
        head = token.split(".", 1)[0].encode("ascii")
        header = msgspec.json.decode(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)), type=dict[str, Any])
    except (ValueError, RecursionError):
        raise Unauthenticated("the bearer token is neither an API key nor a signed token") from None
    key_id = header.get("kid")
    return str(header.get("alg", "")), key_id if isinstance(key_id, str) else None


def _decode(token: str, key: Any, algorithms: tuple[str, ...]) -> dict[str, Any]:
    try:
        claims = jwt.decode(token, key, algorithms=list(algorithms)).claims
    except (JoseError, ValueError, TypeError, RecursionError):
        raise Unauthenticated("the token's signature does not fit") from None
    if not isinstance(claims, dict):
        raise Unauthenticated("the token holds no claims")
    return claims


def _identifier(value: object, what: str) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not text or len(text) > IDENTIFIER_CHARACTERS_MAX or not text.isprintable():
        raise Unauthenticated(f"the token names no usable {what}")
    return text


def _shared_key(secret: str) -> jwk.OctKey | None:
    if not secret:
        return None
    if len(secret.encode()) < SECRET_BYTES_MIN:
        raise ValidationFailed(
            f"JWT_SECRET is shorter than {SECRET_BYTES_MIN} bytes: its tokens could be forged", fix="use a longer one"
        )
    try:
        return jwk.OctKey.import_key(secret)
    except (JoseError, ValueError) as error:
        raise ValidationFailed(f"JWT_SECRET cannot be used: {error}", fix="a public key is JWT_PUBLIC_KEY") from None


def _public_key(pem: str) -> jwk.RSAKey | None:
    if not pem:
        return None
    try:
        return jwk.RSAKey.import_key(pem.replace("\\n", "\n"))
    except (JoseError, ValueError) as error:
        raise ValidationFailed(f"JWT_PUBLIC_KEY cannot be read: {error}", fix="give an RSA public key as PEM") from None


async def _read_key_set(outbound: Outbound, url: str) -> jwk.KeySet:
    reply = await outbound.send(HttpRequest(method="GET", url=url, timeout_seconds=10.0))
    if reply.status != _STATUS_OK:
        raise Unavailable(f"the issuer's key set (JWT_JWKS_URL) answered {reply.status}")
    try:
        return jwk.KeySet.import_key_set(msgspec.json.decode(reply.body))
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise Unavailable("the issuer's key set (JWT_JWKS_URL) cannot be understood") from None

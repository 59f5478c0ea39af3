"""Signed tokens (JWT) as the proof of a webhook's sender: the token is checked, the body is not covered by it.

The secret says which algorithms are taken, so that a public key can never be used as a shared one: a text is the key of
HS256, HS384 and HS512; a PEM or JWK public key is one of RS256, PS256, ES256 or EdDSA; a JWK set holds several.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from workflow_scheduler.core.errors import SignatureInvalid

if TYPE_CHECKING:
    from joserfc import jwk

SHARED = ("HS256", "HS384", "HS512")
PUBLIC = {"RSA": ("RS256", "PS256", "RS384", "RS512"), "EC": ("ES256", "ES384", "ES512"), "OKP": ("EdDSA", "Ed25519")}
SHARED_BYTES_MIN = 32
TOKEN_CHARACTERS_MAX = 16_384
SECOND_US = 1_000_000
_SECONDS_MAX = 10.0**12
_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
_WRONG = "The token's signature is not right."


def check_token(
    token: str, secret: str, now: int, *, tolerance_seconds: float, issuer: str | None, audience: str | None
) -> dict[str, Any]:
    """Return the claims of a token whose signature, time, issuer and audience fit. `now` in microseconds.

    Raises:
        SignatureInvalid: one of them does not, the token has no `exp`, or the secret is no key.

    """
    from joserfc import jwt
    from joserfc.errors import JoseError

    if len(token) > TOKEN_CHARACTERS_MAX or not _is_canonical(token):
        raise SignatureInvalid(_WRONG)
    key, algorithms = _key(secret)
    try:
        decoded = jwt.decode(token, key, algorithms=list(algorithms))
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        raise SignatureInvalid(_WRONG) from None
    claims = decoded.claims
    if not isinstance(claims, dict):
        raise SignatureInvalid(_WRONG)
    _check_times(claims, now / SECOND_US, tolerance_seconds)
    if issuer is not None and claims.get("iss") != issuer:
        raise SignatureInvalid(f"The token is not from the issuer `{issuer}`.")
    given = claims.get("aud")
    if audience is not None and audience not in (given if isinstance(given, list) else [given]):
        raise SignatureInvalid(f"The token is not for the audience `{audience}`.")
    return claims


def make_token(claims: dict[str, Any], secret: str) -> str:
    """Return a token signed with a shared secret by HS256."""
    from joserfc import jwk, jwt

    return jwt.encode({"alg": "HS256"}, claims, jwk.OctKey.import_key(_padded(secret)))


def _check_times(claims: dict[str, Any], now: float, tolerance: float) -> None:
    expires, not_before = _number(claims.get("exp")), _number(claims.get("nbf", 0))
    if expires is None or not_before is None:
        raise SignatureInvalid("The token does not say when it expires (`exp`).")
    if now >= expires + tolerance:
        raise SignatureInvalid("The token has expired.", fix="Check the clocks of both sides.")
    if now < not_before - tolerance:
        raise SignatureInvalid("The token is not valid yet.", fix="Check the clocks of both sides.")


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _SECONDS_MAX:
        return None
    return float(value)


def _is_canonical(token: str) -> bool:
    """Return whether the token is written as its signer wrote it: base64url can say the same in several ways."""
    proof = token.rpartition(".")[2]
    if not proof or not _LETTERS.issuperset(proof):
        return False
    try:
        plain = base64.urlsafe_b64decode(proof + "=" * (-len(proof) % 4))
    except ValueError:
        return False
    return base64.urlsafe_b64encode(plain).rstrip(b"=").decode() == proof


@lru_cache(256)
def _key(secret: str) -> tuple[Any, tuple[str, ...]]:
    """Return the key, or what chooses one by a token's header, and the algorithms it may be used with."""
    from joserfc import jwk
    from joserfc.errors import JoseError

    text = secret.strip()
    try:
        if text.startswith("-----BEGIN"):
            return _public(_from_pem(text))
        if text.startswith("{"):
            value = json.loads(text)
            if "keys" in value:
                return _chooser(jwk.KeySet.import_key_set(value)), tuple(sum(PUBLIC.values(), ()))
            return _public(jwk.import_key(value))
        return jwk.OctKey.import_key(_padded(secret)), SHARED
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        raise SignatureInvalid(
            "The secret of this trigger is no key.", fix="Store a shared secret, a PEM or JWK public key, or a JWK set."
        ) from None


def _padded(secret: str) -> bytes:
    """Return the bytes of a shared secret; HMAC fills short keys up with zeros, so that this changes no signature."""
    return secret.encode("utf-8", "surrogateescape").ljust(SHARED_BYTES_MIN, b"\0")


def _public(key: Any) -> tuple[Any, tuple[str, ...]]:
    return key, PUBLIC[key.key_type]


def _chooser(keys: jwk.KeySet) -> Callable[[Any], Any]:
    """Return a function that joserfc asks for the key of a token: by `kid` and kind, never a shared one."""

    def choose(token: Any) -> Any:
        header = token.headers()
        kind = next((name for name, algorithms in PUBLIC.items() if header.get("alg") in algorithms), None)
        fitting = [key for key in keys.keys if key.key_type == kind and header.get("kid") in (None, key.kid)]
        if not fitting:
            message = "no key of the set fits"
            raise ValueError(message)
        return fitting[0]

    return choose


def _from_pem(text: str) -> Any:
    from joserfc import jwk
    from joserfc.errors import JoseError

    kinds: tuple[type[Any], ...] = (jwk.RSAKey, jwk.ECKey, jwk.OKPKey)
    for kind in kinds:
        try:
            return kind.import_key(text)
        except (JoseError, ValueError, TypeError):
            continue
    message = "no key in the PEM text"
    raise ValueError(message)

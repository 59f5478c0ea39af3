"""Signatures over the raw bytes of a request, compared in constant time; whatever does not fit is refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Literal

from workflow_scheduler.core.errors import SignatureInvalid

Digest = Literal["sha256", "sha1", "sha512"]
Encoding = Literal["hex", "base64"]
SECOND_US = 1_000_000
_TIMESTAMP_DIGITS_MAX = 12


def sign(key: bytes, content: bytes, digest: Digest, encoding: Encoding = "hex") -> bytes:
    """Return the HMAC of `content` as text bytes."""
    raw = hmac.digest(key, content, digest)
    return raw.hex().encode() if encoding == "hex" else base64.b64encode(raw)


def check(expected: bytes, given: str | None, wrong: str | None = None) -> None:
    """Compare a header's text with the expected bytes; `wrong` is the sentence for one that differs.

    Raises:
        SignatureInvalid: it is missing or not the same.

    """
    if given is None or not hmac.compare_digest(expected, given.encode("utf-8", "replace")):
        raise SignatureInvalid(wrong) if wrong else SignatureInvalid


def check_any(expected: bytes, given: list[str]) -> None:
    """Compare several texts, of which one must fit (senders list two while they rotate a key).

    Raises:
        SignatureInvalid: none of them is the same.

    """
    fits = [hmac.compare_digest(expected, one.encode("utf-8", "replace")) for one in given[:16]]
    if not any(fits):
        raise SignatureInvalid


def check_time(given: str | None, now: int, tolerance_seconds: float) -> None:
    """Check a time stamp in whole seconds since 1970 against `now` (microseconds).

    Raises:
        SignatureInvalid: it is missing, not a number, or further away than the tolerance.

    """
    if given is None or not (given.isascii() and given.isdigit() and len(given) <= _TIMESTAMP_DIGITS_MAX):
        raise SignatureInvalid("The time stamp of the signature is missing or not a number of seconds.")
    if abs(int(given) * SECOND_US - now) > tolerance_seconds * SECOND_US:
        raise SignatureInvalid(
            f"The time stamp of the signature is more than {tolerance_seconds:g} s away from this clock.",
            fix="Check the clocks of both sides.",
        )


def secret_bytes(secret: str | None) -> bytes:
    """Return the secret's bytes.

    Raises:
        SignatureInvalid: the secret is not set, so nothing can be accepted.

    """
    if not secret:
        raise SignatureInvalid("The secret of this trigger is not set.", fix="workflow-scheduler secret set NAME")
    return secret.encode("utf-8", "surrogateescape")


def fingerprint(*parts: bytes) -> str:
    """Return the SHA-256 of the parts, each with its length, as hex."""
    whole = hashlib.sha256()
    for part in parts:
        whole.update(len(part).to_bytes(8))
        whole.update(part)
    return whole.hexdigest()

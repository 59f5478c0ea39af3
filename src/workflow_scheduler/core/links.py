"""Signed links: who may answer which wait until when, in a text that nobody else can make.

A token is `BODY.SIGNATURE`, both URL-safe base64. The body names tenant, wait, responder and expiry; the signature is
HMAC-SHA-256 over it under a key of the wait's own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

from workflow_scheduler.core.model.wait import Wait
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.time.clock import DAY_US

TOKEN_CHARACTERS_MAX = 2_000
KEY_BYTES = 32
LINK_US = 30 * DAY_US


class Link(msgspec.Struct, frozen=True, array_like=True):
    """What a token says. `until` is in microseconds; `responder` counts as whoever answers."""

    tenant_id: str
    wait_id: str
    responder: str
    until: int


def make(link: Link, key: bytes) -> str:
    """Return the token of a link, signed with the key of its wait."""
    body = _text(msgspec.json.encode(link))
    return f"{body}.{_text(_signature(body, key))}"


def read(token: str) -> Link | None:
    """Return what a token says, which is not to be believed before `is_genuine`; None where it says nothing."""
    if len(token) > TOKEN_CHARACTERS_MAX:
        return None
    try:
        return msgspec.json.decode(_bytes(token.partition(".")[0]), type=Link)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return None


def is_genuine(token: str, key: bytes) -> bool:
    """Return whether the token was signed with this key."""
    body, _, signature = token.partition(".")
    try:
        given = _bytes(signature)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, _signature(body, key)) and _text(given) == signature


def key_context(tenant_id: str, wait_id: str) -> str:
    """Return the context under which the vault seals the key of a wait's links."""
    return f"wait/{tenant_id}/{wait_id}"


def page_url(public_url: str, wait_id: str) -> str:
    """Return the address where a wait is shown and answered with credentials."""
    return f"{public_url}/api/v1/waits/{wait_id}"


def answer_link(vault: Vault, public_url: str, wait: Wait, responder: str, now: int) -> str:
    """Return a signed link for one responder; it is good until the wait expires, for 30 days at most."""
    until = min(now + LINK_US, wait.expires_at or now + LINK_US)
    key = vault.open(wait.key, key_context(wait.tenant_id, wait.id))
    return f"{public_url}/answer/{make(Link(wait.tenant_id, wait.id, responder, until), key)}"


def _signature(body: str, key: bytes) -> bytes:
    return hmac.new(key, body.encode(), hashlib.sha256).digest()


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)

"""Credentials on HTTP requests: bearer, basic, a header of its own, or a signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import urlsplit

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.model.connection import Http
from workflow_scheduler.core.time.clock import SECOND_US

SIGNATURE_HEADER = "X-Signature"
TIMESTAMP_HEADER = "X-Signature-Timestamp"


def headers_of(auth: Http, url: str, body: bytes, now: int) -> dict[str, str]:
    """Return the headers for a request with this body; `now` is in microseconds.

    `hmac` signs `TIMESTAMP.BODY` (seconds since 1970) with SHA-256: `X-Signature: sha256=HEX` (or the header that is
    named) and `X-Signature-Timestamp`.

    Raises:
        Rejected: the credentials belong to another origin, or cannot stand in a header.

    """
    if auth.url is not None and _origin(auth.url) != _origin(url):
        raise Rejected(
            f"the credentials are for {_origin(auth.url)} and are not sent to {_origin(url)}",
            fix="Use a connection for this service, or change the connection's `url`.",
        )
    if auth.auth == "hmac":
        timestamp = str(now // SECOND_US)
        digest = hmac.new(auth.secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        return {auth.header or SIGNATURE_HEADER: f"sha256={digest}", TIMESTAMP_HEADER: timestamp}
    if not auth.secret.isprintable():
        raise Rejected("the secret holds a line break or another control character and cannot stand in a header")
    if auth.auth == "bearer":
        return {"Authorization": f"Bearer {auth.secret}"}
    if auth.auth == "basic":
        pair = base64.b64encode(f"{auth.username}:{auth.secret}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}
    return {auth.header or "": auth.secret}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"

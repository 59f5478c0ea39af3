"""What triggers hear, made for tests: requests as their senders would send them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.inbound.signature import sign


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the service."""

    path: str
    method: str = "POST"
    headers: Mapping[str, str] = {}
    body: bytes = b""


def webhook(  # noqa: PLR0913 -- the parts of a request
    path: str,
    json: Any = None,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    secret: str | None = None,
    header: str = "X-Signature",
    prefix: str = "",
) -> Request:
    """Return a request to the webhook at `path`; with `secret` it is signed (HMAC-SHA256, hex) in `header`."""
    body = b"" if json is None else msgspec.json.encode(json)
    signature = {} if secret is None else {header: prefix + sign(secret.encode(), body, "sha256").decode()}
    sent = {"content-type": "application/json", **(headers or {}), **signature}
    return Request(path=f"/api/v1/public/webhook/{path.strip('/')}", method=method, headers=sent, body=body)


def github(event: str, payload: Mapping[str, Any], *, secret: str, delivery: str | None = None) -> Request:
    """Return a delivery of GitHub, signed with `secret`."""
    body = msgspec.json.encode(payload)
    headers = {
        "content-type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
        "X-Hub-Signature-256": "sha256=" + sign(secret.encode(), body, "sha256").decode(),
    }
    return Request(path="/api/v1/github/webhook", headers=headers, body=body)


def event(
    type: str,  # noqa: A002 -- its name in CloudEvents
    data: Any = None,
    *,
    source: str = "/test",
    id: str | None = None,  # noqa: A002 -- its name in CloudEvents
    subject: str | None = None,
) -> Request:
    """Return a CloudEvent; equal ids of one source are one event."""
    given = {"specversion": "1.0", "id": id or str(uuid.uuid4()), "source": source, "type": type, "data": data}
    given |= {} if subject is None else {"subject": subject}
    headers = {"content-type": "application/cloudevents+json"}
    return Request(path="/api/v1/events", headers=headers, body=msgspec.json.encode(given))

"""Examples of trigger types as the events they describe, the way the pipeline would hear them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.registry import Heard, PushRequest

_AT = 1_804_000_000_000_000
_encode = msgspec.json.encode


def request_of(example: Mapping[str, Any]) -> PushRequest:
    """Return the request that an example of a push type describes; a body that is no text is sent as JSON."""
    body = example.get("body", "")
    raw = body.encode() if isinstance(body, str) else _encode(body)
    headers = {"content-type": "application/json", **example.get("headers", {})}
    return PushRequest(
        method=example.get("method", "POST"),
        path=example.get("path", "/"),
        query=example.get("query", ""),
        headers=headers,
        body=raw,
        received_at=_AT,
    )


def event_of(module: Any, config: Any, example: Mapping[str, Any]) -> Event:
    """Return the event of an example: parsed by push types, taken as it stands for internal ones."""
    if module.shape == "push":
        return event_from(module.name, module.parse(config, request_of(example))[0])
    if module.shape == "timer":
        return plain_event(module.name, data=_encode(example))
    return plain_event(
        module.name,
        type=example.get("type", module.name),
        source=example.get("source", "/example"),
        subject=example.get("subject"),
        data=_encode(example.get("data")),
        attributes=_encode(example.get("attributes", {})),
    )


def event_from(provider: str, heard: Heard) -> Event:
    """Return the event of something heard."""
    return plain_event(
        provider,
        source=heard.source,
        type=heard.type,
        subject=heard.subject,
        data=heard.data,
        attributes=heard.attributes,
        index_keys=heard.index_keys,
        sub_keys=heard.sub_keys,
    )


def plain_event(provider: str, **given: Any) -> Event:
    """Return an event with plain values for everything that is not given."""
    values: dict[str, Any] = {"source": "/example", "type": provider, **given}
    return Event(
        id="event-1", tenant_id="local", provider=provider, event_key="key-1", time=_AT, received_at=_AT, **values
    )

"""Events: what was heard, in the shape of CloudEvents 1.0."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import msgspec

_decode = msgspec.json.decode


class Event(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that happened. Times are microseconds UTC; `data` and `attributes` are JSON bytes.

    `provider` is the name of the trigger type that heard it (`webhook`, `github`, `cron`, `manual`, `workflow`,
    `event`, …). `index_keys` and `sub_keys` say where the matcher looks for candidate triggers. `attributes` holds
    the transport's facts: `method path query headers content_type encoding`. (tenant, source, event_key) is unique.
    """

    id: str
    tenant_id: str
    provider: str
    source: str
    type: str
    event_key: str
    time: int
    received_at: int
    data: bytes = b"null"
    attributes: bytes = b"{}"
    subject: str | None = None
    index_keys: tuple[str, ...] = ()
    sub_keys: tuple[str, ...] = ("",)
    target_trigger_id: str | None = None
    depth: int = 0
    cause_run_id: str | None = None
    traceparent: str | None = None
    user_id: str | None = None
    bearer: bytes | None = None
    replay_of: str | None = None
    input: bytes | None = None
    scheduled_for: int | None = None
    priority: int | None = None


class EventView:
    """An event with its JSON decoded on first use; what predicates and conditions read."""

    def __init__(self, event: Event) -> None:
        """Wrap `event`; nothing is decoded yet."""
        self.event = event

    @cached_property
    def data(self) -> Any:
        """The decoded payload."""
        return _decode(self.event.data)

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The decoded transport facts."""
        decoded: dict[str, Any] = _decode(self.event.attributes)
        return decoded

    @property
    def headers(self) -> dict[str, str]:
        """The HTTP headers with lower-case names, or an empty mapping."""
        headers: dict[str, str] = self.attributes.get("headers") or {}
        return headers

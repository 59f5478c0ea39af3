"""Made from the trigger type `http_poll` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class HttpPoll(Trigger):
    """Each new item of a list that a web service answers with, asked for again and again.

    Attributes:
        url: The http or https address that answers with the items as JSON.
        every: The pause between two polls: 30s, 5m, 1h.
        items: JSONPath of the list of items in the answer.
        id: JSONPath in an item of what tells it apart. None: its whole content.
        version: JSONPath in an item of what changes with it; each version starts a run. None: each id once.
        watermark: Asks only for what changed since the newest item.
        pages: How to come to the next page. None: there is only one.
        start: latest: what is there at first is only remembered.
        method: GET, or POST with a body.
        body: What is sent with POST, as JSON; text as it is.
        headers: Further headers; credentials belong into a connection.
        connection: A connection of kind `http` with the credentials.
        timeout: For one answer: 30s.
        max_bytes: The largest answer that is read, in bytes.

    """

    type: ClassVar[str] = "http_poll"
    url: str
    _: KW_ONLY
    every: str | float | UnsetType = UNSET
    items: str | UnsetType = UNSET
    id: str | UnsetType | None = UNSET
    version: str | UnsetType | None = UNSET
    watermark: Mapping[str, Any] | UnsetType | None = UNSET
    pages: Any = UNSET
    start: Literal["latest", "earliest"] | UnsetType = UNSET
    method: Literal["GET", "POST"] | UnsetType = UNSET
    body: Any = UNSET
    headers: Mapping[str, Any] | UnsetType = UNSET
    connection: str | UnsetType | None = UNSET
    timeout: str | float | UnsetType = UNSET
    max_bytes: int | UnsetType = UNSET

"""Made from the trigger type `sse` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Sse(Trigger):
    """Each event of a server-sent event stream (`text/event-stream`), as browsers read it with EventSource.

    Attributes:
        url: The http or https address of the stream.
        events: Names of the events that count (`event:` in the stream). None: all of them.
        connection: A connection of kind `http` with the credentials.
        headers: Further headers of the request; credentials belong into a connection.
        silence: Open the stream again when nothing, not even a heartbeat, came for so long: 5m. None: never.

    """

    type: ClassVar[str] = "sse"
    url: str
    _: KW_ONLY
    events: str | Sequence[str] | UnsetType = UNSET
    connection: str | UnsetType | None = UNSET
    headers: Mapping[str, Any] | UnsetType = UNSET
    silence: str | float | UnsetType | None = UNSET

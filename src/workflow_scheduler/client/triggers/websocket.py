"""Made from the trigger type `websocket` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Websocket(Trigger):
    """Each message of a WebSocket.

    Attributes:
        url: The ws or wss address.
        subscribe: Messages sent after opening: texts as they are, other values as JSON; `{position}` is filled …
        id: JSONPath in a message of what tells it apart. None: nothing does.
        position: JSONPath in a message of where to go on. Default: its `id`.
        ignore: JSONPath; messages in which it finds something are no events: heartbeats, confirmations.
        connection: A connection of kind `http` with the credentials of the handshake.
        headers: Further headers of the handshake; credentials belong into a connection.
        protocols: Offered to the server, in this order.
        ping: The pause between pings; an answer must come in half.
        silence: Open it again when no message came for so long. None: never.
        max_bytes: The largest message that is read, in bytes.

    """

    type: ClassVar[str] = "websocket"
    url: str
    _: KW_ONLY
    subscribe: Sequence[Any] | UnsetType = UNSET
    id: str | UnsetType | None = UNSET
    position: str | UnsetType | None = UNSET
    ignore: str | UnsetType | None = UNSET
    connection: str | UnsetType | None = UNSET
    headers: Mapping[str, Any] | UnsetType = UNSET
    protocols: Sequence[str] | UnsetType = UNSET
    ping: str | float | UnsetType = UNSET
    silence: str | float | UnsetType | None = UNSET
    max_bytes: int | UnsetType = UNSET

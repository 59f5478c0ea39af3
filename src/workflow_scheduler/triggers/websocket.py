"""Each message of a WebSocket. The connection is kept open, pinged, and opened again when it is lost.

After opening, the `subscribe` messages are sent. A text that is just `{position}` stands for the position of the newest
message that is stored (null before the first), so that a server that keeps its messages sends what was missed. Messages
with an `id` start a run once; without one they cannot be recognised when they come again: they are heard at least once,
and what is sent while nobody is connected is lost, as WebSockets know no acknowledgement.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Annotated, Any
from urllib.parse import urlsplit, urlunsplit

import msgspec
from pydantic import AfterValidator, Field

from workflow_scheduler.core.inbound.identity import item_key
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.jsonpath import MISSING, JsonPath, value_at
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.sources import Received, SourceIO, WebSocketRequest
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard

name = "websocket"
title = "WebSocket"
icon = "plug-connected"
shape = "stream"
since = "0.2"
extras = ""

POSITION = "{position}"
_WEB = {"ws": "http", "wss": "https"}
_encode = msgspec.json.encode


def _socket_address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in _WEB or not parts.hostname:
        message = "must be a ws or wss URL"
        raise ValueError(message)
    if parts.username or parts.password:
        message = "must not hold a user name or password; they belong into a connection"
        raise ValueError(message)
    return value


class Config(BaseConfig):
    """Which socket is opened, what is said to it, and what tells its messages apart."""

    url: Annotated[str, AfterValidator(_socket_address), Field(max_length=2_000)] = Field(
        title="Address",
        description="The ws or wss address.",
        json_schema_extra={"ui": {"placeholder": "wss://stream.example.com/trades"}},
    )
    subscribe: list[Any] = Field(
        default_factory=list,
        max_length=50,
        title="Subscribe",
        description="Messages sent after opening: texts as they are, other values as JSON; `{position}` is filled in.",
        json_schema_extra={"ui": {"widget": "json"}},
    )
    id: JsonPath | None = Field(
        default=None, title="Identity", description="JSONPath in a message of what tells it apart. None: nothing does."
    )
    position: JsonPath | None = Field(
        default=None, title="Position", description="JSONPath in a message of where to go on. Default: its `id`."
    )
    ignore: JsonPath | None = Field(
        default=None,
        title="Ignore",
        description="JSONPath; messages in which it finds something are no events: heartbeats, confirmations.",
    )
    connection: str | None = Field(
        default=None,
        title="Connection",
        description="A connection of kind `http` with the credentials of the handshake.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "http"}},
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        title="Headers",
        description="Further headers of the handshake; credentials belong into a connection.",
        json_schema_extra={"ui": {"widget": "key-value"}},
    )
    protocols: list[str] = Field(
        default_factory=list, max_length=10, title="Sub-protocols", description="Offered to the server, in this order."
    )
    ping: Duration = Field(
        default=20.0, ge=1, le=3_600, title="Ping", description="The pause between pings; an answer must come in half."
    )
    silence: Duration | None = Field(
        default=None, ge=5, title="Silence", description="Open it again when no message came for so long. None: never."
    )
    max_bytes: int = Field(
        default=1 << 20, ge=1_024, le=16 << 20, title="Size", description="The largest message that is read, in bytes."
    )


examples = (
    Example(
        title="Trades, from where the last one was stored",
        config={
            "url": "wss://stream.example.com/trades",
            "subscribe": [{"op": "subscribe", "channel": "trades", "after": POSITION}],
            "id": "$.id",
            "ignore": "$.heartbeat",
        },
        event={
            "type": "websocket.message",
            "data": {"id": 4711, "symbol": "ACME", "price": 99.5},
            "attributes": {"url": "wss://stream.example.com/trades", "binary": False},
        },
    ),
)


def source_key(config: Config) -> str:
    """Return the socket: address, what is said to it, and how its messages are told apart."""
    parts = urlsplit(config.url)
    asked = (config.url, config.subscribe, config.connection, config.headers, config.protocols)
    return key_of(f"{parts.netloc}{parts.path}", *asked, config.id, config.position, config.ignore)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the socket."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every message of the socket counts; `condition` looks into it."""
    return TRUE


def silence_seconds(config: Config) -> float | None:
    """Return after what silence the socket is taken for dead; pings notice a lost connection sooner."""
    return config.silence


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001 -- the contract of streams
    """Read messages from `position` on, the position of the newest one that is stored."""
    headers = {**config.headers, **await io.credentials(config.connection, _web_address(config.url))}
    request = WebSocketRequest(
        url=config.url, headers=headers, protocols=config.protocols, ping_seconds=config.ping,
        message_bytes_max=config.max_bytes,
    )  # fmt: skip
    async with io.websocket(request) as socket:
        for message in config.subscribe:
            filled = _filled(message, position)
            await socket.send(filled if isinstance(filled, str) else _encode(filled).decode())
        io.alive()
        while True:
            received = _received(config, await socket.receive())
            if received is None:
                io.alive()
            else:
                yield received


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(scheme=_WEB[parts.scheme]))


def _filled(value: Any, position: Any) -> Any:
    if value == POSITION:
        return position
    if isinstance(value, dict):
        return {key: _filled(one, position) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, position) for one in value]
    return value


def _received(config: Config, message: str | bytes) -> Received | None:
    binary = isinstance(message, bytes)
    value = base64.b64encode(message).decode() if isinstance(message, bytes) else _json(message)
    if config.ignore is not None and value_at(config.ignore, value) is not MISSING:
        return None
    own = MISSING if config.id is None else value_at(config.id, value)
    path = config.position or config.id
    place = MISSING if path is None else value_at(path, value)
    known = own is not MISSING and own is not None
    heard = Heard(
        source="",
        type="websocket.message",
        event_key=item_key(own) if known else None,
        data=_encode(value),
        attributes=_encode({"url": config.url, "binary": binary}),
        subject=item_key(own) if known else None,
    )
    return Received(heard=[heard], position=None if place is MISSING else place)


def _json(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return text.encode("utf-8", "replace").decode()

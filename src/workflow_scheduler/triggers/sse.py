"""Each event of a server-sent event stream (`text/event-stream`), as browsers read it with EventSource.

The connection is kept open and opened again when it is lost, with the `Last-Event-ID` of the newest event that is
stored, so that a server that keeps its events sends what was missed. Events that carry an `id` start a run once.
Events without one cannot be recognised when they come again: they are heard at least once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
from pydantic import Field

from workflow_scheduler.core.errors import EndOfSource, NotConnected, Rejected
from workflow_scheduler.core.inbound.answers import check_answer
from workflow_scheduler.core.inbound.event_stream import EventStream, ServerSent
from workflow_scheduler.core.inbound.identity import item_key
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.fields import Texts
from workflow_scheduler.core.match.verdict import Predicate, Verdict, conjunction
from workflow_scheduler.core.model.connection_fields import Url
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.resources import HttpRequest
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard

name = "sse"
title = "Server-sent events"
icon = "broadcast"
shape = "stream"
since = "0.2"
extras = ""

_NO_CONTENT = 204
_TYPE = "text/event-stream"
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which stream is read, and which of its events count."""

    url: Url = Field(
        title="Address",
        description="The http or https address of the stream.",
        json_schema_extra={"ui": {"placeholder": "https://stream.example.com/orders"}},
    )
    events: Texts = Field(
        default=(),
        title="Events",
        description="Names of the events that count (`event:` in the stream). None: all of them.",
        json_schema_extra={"ui": {"widget": "tags", "placeholder": "message"}},
    )
    connection: str | None = Field(
        default=None,
        title="Connection",
        description="A connection of kind `http` with the credentials.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "http"}},
    )
    headers: dict[str, str] = Field(
        default_factory=dict,
        title="Headers",
        description="Further headers of the request; credentials belong into a connection.",
        json_schema_extra={"ui": {"widget": "key-value"}},
    )
    silence: Duration | None = Field(
        default=300.0,
        ge=5,
        title="Silence",
        description="Open the stream again when nothing, not even a heartbeat, came for so long: 5m. None: never.",
    )


examples = (
    Example(
        title="Orders of a shop",
        config={"url": "https://stream.example.com/orders", "events": ["order"], "connection": "shop"},
        event={
            "type": "order",
            "data": {"id": 1042, "amount": 99.5},
            "attributes": {"event": "order", "id": "1042", "url": "https://stream.example.com/orders"},
        },
    ),
)


def source_key(config: Config) -> str:
    """Return the stream: address, credentials and headers; the names that count are looked at afterwards."""
    parts = urlsplit(config.url)
    return key_of(f"{parts.netloc}{parts.path}", config.url, config.connection, config.headers)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the stream."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:
    """Compare the event's name."""
    if not config.events:
        return conjunction([])
    attributes = event.attributes if isinstance(event.attributes, dict) else {}
    actual = attributes.get("event")
    fits = None if not isinstance(actual, str) else actual in config.events
    return conjunction([Predicate("event", list(config.events), actual, fits)])


def silence_seconds(config: Config) -> float | None:
    """Return after what silence the stream is taken for dead."""
    return config.silence


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001 -- the contract of streams
    """Read the stream from the event after `position`, the last id."""
    last_id = position if isinstance(position, str) else ""
    headers = {"Accept": _TYPE, "Cache-Control": "no-store", **config.headers}
    headers |= await io.credentials(config.connection, config.url)
    if last_id and last_id.isprintable() and last_id.isascii():
        headers["Last-Event-ID"] = last_id
    request = HttpRequest(method="GET", url=config.url, headers=headers, timeout_seconds=config.silence or 0.0)
    parser = EventStream(last_id)
    async with io.stream(request) as answer:
        if answer.status == _NO_CONTENT:
            raise EndOfSource("the server says that the stream has ended (204)", fix="Deploy it again to look again.")
        check_answer(answer.status, answer.headers, config.url, io.now())
        kind = answer.headers.get("content-type", "").split(";")[0].strip().lower()
        if kind != _TYPE:
            raise Rejected(
                f"{config.url} answers with `{kind or 'no content type'}`, which is no event stream",
                fix=f"Name an address that answers with {_TYPE}.",
            )
        io.alive()
        async for chunk in answer.chunks():
            heard = [_heard(config, one) for one in _events(parser, chunk)]
            if heard:
                yield Received(heard=heard, position=parser.last_id)
            else:
                io.alive()
    raise NotConnected("the server has closed the stream", retry_after_seconds=parser.retry_seconds)


def _events(parser: EventStream, chunk: bytes) -> list[ServerSent]:
    try:
        return list(parser.feed(chunk))
    except ValueError as error:
        raise Rejected(str(error), fix="The server must send smaller events.") from error


def _heard(config: Config, one: ServerSent) -> Heard:
    try:
        data = msgspec.json.encode(msgspec.json.decode(one.data))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        data = _encode(one.data.encode("utf-8", "replace").decode())
    return Heard(
        source="",
        type=one.event[:200],
        event_key=None if not one.id else item_key(one.id),
        data=data,
        attributes=_encode({"event": one.event, "id": one.id, "url": config.url}),
        subject=one.id[:500] if one.id else None,
    )

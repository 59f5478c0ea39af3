"""Each entry of a Redis or Valkey stream.

Without `group` the stream is read from the newest entry that is stored here; nothing is kept on the server, and a
stream that is trimmed before it was read has lost what was trimmed. With `group` the entries of a consumer group are
taken, acknowledged after they are stored, and taken over from consumers that left them unacknowledged. An entry starts
a run once, by its id, in either way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import Field

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.inbound.content import json_of, text_of
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.brokers import Redis as Fields
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard

name = "redis_stream"
title = "Redis stream"
icon = "database"
shape = "stream"
since = "0.2"
extras = "redis"
libraries = ("redis",)

CONSUMER = "workflow-scheduler"
BATCH = 200
BLOCK_MS = 5_000
IDLE_MS = 60_000
SILENCE_SECONDS = 45.0
_BEGIN = "0-0"
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which stream of which server is read, and how."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `redis`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "redis"}},
    )
    stream: Line = Field(
        title="Stream", description="The key of the stream.", json_schema_extra={"ui": {"placeholder": "orders"}}
    )
    group: Line | None = Field(
        default=None, title="Group", description="A consumer group, made where it is not there. None: no group."
    )
    field: Line | None = Field(
        default=None,
        title="Field",
        description="The field whose value, as JSON, is the data of the event. None: all fields, as texts.",
    )
    start: Literal["latest", "earliest"] = Field(
        default="latest", title="Start", description="What is read at first: only what comes, or all that is there."
    )


examples = (
    Example(
        title="Orders, each as JSON in one field",
        config={"connection": "shop-redis", "stream": "orders", "field": "order"},
        event={
            "type": "redis_stream.entry",
            "data": {"id": 1042, "amount": 99.5},
            "attributes": {"stream": "orders", "id": "1526919030474-55", "group": None},
        },
    ),
)


def source_key(config: Config) -> str:
    """Return server, stream and group."""
    return key_of(f"{config.connection}/{config.stream}", config.group, config.field, config.start)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the stream."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every entry counts; `condition` looks into it."""
    return TRUE


def silence_seconds(config: Config) -> float:  # noqa: ARG001 -- the contract of streams
    """Return after what silence the connection is taken for dead; the server is asked more often than that."""
    return SILENCE_SECONDS


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001 -- the contract of streams
    """Read the entries after `position`, the id of the newest one that is stored."""
    fields = await io.connection(config.connection, Fields)
    from workflow_scheduler.outbound.redis_server import own_errors, redis_client

    client: Any = redis_client(fields, io.dial)
    try:
        with own_errors(urlsplit(fields.url)._replace(path="").geturl()):
            await client.ping()
            if config.group is None:
                feed = _alone(client, config, position if isinstance(position, str) else None, io)
            else:
                feed = _grouped(client, config, config.group, io)
            async for received in feed:
                yield received
    finally:
        await client.aclose()


async def _alone(client: Any, config: Config, position: str | None, io: SourceIO) -> AsyncIterator[Received]:
    last = position
    if last is None:
        newest = [] if config.start == "earliest" else await client.xrevrange(config.stream, count=1)
        last = newest[0][0].decode() if newest else _BEGIN
        yield Received(position=last)
    io.alive()
    while True:
        found = await client.xread({config.stream: last}, count=BATCH, block=BLOCK_MS)
        io.alive()
        for _, entries in found or ():
            last = entries[-1][0].decode()
            yield Received(heard=_heard(config, entries), position=last)


async def _grouped(client: Any, config: Config, group: str, io: SourceIO) -> AsyncIterator[Received]:
    from redis.exceptions import ResponseError

    try:
        start = "0" if config.start == "earliest" else "$"
        await client.xgroup_create(config.stream, group, id=start, mkstream=True)
    except ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise
    io.alive()
    last = "0"  # what this consumer was given before and has not acknowledged comes first
    while last != ">":
        entries = await _read(client, config, group, last)
        if not entries:
            last = ">"
            continue
        last = entries[-1][0].decode()
        yield _taken(client, config, group, entries)
    while True:
        left = await client.xautoclaim(config.stream, group, CONSUMER, min_idle_time=IDLE_MS, count=BATCH)
        entries = [one for one in left[1] if one[1] is not None] or await _read(client, config, group, ">")
        io.alive()
        if entries:
            yield _taken(client, config, group, entries)


async def _read(client: Any, config: Config, group: str, last: str) -> list[Any]:
    found = await client.xreadgroup(group, CONSUMER, {config.stream: last}, count=BATCH, block=BLOCK_MS)
    entries: list[Any] = found[0][1] if found else []
    return entries


def _taken(client: Any, config: Config, group: str, entries: list[Any]) -> Received:
    ids = [one[0] for one in entries]
    ack = partial(client.xack, config.stream, group, *ids)
    # An entry that was deleted while it waited for an acknowledgement has no fields any more.
    return Received(heard=_heard(config, [one for one in entries if one[1]]), ack=ack)


def _heard(config: Config, entries: list[Any]) -> list[Heard]:
    return [_one(config, key.decode(), fields) for key, fields in entries]


def _one(config: Config, key: str, fields: dict[bytes, bytes]) -> Heard:
    texts = {text_of(name): value for name, value in fields.items()}
    if config.field is None:
        data = _encode({name: text_of(value) for name, value in texts.items()})
    elif config.field in texts:
        data = json_of(texts[config.field])
    else:
        raise Rejected(
            f"the entry {key} of `{config.stream}` has no field `{config.field}`; it has {', '.join(sorted(texts))}",
            fix="Name another `field`, or none.",
        )
    attributes = {"stream": config.stream, "id": key, "group": config.group}
    return Heard(
        source="", type="redis_stream.entry", event_key=key, data=data, attributes=_encode(attributes), subject=key,
        time=int(key.partition("-")[0]) * 1_000 if len(key) < 30 else None,  # noqa: PLR2004 -- ids that people chose
    )  # fmt: skip

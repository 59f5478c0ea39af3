"""Each message of a Kafka topic, read as a member of a consumer group.

An offset is committed after the transaction that stored its messages, and topic, partition and offset make a message
count once, so that neither a crash nor a rebalance loses or doubles one. A partition that the group has not read yet
begins at its end, or with `start: earliest` at its beginning. Values and keys that are JSON stay JSON; other text is
text, and other bytes are base64.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from pydantic import Field

from workflow_scheduler.core.inbound.content import json_of, text_of
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.brokers import Kafka as Fields
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard

if TYPE_CHECKING:
    from confluent_kafka import Message

    from workflow_scheduler.outbound.kafka_consumer import KafkaConsumer

name = "kafka"
title = "Kafka"
icon = "brand-apache-kafka"
shape = "stream"
since = "0.2"
extras = "kafka"
libraries = ("confluent_kafka",)

BATCH = 200
TAKE_SECONDS = 0.5
ASK_SECONDS = 5.0
SILENCE_SECONDS = 60.0
LEAVE_SECONDS = 2.0
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which topic of which cluster is read, and as which group."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `kafka`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "kafka"}},
    )
    topic: Line = Field(
        title="Topic", description="The name of the topic.", json_schema_extra={"ui": {"placeholder": "orders"}}
    )
    group: Line = Field(
        default="workflow-scheduler",
        title="Group",
        description="The consumer group. Triggers of other workflows on the same topic share it and hear all of it.",
    )
    start: Literal["latest", "earliest"] = Field(
        default="latest", title="Start", description="Where the group begins: at what comes, or at what is there."
    )


examples = (
    Example(
        title="Orders",
        config={"connection": "events", "topic": "orders", "group": "billing"},
        event={
            "type": "kafka.message",
            "data": {"id": 1042, "amount": 99.5},
            "attributes": {"topic": "orders", "partition": 2, "offset": 4711, "key": "customer-7", "headers": {}},
        },
    ),
)


def source_key(config: Config) -> str:
    """Return cluster, topic and group."""
    return key_of(f"{config.connection}/{config.topic}", config.group, config.start)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every message counts; `condition` looks into it."""
    return TRUE


def silence_seconds(config: Config) -> float:  # noqa: ARG001 -- the contract of streams
    """Return after what silence the consumer is taken for dead; the brokers are asked more often than that."""
    return SILENCE_SECONDS


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001, ARG001 -- the contract of streams; the group knows the place
    """Read what the group has not committed yet."""
    fields = await io.connection(config.connection, Fields)
    from workflow_scheduler.outbound.kafka_consumer import KafkaConsumer, hosts_of

    for host, port in hosts_of(fields.bootstrap_servers):
        await io.check(host, port)
    earliest = config.start == "earliest"
    consumer = await io.call(partial(KafkaConsumer, fields, config.topic, config.group, earliest=earliest))
    try:
        for host, port in await io.call(consumer.brokers):
            await io.check(host, port)
        await io.call(consumer.subscribe)
        io.alive()
        asked = io.now()
        while True:
            messages = await io.call(partial(consumer.take, BATCH, TAKE_SECONDS))
            if messages:
                yield _received(config, consumer, messages, io)
            if io.now() - asked >= ASK_SECONDS * 1_000_000:
                asked = io.now()
                io.alive(lag=await io.call(consumer.behind))
    finally:
        with suppress(TimeoutError):  # a group can only be left while the brokers answer
            async with asyncio.timeout(LEAVE_SECONDS):
                await io.call(consumer.close)


def _received(config: Config, consumer: KafkaConsumer, messages: list[Message], io: SourceIO) -> Received:
    ack = partial(io.call, partial(consumer.commit, messages))
    return Received(heard=[_heard(config, one) for one in messages], ack=ack)


def _heard(config: Config, one: Message) -> Heard:
    key, value = one.key(), one.value()
    _, at = one.timestamp()
    attributes = {
        "topic": config.topic,
        "partition": one.partition(),
        "offset": one.offset(),
        "key": None if key is None else text_of(key),
        "headers": _headers(one),
    }
    return Heard(
        source="", type="kafka.message", event_key=f"{one.partition()}/{one.offset()}",
        data=b"null" if value is None else json_of(value), attributes=_encode(attributes),
        subject=None if key is None else text_of(key)[:500] or None, time=at * 1_000 if at > 0 else None,
    )  # fmt: skip


def _headers(one: Message) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for pair in one.headers() or ():
        name, content = pair[0], pair[1]
        found[str(name)] = text_of(content) if isinstance(content, bytes) else content
    return found

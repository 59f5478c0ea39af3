"""Each message of a queue of RabbitMQ, or of another broker that speaks AMQP 0-9-1.

A message is acknowledged after it is stored. The broker delivers what is not acknowledged once more, and says so
(`redelivered`, AMQP 0-9-1, section 1.8.3.13), without an identifier of its own: what was stored and not acknowledged is
stored with the messages, so that it is recognised by its content. A `message_id` that the publisher gives makes a
message count once also when it is published twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

import msgspec
from pydantic import Field, model_validator

from workflow_scheduler.core.inbound.content import json_of, text_of
from workflow_scheduler.core.inbound.identity import item_key
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.fields import Texts
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.brokers import Amqp
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard
from workflow_scheduler.core.time.clock import from_datetime

if TYPE_CHECKING:
    from aio_pika.abc import AbstractIncomingMessage

name = "amqp"
title = "AMQP queue"
icon = "broadcast"
shape = "stream"
since = "0.2"
extras = "amqp"
libraries = ("aio_pika",)

BATCH = 200
ASK_SECONDS = 15.0
SILENCE_SECONDS = 60.0
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which queue of which broker is read."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `amqp`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "amqp"}},
    )
    queue: Line = Field(
        max_length=255,
        title="Queue",
        description="The name of the queue. Who else reads it takes messages away.",
        json_schema_extra={"ui": {"placeholder": "orders"}},
    )
    exchange: Line | None = Field(
        default=None,
        max_length=255,
        title="Exchange",
        description="Binds the queue to this exchange; a queue that is not there is made, durable. None: it is there.",
        json_schema_extra={"ui": {"placeholder": "shop"}},
    )
    routing_keys: Texts = Field(
        default=(),
        title="Routing keys",
        description="With which keys it is bound, `*` and `#` as the exchange knows them. None given: all (`#`).",
        json_schema_extra={"ui": {"widget": "tags", "placeholder": "order.*"}},
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.routing_keys and self.exchange is None:
            message = "`routing_keys` need the `exchange` that they belong to"
            raise ValueError(message)
        return self


examples = (
    Example(
        title="Paid orders",
        config={"connection": "bus", "queue": "billing", "exchange": "shop", "routing_keys": ["order.paid"]},
        event={
            "type": "amqp.message",
            "data": {"id": 1042, "amount": 99.5},
            "attributes": {
                "queue": "billing", "exchange": "shop", "routing_key": "order.paid", "redelivered": False,
                "message_id": "6f1c", "correlation_id": None, "content_type": "application/json", "type": None,
                "headers": {},
            },
        },
    ),
)  # fmt: skip


def source_key(config: Config) -> str:
    """Return broker, queue and bindings."""
    return key_of(f"{config.connection}/{config.queue}", config.exchange, config.routing_keys)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every message counts; `condition` looks into it."""
    return TRUE


def silence_seconds(config: Config) -> float:  # noqa: ARG001 -- the contract of streams
    """Return after what silence the broker is taken for away; it is asked more often than that."""
    return SILENCE_SECONDS


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001 -- the contract of streams
    """Read messages; `position` is what was stored and not acknowledged when the last connection ended."""
    fields = await io.connection(config.connection, Amqp)
    from workflow_scheduler.outbound.amqp_broker import Consumer, connected, find_queue

    await io.check(fields.host, fields.port)
    async with connected(fields) as connection:
        await find_queue(connection, config.queue, config.exchange, config.routing_keys or ("#",))
        async with connection.channel() as channel:
            consumer = Consumer(channel, config.queue)
            await consumer.begin()
            io.alive()
            reading = _Reading(config, position if isinstance(position, dict) else {})
            while True:
                batch = await consumer.take(BATCH, ASK_SECONDS)
                if batch:
                    yield reading.received(batch)
                else:
                    io.alive(lag=await consumer.waiting())
                    reading.settle()


class _Reading:
    """One connection: how often which content is stored and not acknowledged."""

    def __init__(self, config: Config, stored: Mapping[str, int]) -> None:
        self._config = config
        self._before = Counter(stored)
        self._open: Counter[str] = Counter()

    def received(self, batch: Sequence[AbstractIncomingMessage]) -> Received:
        """Return what counts of a batch; all of it is acknowledged after the commit."""
        heard = []
        marks = [_mark(one) for one in batch]
        for one, mark in zip(batch, marks, strict=True):
            if one.redelivered and self._before[mark] > 0:
                self._before[mark] -= 1
            else:
                heard.append(_heard(self._config, one, mark))
        self._open.update(marks)

        async def acknowledge() -> None:
            await batch[-1].ack(multiple=True)
            self._open.subtract(marks)

        return Received(heard=heard, position=dict(+self._before + self._open), ack=acknowledge)

    def settle(self) -> None:
        """Forget what was open at the last connection: the queue is empty, so all of it has come."""
        self._before.clear()


def _mark(one: AbstractIncomingMessage) -> str:
    """Return what tells the content of a message from others; headers are counted up by the broker."""
    parts = (one.exchange or "", one.routing_key or "", one.message_id or "")
    return hashlib.sha256(_encode(parts) + one.body).hexdigest()[:16]


def _heard(config: Config, one: AbstractIncomingMessage, mark: str) -> Heard:
    attributes = {
        "queue": config.queue, "exchange": one.exchange, "routing_key": one.routing_key,
        "redelivered": bool(one.redelivered), "message_id": one.message_id, "correlation_id": one.correlation_id,
        "content_type": one.content_type, "type": one.type, "headers": _plain(one.headers),
    }  # fmt: skip
    return Heard(
        source="", type="amqp.message", event_key=item_key(one.message_id, mark) if one.message_id else None,
        data=json_of(one.body), attributes=_encode(attributes, enc_hook=str), subject=(one.routing_key or "")[:500],
        time=from_datetime(one.timestamp) if isinstance(one.timestamp, datetime) else None,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    """Return a table of AMQP as JSON can say it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return text_of(bytes(value)) if isinstance(value, bytes | bytearray) else value

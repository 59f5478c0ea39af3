"""Each message of a NATS JetStream stream.

Without `durable` the stream is read from the newest message that is stored here, and nothing is kept on the server.
With `durable` the messages of a durable consumer are taken and acknowledged after they are stored. The sequence in the
stream makes a message count once, in either way. Messages outside JetStream are not heard: NATS keeps them for nobody.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from pydantic import Field

from workflow_scheduler.core.errors import NotConnected
from workflow_scheduler.core.inbound.content import json_of
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.brokers import Nats as Fields
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard
from workflow_scheduler.core.time.clock import from_datetime

if TYPE_CHECKING:
    from nats.aio.client import Client
    from nats.aio.msg import Msg

name = "nats"
title = "NATS JetStream"
icon = "broadcast"
shape = "stream"
since = "0.2"
extras = "nats"
libraries = ("nats",)

BATCH = 200
TAKE_SECONDS = 5.0
ACK_SECONDS = 10.0
SILENCE_SECONDS = 45.0
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which stream of which server is read, and how."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `nats`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "nats"}},
    )
    stream: Line = Field(
        title="Stream", description="The name of the stream.", json_schema_extra={"ui": {"placeholder": "ORDERS"}}
    )
    subject: Line | None = Field(
        default=None,
        title="Subject",
        description="Only messages of these subjects, `*` and `>` as in NATS. None: all of the stream.",
        json_schema_extra={"ui": {"placeholder": "orders.>"}},
    )
    durable: Line | None = Field(
        default=None, title="Durable", description="A durable consumer, made where it is not there. None: none."
    )
    start: Literal["latest", "earliest"] = Field(
        default="latest", title="Start", description="What is read at first: only what comes, or all that is there."
    )


examples = (
    Example(
        title="Paid orders",
        config={"connection": "bus", "stream": "ORDERS", "subject": "orders.paid"},
        event={
            "type": "nats.message",
            "data": {"id": 1042, "amount": 99.5},
            "attributes": {"stream": "ORDERS", "subject": "orders.paid", "sequence": 4711, "headers": {}},
        },
    ),
)


def source_key(config: Config) -> str:
    """Return server, stream, subject and consumer."""
    return key_of(f"{config.connection}/{config.stream}", config.subject, config.durable, config.start)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every message counts; `condition` looks into it."""
    return TRUE


def silence_seconds(config: Config) -> float:  # noqa: ARG001 -- the contract of streams
    """Return after what silence the connection is taken for dead; the server is asked more often than that."""
    return SILENCE_SECONDS


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001 -- the contract of streams
    """Read the messages after `position`, the sequence of the newest one that is stored."""
    fields = await io.connection(config.connection, Fields)
    from workflow_scheduler.outbound.nats_server import connect, hosts_of, own_errors

    for host, port in hosts_of(fields.servers):
        await io.check(host, port)
    with own_errors(fields.servers):
        client = await connect(fields)
        try:
            last = position if isinstance(position, int) else None
            if last is None and config.durable is None:
                last = await _first(client, config)
                yield Received(position=last)
            taking = await _consumer(client, config, last)
            io.alive()
            while True:
                messages = await _take(client, taking)
                if not messages:
                    io.alive()
                    continue
                io.alive(lag=messages[-1].metadata.num_pending)
                yield _received(config, messages)
        finally:
            with suppress(Exception):  # the connection may be gone already
                await client.close()


async def _first(client: Client, config: Config) -> int:
    """Return the sequence before the first message that counts."""
    if config.start == "earliest":
        return 0
    info = await client.jetstream().stream_info(config.stream)
    return info.state.last_seq


async def _consumer(client: Client, config: Config, last: int | None) -> Any:
    from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

    subject = config.subject or ">"
    if config.durable is not None:
        policy = DeliverPolicy.ALL if config.start == "earliest" else DeliverPolicy.NEW
        wanted = ConsumerConfig(
            deliver_policy=policy, ack_policy=AckPolicy.EXPLICIT, max_ack_pending=-1, ack_wait=ACK_SECONDS
        )
        return await client.jetstream().pull_subscribe(subject, config.durable, config.stream, wanted)
    wanted = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=(last or 0) + 1, ack_policy=AckPolicy.NONE,
        inactive_threshold=SILENCE_SECONDS,
    )  # fmt: skip
    return await client.jetstream().pull_subscribe(subject, stream=config.stream, config=wanted)


async def _take(client: Client, taking: Any) -> list[Msg]:
    """Return messages that are there or come soon.

    Raises:
        NotConnected: none came, and the server does not answer.

    """
    from nats.errors import TimeoutError as NothingCameError

    try:
        found: list[Msg] = await taking.fetch(BATCH, TAKE_SECONDS)
    except NothingCameError:
        if not client.is_connected:
            raise NotConnected("the connection to NATS was lost") from None
        await client.flush(int(TAKE_SECONDS))
        return []
    return found


def _received(config: Config, messages: list[Msg]) -> Received:
    heard = [_heard(config, one) for one in messages]
    if config.durable is None:
        return Received(heard=heard, position=messages[-1].metadata.sequence.stream)
    return Received(heard=heard, ack=partial(_acknowledge, messages))


async def _acknowledge(messages: Sequence[Msg]) -> None:
    for one in messages:
        await one.ack()


def _heard(config: Config, one: Msg) -> Heard:
    known = one.metadata
    attributes = {
        "stream": config.stream,
        "subject": one.subject,
        "sequence": known.sequence.stream,
        "headers": dict(one.headers or {}),
    }
    return Heard(
        source="", type="nats.message", event_key=str(known.sequence.stream), data=json_of(one.data),
        attributes=_encode(attributes), subject=one.subject[:500], time=from_datetime(known.timestamp),
    )  # fmt: skip

"""Each message of a Google Cloud Pub/Sub subscription.

A message is acknowledged after it is stored; until then it is kept from other readers for `hold`. The id of the message
makes it count once, however often it is delivered. Messages of one ordering key come in their order.

Where PUBSUB_EMULATOR_HOST is set, subscriptions of connections without an `endpoint` are those of that emulator.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from pydantic import Field

from workflow_scheduler.core.inbound.content import json_of
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.connection import Google
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard
from workflow_scheduler.core.time.clock import from_iso

if TYPE_CHECKING:
    from workflow_scheduler.outbound.google import Pulled

name = "google_pubsub"
title = "Google Pub/Sub"
icon = "broadcast"
shape = "stream"
since = "0.2"
extras = ""

PULLED_MAX = 200
WAIT_SECONDS = 120.0  # the service answers sooner, with nothing where nothing came
SILENCE_SECONDS = 240.0
SCOPE = "https://www.googleapis.com/auth/pubsub"
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which subscription is read."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `google`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "google"}},
    )
    subscription: Annotated[str, Field(pattern=r"^projects/[^/\s]+/subscriptions/[^/\s]+$", max_length=500)] = Field(
        title="Subscription",
        description="The whole name of a pull subscription: projects/PROJECT/subscriptions/NAME.",
        json_schema_extra={"ui": {"placeholder": "projects/shop/subscriptions/orders"}},
    )
    hold: Annotated[Duration, Field(ge=10, le=600)] = Field(
        default=60.0, title="Hold", description="How long a message that was taken is kept from others: 60s."
    )


examples = (
    Example(
        title="Orders of a topic",
        config={"connection": "cloud", "subscription": "projects/shop/subscriptions/orders"},
        event={
            "type": "pubsub.message",
            "data": {"id": 1042, "amount": 99.5},
            "attributes": {
                "subscription": "projects/shop/subscriptions/orders", "message_id": "7512", "attributes": {},
                "ordering_key": None, "attempt": 1,
            },
        },
    ),
)  # fmt: skip


def source_key(config: Config) -> str:
    """Return account and subscription."""
    return key_of(f"{config.connection}/{config.subscription}")


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every message counts; `condition` looks into it."""
    return TRUE


def silence_seconds(config: Config) -> float:  # noqa: ARG001 -- the contract of streams
    """Return after what silence the service is taken for away."""
    return SILENCE_SECONDS


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001, ARG001 -- the contract of streams; the subscription knows the place
    """Read what the subscription holds."""
    from workflow_scheduler.outbound.google import Client, Subscription, for_pubsub

    fields = for_pubsub(await io.connection(config.connection, Google), io.pubsub_emulator)
    read = Subscription(Client(io.send, fields, SCOPE, io.kept, io.now), config.subscription)
    first = True
    while True:
        pulled = await read.pull(PULLED_MAX, wait=not first, timeout_seconds=WAIT_SECONDS)
        first = False  # the first answer comes at once, so that it is known that the credentials are good
        io.alive()
        if pulled:
            ids = [one.ack_id for one in pulled]
            await read.hold(ids, int(config.hold))
            yield Received(heard=[_heard(config, one) for one in pulled], ack=partial(read.acknowledge, ids))


def _heard(config: Config, one: Pulled) -> Heard:
    message = one.message
    key = message.get("orderingKey") or None
    attributes = {
        "subscription": config.subscription,
        "message_id": message["messageId"],
        "attributes": message.get("attributes") or {},
        "ordering_key": key,
        "attempt": one.attempt,
    }
    return Heard(
        source="", type="pubsub.message", event_key=str(message["messageId"]), data=json_of(_content(message)),
        attributes=_encode(attributes), subject=None if key is None else str(key)[:500],
        time=_time(message.get("publishTime")),
    )  # fmt: skip


def _content(message: Any) -> bytes:
    try:
        return base64.b64decode(message.get("data") or "")
    except (binascii.Error, ValueError):
        return str(message.get("data")).encode()


def _time(text: Any) -> int | None:
    try:
        return from_iso(text)
    except (TypeError, ValueError):
        return None

"""Each message that an MQTT broker delivers for some topics.

The broker keeps a session for the trigger: what is published while nobody reads is delivered afterwards. A message of
QoS 1 is acknowledged after it is stored; what the broker delivers once more is recognised by its packet identifier,
which is stored with the messages (MQTT 3.1.1, sections 3.3.1.1 and 4.4). QoS 0 promises nothing: what is lost on the
way is lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from pydantic import AfterValidator, Field

from workflow_scheduler.core.inbound.content import json_of
from workflow_scheduler.core.inbound.identity import digest
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.fields import Texts
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.brokers import Mqtt
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessage

    from workflow_scheduler.outbound.mqtt_broker import Session

name = "mqtt"
title = "MQTT"
icon = "broadcast"
shape = "stream"
since = "0.2"
extras = "mqtt"
libraries = ("aiomqtt",)

BATCH = 200
PING_SECONDS = 15.0
SILENCE_SECONDS = 60.0
_encode = msgspec.json.encode


def _filters(value: tuple[str, ...]) -> tuple[str, ...]:
    for one in value:
        levels = one.split("/")
        whole = all(level in {"+", "#"} or not set("+#") & set(level) for level in levels)
        if not one or not whole or "#" in levels[:-1] or "\0" in one:
            message = f"`{one[:60]}` is no topic filter; `+` and `#` stand for whole levels, `#` at the end"
            raise ValueError(message)
    return value


class Config(BaseConfig):
    """Which topics of which broker are read."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `mqtt`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "mqtt"}},
    )
    topics: Annotated[Texts, AfterValidator(_filters)] = Field(
        min_length=1,
        title="Topics",
        description="Topic filters: plant/+/alarm, plant/#; shared ones as $share/GROUP/plant/#.",
        json_schema_extra={"ui": {"widget": "tags", "placeholder": "plant/+/alarm"}},
    )
    qos: Literal[0, 1] = Field(
        default=1, title="QoS", description="1: nothing is lost; 0: the broker does not deliver again."
    )
    retained: bool = Field(
        default=False,
        title="Retained",
        description="Whether the newest message of a topic counts that the broker kept from before; each value once.",
    )


examples = (
    Example(
        title="Alarms of a plant",
        config={"connection": "plant", "topics": ["plant/+/alarm"]},
        event={
            "type": "mqtt.message",
            "data": {"level": "high"},
            "attributes": {"topic": "plant/7/alarm", "qos": 1, "retained": False},
        },
    ),
)


def source_key(config: Config) -> str:
    """Return broker and topics."""
    return key_of(f"{config.connection}/{config.topics[0]}", config.topics, config.qos, config.retained)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every message counts; `condition` looks into it."""
    return TRUE


def silence_seconds(config: Config) -> float:  # noqa: ARG001 -- the contract of streams
    """Return after what silence the broker is taken for away; it answers pings more often than that."""
    return SILENCE_SECONDS


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001 -- the contract of streams
    """Read messages; `position` is what was stored and not acknowledged when the last connection ended."""
    fields = await io.connection(config.connection, Mqtt)
    from workflow_scheduler.outbound.mqtt_broker import own_errors, session

    await io.check(fields.host, fields.port)
    name = f"wfs-{digest(io.tenant_id, source_key(config))}"
    async with session(fields, name) as broker:
        reading = _Reading(config, broker, position if isinstance(position, dict) else {})
        with own_errors(fields):
            await broker.subscribe(config.topics, config.qos)
            io.alive()
            while True:
                batch = await broker.take(BATCH, PING_SECONDS)
                io.alive()  # the library gives up when its pings are not answered
                if batch:
                    yield reading.received(batch)


class _Reading:
    """One connection: which packets are stored and not acknowledged, by their identifier."""

    def __init__(self, config: Config, broker: Session, stored: Mapping[str, str]) -> None:
        self._config = config
        self._broker = broker
        self._before = dict(stored)
        self._open: dict[str, str] = {}

    def received(self, batch: Sequence[MQTTMessage]) -> Received:
        """Return what counts of a batch; all of it is acknowledged after the commit."""
        heard = []
        for one in batch:
            mark = _mark(one)
            known = one.qos > 0 and bool(one.dup) and self._before.pop(str(one.mid), None) == mark
            if one.qos > 0:
                self._open[str(one.mid)] = mark
            if not known and (self._config.retained or not one.retain):
                heard.append(_heard(one, mark))

        async def acknowledge() -> None:
            for one in batch:
                self._broker.acknowledge(one)
                self._open.pop(str(one.mid), None)

        return Received(heard=heard, position={**self._before, **self._open}, ack=acknowledge)


def _mark(one: MQTTMessage) -> str:
    """Return what tells the content of a packet from others."""
    return hashlib.sha256(f"{one.topic}\0".encode() + one.payload).hexdigest()[:16]


def _heard(one: MQTTMessage, mark: str) -> Heard:
    topic = str(one.topic)
    attributes = {"topic": topic, "qos": one.qos, "retained": bool(one.retain)}
    return Heard(
        source="", type="mqtt.message", event_key=f"retained:{mark}" if one.retain else None,
        data=json_of(bytes(one.payload)), attributes=_encode(attributes), subject=topic[:500],
    )  # fmt: skip

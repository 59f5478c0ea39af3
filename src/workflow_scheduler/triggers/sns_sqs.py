"""Each message of an Amazon SQS queue, also of one that an SNS topic writes to.

A message is deleted after it is stored; until then it is hidden from other readers, for as long as it takes. The id of
the message makes it count once. What SNS wraps is unwrapped: the data is the notification's message, and its topic,
subject and attributes are in the event's attributes. Messages of one group of a FIFO queue come in their order.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any

import msgspec
from pydantic import Field

from workflow_scheduler.core.inbound.content import json_of
from workflow_scheduler.core.inbound.identity import source_key as key_of
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.connection import Aws
from workflow_scheduler.core.model.connection_fields import Line
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.sources import Received, SourceIO
from workflow_scheduler.core.registry import Config as BaseConfig
from workflow_scheduler.core.registry import Example, Heard
from workflow_scheduler.core.time.clock import SECOND_US

name = "sns_sqs"
title = "SNS and SQS"
icon = "broadcast"
shape = "stream"
since = "0.2"
extras = ""

TAKEN_MAX = 10
WAIT_SECONDS = 10
COUNT_US = 30 * SECOND_US
SILENCE_SECONDS = 60.0
_encode = msgspec.json.encode


class Config(BaseConfig):
    """Which queue is read."""

    connection: Line = Field(
        title="Connection",
        description="A connection of kind `aws`.",
        json_schema_extra={"ui": {"widget": "connection", "kind": "aws"}},
    )
    queue: Line = Field(
        title="Queue",
        description="The name of the queue, or its URL where it belongs to another account.",
        json_schema_extra={"ui": {"placeholder": "orders"}},
    )
    visibility: Annotated[Duration, Field(ge=2, le=43_200)] = Field(
        default=60.0,
        title="Visibility",
        description="How long a message that was taken is hidden from others; it is prolonged until it is deleted.",
    )

    @property
    def hidden_seconds(self) -> int:
        """The visibility as the service takes it."""
        return int(self.visibility)

    @property
    def wait_seconds(self) -> int:
        """How long a request waits for messages: short enough to prolong what is hidden in time."""
        return max(1, min(WAIT_SECONDS, self.hidden_seconds // 3))


examples = (
    Example(
        title="Orders of a queue",
        config={"connection": "cloud", "queue": "orders"},
        event={
            "type": "sqs.message",
            "data": {"id": 1042, "amount": 99.5},
            "attributes": {"queue": "orders", "message_id": "4f2c", "attributes": {}, "topic": None, "group": None},
        },
    ),
)


def source_key(config: Config) -> str:
    """Return account and queue."""
    return key_of(f"{config.connection}/{config.queue}")


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the source."""
    return (source_key(config),)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: every message counts; `condition` looks into it."""
    return TRUE


def silence_seconds(config: Config) -> float:  # noqa: ARG001 -- the contract of streams
    """Return after what silence the service is taken for away; it answers every WAIT_SECONDS."""
    return SILENCE_SECONDS


async def open(config: Config, position: Any, io: SourceIO) -> AsyncIterator[Received]:  # noqa: A001, ARG001 -- the contract of streams; the queue knows the place
    """Read what is in the queue."""
    queue = await _Queue.found(config, io)
    counted = 0
    while True:
        messages = await queue.take()
        if messages:
            yield queue.received(messages)
        await queue.keep_hidden()
        if io.now() - counted >= COUNT_US:
            counted = io.now()
            io.alive(lag=await queue.waiting())
        else:
            io.alive()


class _Queue:
    """One queue, and the messages that are taken and not deleted: receipt by id, and since when they are hidden."""

    def __init__(self, config: Config, io: SourceIO, fields: Aws, url: str) -> None:
        self._config = config
        self._io = io
        self._fields = fields
        self._url = url
        self._hidden: dict[str, tuple[str, int]] = {}

    @classmethod
    async def found(cls, config: Config, io: SourceIO) -> _Queue:
        """Return the queue of a configuration.

        Raises:
            Rejected: there is no such queue, or the keys may not read it.

        """
        from workflow_scheduler.outbound.aws import queue_url

        fields = await io.connection(config.connection, Aws)
        return cls(config, io, fields, await queue_url(io.send, fields, config.queue, io.now()))

    async def ask(self, action: str, body: Mapping[str, Any], seconds: float = 15.0) -> dict[str, Any]:
        """Return the answer of the service to an action."""
        from workflow_scheduler.outbound.aws import queue_action

        given = {"QueueUrl": self._url, **body}
        return await queue_action(self._io.send, self._fields, action, given, self._io.now(), seconds)

    async def take(self) -> list[dict[str, Any]]:
        """Return messages that are there or come soon."""
        wanted = {
            "MaxNumberOfMessages": TAKEN_MAX, "WaitTimeSeconds": self._config.wait_seconds,
            "VisibilityTimeout": self._config.hidden_seconds,
            "MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["All"],
        }  # fmt: skip
        answer = await self.ask("ReceiveMessage", wanted, WAIT_SECONDS + 20.0)
        messages: list[dict[str, Any]] = answer.get("Messages") or []
        for one in messages:
            self._hidden[one["MessageId"]] = (one["ReceiptHandle"], self._io.now())
        return messages

    def received(self, messages: Sequence[dict[str, Any]]) -> Received:
        """Return what was taken; it is deleted after the commit."""
        return Received(heard=[self._heard(one) for one in messages], ack=partial(self._delete, messages))

    async def _delete(self, messages: Sequence[dict[str, Any]]) -> None:
        entries = [
            {"Id": str(place), "ReceiptHandle": self._hidden.pop(one["MessageId"], (one["ReceiptHandle"], 0))[0]}
            for place, one in enumerate(messages)
        ]
        await self.ask("DeleteMessageBatch", {"Entries": entries})

    async def keep_hidden(self) -> None:
        """Hide what is not deleted yet for longer, before others see it."""
        now, limit = self._io.now(), self._config.hidden_seconds * SECOND_US // 3
        old = [(name, receipt) for name, (receipt, since) in self._hidden.items() if now - since >= limit]
        for start in range(0, len(old), TAKEN_MAX):
            portion = old[start : start + TAKEN_MAX]
            entries = [
                {"Id": str(place), "ReceiptHandle": receipt, "VisibilityTimeout": self._config.hidden_seconds}
                for place, (_, receipt) in enumerate(portion)
            ]
            await self.ask("ChangeMessageVisibilityBatch", {"Entries": entries})
            for name, receipt in portion:
                if name in self._hidden:
                    self._hidden[name] = (receipt, now)

    async def waiting(self) -> int:
        """Return about how many messages wait."""
        answer = await self.ask("GetQueueAttributes", {"AttributeNames": ["ApproximateNumberOfMessages"]})
        return int((answer.get("Attributes") or {}).get("ApproximateNumberOfMessages", 0))

    def _heard(self, one: dict[str, Any]) -> Heard:
        known: dict[str, str] = one.get("Attributes") or {}
        body: str = one.get("Body") or ""
        told = _notification(body)
        given = (one.get("MessageAttributes") if told is None else told.get("MessageAttributes")) or {}
        attributes = {
            "queue": self._config.queue,
            "message_id": one["MessageId"],
            "topic": None if told is None else told.get("TopicArn"),
            "subject": None if told is None else told.get("Subject"),
            "group": known.get("MessageGroupId"),
            "received": known.get("ApproximateReceiveCount"),
            "attributes": {name: _value(part) for name, part in given.items() if isinstance(part, Mapping)},
        }
        sent = known.get("SentTimestamp", "")
        return Heard(
            source="", type="sqs.message" if told is None else "sns.notification", event_key=one["MessageId"],
            data=json_of((body if told is None else str(told.get("Message", ""))).encode()),
            attributes=_encode(attributes), subject=known.get("MessageGroupId"),
            time=int(sent) * 1_000 if sent.isdigit() else None,
        )  # fmt: skip


def _notification(body: str) -> dict[str, Any] | None:
    """Return what SNS wrapped; None for a message that somebody wrote to the queue."""
    if '"TopicArn"' not in body:
        return None
    try:
        told = msgspec.json.decode(body)
    except ValueError:
        return None
    whole = isinstance(told, dict) and told.get("Type") == "Notification" and isinstance(told.get("Message"), str)
    return told if whole and isinstance(told.get("TopicArn"), str) else None


def _value(part: Mapping[str, Any]) -> Any:
    """Return the value of a message attribute, of SQS or of SNS."""
    return part.get("StringValue", part.get("Value", part.get("BinaryValue")))

"""Made from the trigger type `redis_stream` by `make docs`; change the type, not this file."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class RedisStream(Trigger):
    """Each entry of a Redis or Valkey stream.

    Attributes:
        connection: A connection of kind `redis`.
        stream: The key of the stream.
        group: A consumer group, made where it is not there. None: no group.
        field: The field whose value, as JSON, is the data of the event. None: all fields, as texts.
        start: What is read at first: only what comes, or all that is there.

    """

    type: ClassVar[str] = "redis_stream"
    connection: str
    stream: str
    _: KW_ONLY
    group: str | UnsetType | None = UNSET
    field: str | UnsetType | None = UNSET
    start: Literal["latest", "earliest"] | UnsetType = UNSET

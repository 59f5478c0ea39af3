"""Made from the trigger type `kafka` by `make docs`; change the type, not this file."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Kafka(Trigger):
    """Each message of a Kafka topic, read as a member of a consumer group.

    Attributes:
        connection: A connection of kind `kafka`.
        topic: The name of the topic.
        group: The consumer group. Triggers of other workflows on the same topic share it and hear all of it.
        start: Where the group begins: at what comes, or at what is there.

    """

    type: ClassVar[str] = "kafka"
    connection: str
    topic: str
    _: KW_ONLY
    group: str | UnsetType = UNSET
    start: Literal["latest", "earliest"] | UnsetType = UNSET

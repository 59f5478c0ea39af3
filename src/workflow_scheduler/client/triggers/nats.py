"""Made from the trigger type `nats` by `make docs`; change the type, not this file."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Nats(Trigger):
    """Each message of a NATS JetStream stream.

    Attributes:
        connection: A connection of kind `nats`.
        stream: The name of the stream.
        subject: Only messages of these subjects, `*` and `>` as in NATS. None: all of the stream.
        durable: A durable consumer, made where it is not there. None: none.
        start: What is read at first: only what comes, or all that is there.

    """

    type: ClassVar[str] = "nats"
    connection: str
    stream: str
    _: KW_ONLY
    subject: str | UnsetType | None = UNSET
    durable: str | UnsetType | None = UNSET
    start: Literal["latest", "earliest"] | UnsetType = UNSET

"""Made from the trigger type `amqp` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Amqp(Trigger):
    """Each message of a queue of RabbitMQ, or of another broker that speaks AMQP 0-9-1.

    Attributes:
        connection: A connection of kind `amqp`.
        queue: The name of the queue. Who else reads it takes messages away.
        exchange: Binds the queue to this exchange; a queue that is not there is made, durable. None: it is …
        routing_keys: With which keys it is bound, `*` and `#` as the exchange knows them. None given: all (`#`).

    """

    type: ClassVar[str] = "amqp"
    connection: str
    queue: str
    _: KW_ONLY
    exchange: str | UnsetType | None = UNSET
    routing_keys: str | Sequence[str] | UnsetType = UNSET

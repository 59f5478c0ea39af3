"""Made from the trigger type `mqtt` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Mqtt(Trigger):
    """Each message that an MQTT broker delivers for some topics.

    Attributes:
        connection: A connection of kind `mqtt`.
        topics: Topic filters: plant/+/alarm, plant/#; shared ones as $share/GROUP/plant/#.
        qos: 1: nothing is lost; 0: the broker does not deliver again.
        retained: Whether the newest message of a topic counts that the broker kept from before; each value once.

    """

    type: ClassVar[str] = "mqtt"
    connection: str
    topics: str | Sequence[str]
    _: KW_ONLY
    qos: Literal[0, 1] | UnsetType = UNSET
    retained: bool | UnsetType = UNSET

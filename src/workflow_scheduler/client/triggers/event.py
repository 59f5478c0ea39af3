"""Made from the trigger type `event` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Event(Trigger):
    """An internal event of this system, or a CloudEvent that was posted to `/api/v1/events`.

    Attributes:
        event: A type, a pattern such as `order.*`, or a list of them.
        source: Where the event comes from; a name, a pattern, or a list of them. None: anywhere.
        filter: Path in the data: wanted value, pattern, or a list of which one must fit.

    """

    type: ClassVar[str] = "event"
    event: str | Sequence[str]
    _: KW_ONLY
    source: str | Sequence[str] | UnsetType = UNSET
    filter: Mapping[str, Any] | UnsetType = UNSET

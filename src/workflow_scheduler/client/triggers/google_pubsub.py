"""Made from the trigger type `google_pubsub` by `make docs`; change the type, not this file."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class GooglePubsub(Trigger):
    """Each message of a Google Cloud Pub/Sub subscription.

    Attributes:
        connection: A connection of kind `google`.
        subscription: The whole name of a pull subscription: projects/PROJECT/subscriptions/NAME.
        hold: How long a message that was taken is kept from others: 60s.

    """

    type: ClassVar[str] = "google_pubsub"
    connection: str
    subscription: str
    _: KW_ONLY
    hold: str | float | UnsetType = UNSET

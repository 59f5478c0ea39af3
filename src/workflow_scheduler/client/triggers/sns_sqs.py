"""Made from the trigger type `sns_sqs` by `make docs`; change the type, not this file."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import ClassVar

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class SnsSqs(Trigger):
    """Each message of an Amazon SQS queue, also of one that an SNS topic writes to.

    Attributes:
        connection: A connection of kind `aws`.
        queue: The name of the queue, or its URL where it belongs to another account.
        visibility: How long a message that was taken is hidden from others; it is prolonged until it is deleted.

    """

    type: ClassVar[str] = "sns_sqs"
    connection: str
    queue: str
    _: KW_ONLY
    visibility: str | float | UnsetType = UNSET

"""Made from the trigger type `gcs` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Gcs(Trigger):
    """Objects that are put into a bucket of Google Cloud Storage.

    Attributes:
        prefix: Only objects whose names begin so.
        patterns: Which names count: `**/*.csv`; those with `!` are left out.
        events: created, modified, deleted. With notifications whatever is put there is created.
        every: The pause between two looks: 60s. Notifications are asked for every 5 s at least.
        content: Whether the event holds what is in the object, and how.
        max_bytes: Larger objects come without their content.
        start: latest: objects that are there at first do not count.
        connection: A connection of kind `google`.
        bucket: The name of the bucket.
        subscription: A subscription to the topic that the bucket notifies; it is read in place of listing the …

    """

    type: ClassVar[str] = "gcs"
    connection: str
    bucket: str
    _: KW_ONLY
    prefix: str | UnsetType = UNSET
    patterns: str | Sequence[str] | UnsetType = UNSET
    events: Sequence[Literal["created", "modified", "deleted"]] | UnsetType = UNSET
    every: str | float | UnsetType = UNSET
    content: Literal["none", "text", "base64"] | UnsetType = UNSET
    max_bytes: int | UnsetType = UNSET
    start: Literal["latest", "earliest"] | UnsetType = UNSET
    subscription: str | UnsetType | None = UNSET

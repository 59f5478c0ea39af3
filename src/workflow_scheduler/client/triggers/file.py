"""Made from the trigger type `file` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class File(Trigger):
    """Files that are made, changed or removed in a folder of the machine that the service runs on.

    Attributes:
        folder: The absolute path.
        patterns: Which paths within the folder count: `*.csv`, `**/*.csv`; those with `!` are left out.
        events: created, modified, deleted.
        every: The longest pause between two looks, where the system does not tell of changes: 5s.
        settle: How long a file must have stood still: 2s.
        content: Whether the event holds what is in the file, and how.
        max_bytes: Larger files come without their content.
        start: latest: files that are there at first do not count.

    """

    type: ClassVar[str] = "file"
    folder: str
    _: KW_ONLY
    patterns: str | Sequence[str] | UnsetType = UNSET
    events: Sequence[Literal["created", "modified", "deleted"]] | UnsetType = UNSET
    every: str | float | UnsetType = UNSET
    settle: str | float | UnsetType = UNSET
    content: Literal["none", "text", "base64"] | UnsetType = UNSET
    max_bytes: int | UnsetType = UNSET
    start: Literal["latest", "earliest"] | UnsetType = UNSET

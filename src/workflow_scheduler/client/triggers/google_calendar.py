"""Made from the trigger type `google_calendar` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class GoogleCalendar(Trigger):
    """What happens in a Google calendar: an entry is created, updated or cancelled, or it starts soon.

    Attributes:
        connection: A connection of kind `google`.
        calendar: The id of the calendar, often a mail address; `primary` is the account's own.
        events: created, updated, cancelled, starting.
        starts_in: For `starting`: how long before its start an entry counts: 10m.
        every: The pause between two questions: a minute, with `push` ten.
        push: Whether Google tells of changes at once; it must reach this service over HTTPS …

    """

    type: ClassVar[str] = "google_calendar"
    connection: str
    _: KW_ONLY
    calendar: str | UnsetType = UNSET
    events: Sequence[Literal["created", "updated", "cancelled", "starting"]] | UnsetType = UNSET
    starts_in: str | float | UnsetType | None = UNSET
    every: str | float | UnsetType | None = UNSET
    push: bool | UnsetType = UNSET

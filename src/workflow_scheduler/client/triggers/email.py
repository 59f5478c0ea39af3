"""Made from the trigger type `email` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Email(Trigger):
    """Each mail that arrives in a folder of a mailbox, over IMAP.

    Attributes:
        connection: A connection of kind `imap`.
        folder: The folder that is read.
        email_filter: Addresses that count, of which one must fit: `boss@example.com`, `*@example.com`.
        subject_filter: Texts of which one stands in the subject; with `*` or `?`, all of it fits. Case does not count.
        body_filter: Texts of which one stands in the body; with `*` or `?`, all of it fits. Case does not count.
        mark_as_read: Whether mails that count are marked as read once stored.
        check_interval: How often the server is asked: 60s.
        attachments: described: name, type, size and hash; included: with their content, up to 200 kB each; …
        start: Where the first reading begins: at what comes, or at what is there.

    """

    type: ClassVar[str] = "email"
    connection: str
    _: KW_ONLY
    folder: str | UnsetType = UNSET
    email_filter: str | Sequence[str] | UnsetType = UNSET
    subject_filter: str | Sequence[str] | UnsetType = UNSET
    body_filter: str | Sequence[str] | UnsetType = UNSET
    mark_as_read: bool | UnsetType = UNSET
    check_interval: str | float | UnsetType = UNSET
    attachments: Literal["described", "included", "stored"] | UnsetType = UNSET
    start: Literal["latest", "earliest"] | UnsetType = UNSET

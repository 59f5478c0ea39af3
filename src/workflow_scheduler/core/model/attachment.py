"""Attachments: files that came with an event and are stored beside it, passed on by reference."""

from __future__ import annotations

import re

import msgspec

_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,99}/[a-z0-9][a-z0-9!#$&^_.+-]{0,99}")
_REFERENCE = re.compile(r"([0-9A-Za-z-]{1,64})/(\d{1,4})")


class Attachment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A file as a source hears it. `number` is its place in the list `attachments` of the event's data, from 0."""

    number: int
    name: str
    content_type: str
    sha256: str
    content: bytes


class StoredAttachment(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What is known of a stored attachment; `size` is in bytes."""

    event_id: str
    number: int
    name: str
    content_type: str
    size: int
    sha256: str

    @property
    def ref(self) -> str:
        """The reference by which jobs name it."""
        return reference(self.event_id, self.number)


def reference(event_id: str, number: int) -> str:
    """Return the reference of an attachment; it means something within the tenant only."""
    return f"{event_id}/{number}"


def parsed(ref: str) -> tuple[str, int] | None:
    """Return the event's id and the number that a reference names; None when it is none."""
    found = _REFERENCE.fullmatch(ref)
    return None if found is None else (found[1], int(found[2]))


def media_type(told: str) -> str:
    """Return the media type that a sender told, or that of bytes where it is none (of a file)."""
    kind = told.partition(";")[0].strip().lower()
    if _MEDIA_TYPE.fullmatch(kind) is None or kind.startswith(("multipart/", "message/")):
        return "application/octet-stream"
    return kind

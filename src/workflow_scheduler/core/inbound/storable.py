"""What every database can keep of an event's texts, so that nothing comes as far as a database that refuses it."""

from __future__ import annotations

from workflow_scheduler.core.errors import BadRequest
from workflow_scheduler.core.model.event import Event

KEY_BYTES_MAX = 2_000
TEXT_BYTES_MAX = 8_000


def check_storable(event: Event) -> None:
    """Check source, type, subject and key of an event.

    Raises:
        BadRequest: one of them holds a NUL or half a character, or is too long to be indexed.

    """
    subject = event.subject or ""
    whole = f"{event.source}\n{event.event_key}\n{event.type}\n{subject}"
    if len(whole) <= KEY_BYTES_MAX and whole.isascii() and "\0" not in whole:
        return
    if "\0" in whole:
        raise BadRequest("The source, type, subject or key of the event holds a NUL character.")
    sizes = [_size(text) for text in (event.source, event.event_key, event.type, subject)]
    if sizes[0] + sizes[1] > KEY_BYTES_MAX:
        raise BadRequest(
            f"The source and key of the event are longer than {KEY_BYTES_MAX} bytes.", fix="Send a shorter id."
        )
    if max(sizes) > TEXT_BYTES_MAX:
        raise BadRequest(f"The type or subject of the event is longer than {TEXT_BYTES_MAX} bytes.")


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise BadRequest("The source, type, subject or key of the event holds half a character.") from None

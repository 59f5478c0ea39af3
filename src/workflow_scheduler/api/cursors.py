"""Cursors of lists: opaque to callers, checked when they come back."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

import msgspec
from fastapi import Query

from workflow_scheduler.core.errors import BadRequest

LIMIT_DEFAULT = 50
LIMIT_MAX = 500
_CURSOR_CHARACTERS_MAX = 1_000
_VERSION = 1

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="How many items to return at most.")]
Cursor = Annotated[
    str | None, Query(max_length=_CURSOR_CHARACTERS_MAX, description="`next` of the page before this one.")
]


def encode(*keys: str | int) -> str:
    """Return the cursor that continues after the row with these sort keys."""
    return base64.urlsafe_b64encode(msgspec.json.encode([_VERSION, *keys])).decode().rstrip("=")


def decode(cursor: str | None, *kinds: type) -> tuple[Any, ...] | None:
    """Return the sort keys inside `cursor`, one of each of `kinds`; None when there is no cursor.

    Raises:
        BadRequest: it was not made by this service for such a list.

    """
    if not cursor:
        return None
    try:
        packed = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        version, *keys = msgspec.json.decode(packed, type=list[str | int])
    except (UnicodeEncodeError, UnicodeDecodeError, binascii.Error, msgspec.MsgspecError, ValueError):
        raise _refused() from None
    fits = version == _VERSION and len(keys) == len(kinds)
    if not fits or any(type(key) is not kind for key, kind in zip(keys, kinds, strict=True)):
        raise _refused()
    if any(isinstance(key, str) and "\x00" in key for key in keys):
        raise _refused()
    return tuple(keys)


def page(items: list[Any], following: str | None) -> dict[str, Any]:
    """Return the shape of every list."""
    return {"items": items, "next": following}


def _refused() -> BadRequest:
    return BadRequest("the cursor is not one of this list", fix="begin again without `cursor`")

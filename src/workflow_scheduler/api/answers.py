"""JSON answers that are encoded once, without a second look by the framework, and times in queries."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import Query, Response
from pydantic import BaseModel, BeforeValidator, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.ports.store import Page
from workflow_scheduler.core.time.clock import from_iso

Moment = Annotated[str | None, Query(max_length=64, description="ISO 8601 time; without an offset it is UTC.")]
Status = Annotated[RunStatus | None, BeforeValidator(lambda value: value.upper() if isinstance(value, str) else value)]
Text = Annotated[str | None, Field(max_length=1_000)]
Time = Annotated[str | None, Field(max_length=64, description="ISO 8601 time; without an offset it is UTC.")]
_LAST = 253_402_300_800_000_000


class Listing(BaseModel):
    """The part of the query that every list has."""

    limit: int = Field(
        default=cursors.LIMIT_DEFAULT, ge=1, le=cursors.LIMIT_MAX, description="How many items to return at most."
    )
    cursor: str | None = Field(default=None, max_length=1_000, description="`next` of the page before this one.")

    @property
    def place(self) -> str | None:
        """The key inside the cursor."""
        return place(self.cursor)


def answer(value: Any, status: int = 200) -> Response:
    """Return `value` as a JSON answer."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


def listing(page: Page) -> Response:
    """Return a page in the shape of every list, its cursor made opaque."""
    return answer(cursors.page(list(page.items), cursors.encode(page.next) if page.next else None))


def place(cursor: str | None) -> str | None:
    """Return the key inside the cursor of a list that is ordered by one text.

    Raises:
        BadRequest: it was not made by this service.

    """
    keys = cursors.decode(cursor, str)
    return str(keys[0]) if keys else None


def moment(text: str | None, field: str) -> int | None:
    """Return the microseconds of the time given for `field`; None stays None.

    Raises:
        ValidationFailed: it is not an ISO 8601 time from 1970 to 9999.

    """
    if text is None:
        return None
    try:
        instant = from_iso(text.strip().replace(" ", "+"))
    except (ValueError, OverflowError):
        instant = -1
    if not 0 <= instant < _LAST:
        message = f"`{field}` is not an ISO 8601 time; write it as 2027-03-14T07:30:00Z"
        raise ValidationFailed(message, errors=[FieldError(field, message)])
    return instant

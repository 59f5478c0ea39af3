"""`/api/v1/events/{id}/attachments`: files that came with an event."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from workflow_scheduler.api.answers import answer
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.model.attachment import media_type

router = APIRouter(prefix="/api/v1/events/{event_id}", tags=["events"])
Id = Annotated[str, Path(max_length=256)]
Number = Annotated[int, Path(ge=0, le=9_999, description="The place in `data.attachments`, from 0.")]
# Whatever it is, no browser shows it as a page of this service.
_POLICY = {"content-security-policy": "sandbox; default-src 'none'", "cache-control": "private, no-store"}
_BYTES = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}, "description": "The content."}


class StoredAttachment(BaseModel):
    """A stored attachment. `size` is in bytes; jobs name it by `ref`."""

    number: int
    name: str
    content_type: str = Field(description="What the sender said that it is.")
    size: int
    sha256: str
    ref: str


class StoredAttachments(BaseModel):
    """All stored attachments of an event."""

    items: list[StoredAttachment]


@router.get("/attachments", response_model=StoredAttachments, summary="List an event's attachments")
async def list_attachments(event_id: Id, context: Context, caller: Caller) -> Response:
    """List the files that are stored with an event, by their place in `data.attachments`."""
    return answer({"items": await context.events.attachments(caller, event_id)})


@router.get(
    "/attachments/{number}",
    summary="Read an attachment",
    response_class=StreamingResponse,
    responses={200: _BYTES},
)
async def read_attachment(event_id: Id, number: Number, context: Context, caller: Caller) -> StreamingResponse:
    """Send the content of a file that came with an event, to be saved."""
    one, content = await context.events.attachment(caller, event_id, number)
    headers = {
        **_POLICY,
        "content-disposition": f"attachment; filename*=UTF-8''{quote(_file_name(one.name), safe='')}",
        "content-length": str(one.size),
    }
    return StreamingResponse(content, media_type=_media(one.content_type), headers=headers)


def _file_name(name: str) -> str:
    """Return a name without folders, for it is the sender's."""
    last = name.replace("\\", "/").rpartition("/")[2].strip()
    return last if last.strip(".") else "attachment"


def _media(told: str) -> str:
    """Return the type in the header; texts are bytes of a character set that only their sender knows."""
    kind = media_type(told)
    return "application/octet-stream" if kind.startswith("text/") else kind

"""`/api/v1/quarantine`: stored rows that cannot be read, and what is wrong with each."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api.answers import listing, place
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.ports.store import Page
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.stores.portable.quarantine import QuarantineRepository

router = APIRouter(prefix="/api/v1/quarantine", tags=["operations"])


class Quarantined(BaseModel):
    """A row that cannot be read."""

    kind: str = Field(description="The table it stands in.")
    id: str
    detail: str = Field(description="What is wrong with it.")
    found_at: str


class QuarantinePage(BaseModel):
    """A page of rows in quarantine."""

    items: list[Quarantined]
    next: str | None


@router.get("", response_model=QuarantinePage, summary="List rows that cannot be read")
async def list_quarantine(
    context: Context, caller: Caller, limit: cursors.Limit = cursors.LIMIT_DEFAULT, cursor: cursors.Cursor = None
) -> Response:
    """List the tenant's malformed rows by table and id. They are left out of the work; their neighbours go on."""
    rows = QuarantineRepository(context.store)
    page = await rows.list(caller.tenant_id, after=place(cursor), limit=limit)
    items: list[Any] = [{**msgspec.structs.asdict(row), "found_at": to_iso(row.found_at)} for row in page.items]
    return listing(Page(items, page.next))


@router.delete("/{kind}/{row_id:path}", status_code=204, summary="Release a row from quarantine")
async def release(
    kind: Annotated[str, Path(max_length=64)],
    row_id: Annotated[str, Path(max_length=512)],
    context: Context,
    caller: Caller,
) -> Response:
    """Forget a row that was mended or deleted; a schedule goes on. It is listed again if it still cannot be read."""
    if not await QuarantineRepository(context.store).release(caller.tenant_id, kind, row_id):
        raise NotFound("There is no such row in quarantine.", fix="List them: GET /api/v1/quarantine")
    return Response(status_code=204)

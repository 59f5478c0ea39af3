"""`/api/v1/audit`: who asked for which change."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])


class AuditEntry(BaseModel):
    """A change that somebody asked for."""

    id: str
    at: str
    user_id: str
    role: str
    authentication: str
    method: str
    path: str
    status: int | None = Field(description="HTTP status of the answer; null where the process ended before it.")


class AuditPage(BaseModel):
    """A page of the audit log."""

    items: list[AuditEntry]
    next: str | None


@router.get("", response_model=AuditPage, summary="Read the audit log")
async def read_audit(
    context: Context,
    caller: Caller,
    user: Annotated[str | None, Query(max_length=200, description="Only what this user asked for.")] = None,
    limit: cursors.Limit = cursors.LIMIT_DEFAULT,
    cursor: cursors.Cursor = None,
) -> dict[str, Any]:
    """Return what was asked for, the newest first. What starts runs is not here: events say who sent them."""
    place = cursors.decode(cursor, str)
    page = await context.audit.page(caller, user_id=user, limit=limit, before=place[0] if place else None)
    return cursors.page(list(page.items), cursors.encode(page.next) if page.next else None)

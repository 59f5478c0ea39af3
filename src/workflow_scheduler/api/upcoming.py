"""`/api/v1/upcoming`: the schedules that fire next."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from workflow_scheduler.api import documents
from workflow_scheduler.api.answers import listing
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller

router = APIRouter(prefix="/api/v1/upcoming", tags=["schedules"])


@router.get("", response_model=documents.SchedulePage, summary="What fires next")
async def upcoming(
    context: Context, caller: Caller, limit: Annotated[int, Query(ge=1, le=200, description="How many.")] = 10
) -> Response:
    """List the schedules with the nearest times, the soonest first; what is paused is left out."""
    return listing(await context.schedules.coming(caller, limit))

"""`/api/v1/forecast`: the fires that lie ahead, and where too many fall on one instant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from workflow_scheduler.api import documents
from workflow_scheduler.api.answers import answer
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.services.forecast import HOURS_MAX

router = APIRouter(prefix="/api/v1/forecast", tags=["schedules"])
Hours = Annotated[int, Query(ge=1, le=HOURS_MAX, description="How far to look ahead.")]
Minutes = Annotated[bool, Query(description="By the minute instead of by the hour.")]
Most = Annotated[int, Query(ge=0, le=100, description="How many collisions to list at most.")]
Spread = Annotated[bool, Query(description="With the jitter that would spread each collision.")]


@router.get("", response_model=documents.Forecast, summary="Look ahead")
async def forecast(
    context: Context,
    caller: Caller,
    hours: Hours = 24,
    minutes: Minutes = False,
    collisions: Most = 10,
    spread: Spread = False,
) -> Response:
    """Count the planned fires of all schedules, and list the instants at which most of them coincide."""
    found = await context.schedules.forecast.ahead(caller, hours=hours, minutes=minutes, most=collisions, spread=spread)
    return answer(found)

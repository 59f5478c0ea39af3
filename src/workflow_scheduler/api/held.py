"""`/api/v1/triggers/{id}/release` and `/discard`: what triggers keep and do not run."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from workflow_scheduler.api.answers import answer
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.api.triggers import Id
from workflow_scheduler.services.held import HELD_MAX

router = APIRouter(prefix="/api/v1/triggers", tags=["triggers"])
Limit = Annotated[int, Query(ge=1, le=HELD_MAX, description="How many at most, the oldest first.")]


class NotReleased(BaseModel):
    """An event that could not be released."""

    id: str
    message: str


class Released(BaseModel):
    """What was released."""

    count: int = Field(description="Events that were decided again.")
    runs: int
    failed: list[NotReleased]
    more: bool = Field(description="Whether some are left.")


class Discarded(BaseModel):
    """What was given up."""

    count: int
    more: bool = Field(description="Whether some are left.")


@router.post("/{trigger_id}/release", response_model=Released, summary="Release kept events")
async def release_kept(trigger_id: Id, context: Context, caller: Caller, limit: Limit = HELD_MAX) -> Response:
    """Let events be decided again that the trigger kept while it was suspended, or could not decide."""
    return answer(await context.held.release(caller, trigger_id, limit))


@router.post("/{trigger_id}/discard", response_model=Discarded, summary="Discard kept events")
async def discard_kept(trigger_id: Id, context: Context, caller: Caller, limit: Limit = HELD_MAX) -> Response:
    """Give events up that the trigger kept. They stay stored, and can be replayed by hand."""
    return answer(await context.held.discard(caller, trigger_id, limit))

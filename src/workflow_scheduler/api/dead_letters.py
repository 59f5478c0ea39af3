"""`/api/v1/dead-letters`: what was given up on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import documents
from workflow_scheduler.api.answers import Listing, Text, Time, answer, listing, moment
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.services.dead_letters import REDRIVE_MAX
from workflow_scheduler.stores.portable.dead_letters import DeadLetterFilter

router = APIRouter(prefix="/api/v1/dead-letters", tags=["dead letters"])
Id = Annotated[str, Path(max_length=256)]


class Redrive(BaseModel):
    """How to put one dead letter back to work."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"payload": {"amount": 120}}})

    payload: Any = Field(default=None, description="The new input, instead of the stored one.")


class Filter(BaseModel):
    """Which dead letters. `until` is exclusive."""

    model_config = ConfigDict(extra="forbid")

    kind: str | None = None
    reason: str | None = None
    workflow: str | None = Field(default=None, max_length=256, description="Id or name of the workflow.")
    workflow_id: str | None = None
    trigger_id: str | None = None
    event_id: str | None = None
    run_id: str | None = None
    since: str | None = Field(default=None, max_length=64)
    until: str | None = Field(default=None, max_length=64)


class RedriveAll(BaseModel):
    """Which dead letters to put back to work. An empty filter means all of them."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"filter": {"reason": "engine_refused"}, "dry_run": True}}
    )

    filter: Filter = Filter()
    dry_run: bool = Field(default=False, description="Only count.")
    limit: int = Field(default=REDRIVE_MAX, ge=1, le=REDRIVE_MAX)


class DeadLetterQuery(Listing):
    """Which dead letters to list. `until` is exclusive."""

    status: Literal["dead", "redriven", "discarded"] = "dead"
    kind: Text = None
    reason: Text = None
    workflow: str | None = Field(default=None, max_length=256, description="Id or name of the workflow.")
    workflow_id: Text = None
    trigger_id: Text = None
    event_id: Text = None
    run_id: Text = None
    since: Time = None
    until: Time = None


def _wanted(given: Filter | DeadLetterQuery) -> DeadLetterFilter:
    return DeadLetterFilter(
        status=given.status if isinstance(given, DeadLetterQuery) else "dead",
        kind=given.kind,
        reason=given.reason,
        workflow=given.workflow,
        workflow_id=given.workflow_id,
        trigger_id=given.trigger_id,
        event_id=given.event_id,
        run_id=given.run_id,
        since=moment(given.since, "since"),
        until=moment(given.until, "until"),
    )


@router.get("", response_model=documents.DeadLetterPage, summary="List dead letters")
async def list_dead_letters(context: Context, caller: Caller, query: Annotated[DeadLetterQuery, Query()]) -> Response:
    """List dead letters, the newest first."""
    return listing(await context.dead_letters.page(caller, _wanted(query), limit=query.limit, cursor=query.place))


@router.post("/redrive", response_model=documents.Bulk, summary="Redrive many dead letters")
async def redrive_all(body: RedriveAll, context: Context, caller: Caller) -> Response:
    """Put every dead letter that fits the filter back to work, each under its own key. `dry_run` counts first."""
    wanted = _wanted(body.filter)
    done = await context.dead_letters.redrive_all(caller, wanted, dry_run=body.dry_run, limit=body.limit)
    return answer(done)


@router.get("/{dead_letter_id}", response_model=documents.DeadLetter, summary="Show a dead letter")
async def show_dead_letter(dead_letter_id: Id, context: Context, caller: Caller) -> Response:
    """Show one dead letter with its payload, cause and attempts."""
    return answer(await context.dead_letters.show(caller, dead_letter_id))


@router.post(
    "/{dead_letter_id}/redrive", response_model=documents.DeadLetter, status_code=202, summary="Redrive a dead letter"
)
async def redrive_dead_letter(
    dead_letter_id: Id, context: Context, caller: Caller, body: Redrive | None = None
) -> Response:
    """Put one dead letter back to work under its own key, with another payload if given. It cannot double."""
    edited = body is not None and "payload" in body.model_fields_set
    payload = msgspec.json.encode(body.payload) if body is not None and edited else None
    return answer(await context.dead_letters.redrive(caller, dead_letter_id, payload), 202)


@router.post("/{dead_letter_id}/discard", response_model=documents.DeadLetter, summary="Discard a dead letter")
async def discard_dead_letter(dead_letter_id: Id, context: Context, caller: Caller) -> Response:
    """Settle a dead letter without doing it; it stays listed as discarded."""
    return answer(await context.dead_letters.discard(caller, dead_letter_id))

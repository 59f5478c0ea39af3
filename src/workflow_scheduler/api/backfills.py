"""`/api/v1/backfills`: running a range of a schedule's times afterwards."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import backfill_documents, cursors, documents
from workflow_scheduler.api.answers import Listing, Status, answer, listing, moment
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.model.backfill import ACTIVE_DEFAULT, ACTIVE_MAX, BackfillStatus
from workflow_scheduler.services.backfill_rule import BackfillRequest
from workflow_scheduler.stores.portable.runs import RunFilter

router = APIRouter(prefix="/api/v1/backfills", tags=["backfills"])
Id = Annotated[str, Path(max_length=256)]


class BackfillBody(BaseModel):
    """Which times to run, and how."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "workflow": "nightly-report",
                "from": "2026-01-01T00:00:00Z",
                "to": "2026-02-01T00:00:00Z",
                "reprocess": "missing",
                "max_active": 2,
                "dry_run": True,
            }
        },
    )

    workflow: str = Field(min_length=1, max_length=256, description="Id or name.")
    trigger: str | None = Field(
        default=None, max_length=256, description="Name or id of the time trigger, where the workflow has several."
    )
    start: str = Field(alias="from", max_length=64, description="ISO 8601; the first instant of the range.")
    end: str = Field(alias="to", max_length=64, description="ISO 8601; the range ends before it. Not in the future.")
    reprocess: Literal["missing", "failed", "all"] = Field(
        default="missing",
        description="Times without a run; those and the ones whose latest run failed or was cancelled; or all.",
    )
    order: Literal["forward", "reverse"] = Field(default="forward", description="The oldest or the newest time first.")
    max_active: int = Field(
        default=ACTIVE_DEFAULT, ge=1, le=ACTIVE_MAX, description="How many of its runs may be under way at once."
    )
    input: Any = Field(default=None, description="Instead of the schedule's own input.")
    version: int | None = Field(
        default=None, ge=1, le=2**31, description="Take the times from the trigger in this version of the workflow."
    )
    ignore_skips: bool = Field(default=False, description="Run the times as well that somebody skips.")
    dry_run: bool = Field(default=False, description="Only say what would run. Nothing is started.")
    limit: int = Field(default=100, ge=1, le=cursors.LIMIT_MAX, description="How many times a dry run lists.")
    cursor: str | None = Field(default=None, max_length=1_000, description="`next` of the dry run before this one.")


class CancelBody(BaseModel):
    """What becomes of runs under way."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"cancel_runs": True}})

    cancel_runs: bool = Field(default=False, description="Cancel its runs that have not ended as well.")


class BackfillQuery(Listing):
    """Which backfills to list."""

    workflow: str | None = Field(default=None, max_length=256, description="Id or name.")
    status: BackfillStatus | None = None


class BackfillRunQuery(Listing):
    """Which of its runs to list."""

    status: Status = None


def _request(body: BackfillBody) -> BackfillRequest:
    since, until = moment(body.start, "from"), moment(body.end, "to")
    assert since is not None
    assert until is not None
    return BackfillRequest(
        workflow=body.workflow,
        trigger=body.trigger,
        since=since,
        until=until,
        reprocess=body.reprocess,
        order=body.order,
        max_active=body.max_active,
        given=msgspec.json.encode(body.input) if body.input is not None else None,
        version=body.version,
        ignore_skips=body.ignore_skips,
    )


@router.post(
    "",
    response_model=backfill_documents.Backfill,
    status_code=201,
    summary="Start a backfill, or plan one",
    responses={
        200: {"model": backfill_documents.BackfillPlan, "description": "What a backfill would run (`dry_run`)."}
    },
)
async def create_backfill(body: BackfillBody, context: Context, caller: Caller) -> Response:
    """Run a range of a schedule's times afterwards. With `dry_run`, count and list them with the reason for each."""
    request = _request(body)
    if not body.dry_run:
        return answer(await context.backfills.create(caller, request), 201)
    keys = cursors.decode(body.cursor, int)
    found = await context.backfills.plan(caller, request, position=keys[0] if keys else None, limit=body.limit)
    following = found["next"]
    return answer({**found, "next": None if following is None else cursors.encode(following)})


@router.get("", response_model=backfill_documents.BackfillPage, summary="List backfills")
async def list_backfills(context: Context, caller: Caller, query: Annotated[BackfillQuery, Query()]) -> Response:
    """List backfills with their progress, the newest first."""
    page = await context.backfills.page(
        caller,
        workflow=query.workflow,
        status=query.status.value if query.status else None,
        limit=query.limit,
        cursor=query.place,
    )
    return listing(page)


@router.get("/{backfill_id}", response_model=backfill_documents.Backfill, summary="Show a backfill")
async def show_backfill(backfill_id: Id, context: Context, caller: Caller) -> Response:
    """Show one backfill with its progress. `GET /api/v1/stream?topics=backfills` follows all of them."""
    return answer(await context.backfills.show(caller, backfill_id))


@router.get("/{backfill_id}/runs", response_model=documents.RunPage, summary="List the runs of a backfill")
async def list_backfill_runs(
    backfill_id: Id, context: Context, caller: Caller, query: Annotated[BackfillRunQuery, Query()]
) -> Response:
    """List the runs of a backfill, the newest first; `scheduled_for` is the nominal time of each."""
    await context.backfills.show(caller, backfill_id)
    wanted = RunFilter(backfill_id=backfill_id, status=query.status)
    return listing(await context.runs.page(caller, wanted=wanted, limit=query.limit, cursor=query.place))


@router.post("/{backfill_id}/pause", response_model=backfill_documents.Backfill, summary="Pause a backfill")
async def pause_backfill(backfill_id: Id, context: Context, caller: Caller) -> Response:
    """Start no more of its runs; those under way go on to their end."""
    return answer(await context.backfills.pause(caller, backfill_id))


@router.post("/{backfill_id}/resume", response_model=backfill_documents.Backfill, summary="Resume a backfill")
async def resume_backfill(backfill_id: Id, context: Context, caller: Caller) -> Response:
    """Go on where it was paused."""
    return answer(await context.backfills.resume(caller, backfill_id))


@router.post("/{backfill_id}/cancel", response_model=backfill_documents.Backfill, summary="Cancel a backfill")
async def cancel_backfill(
    backfill_id: Id, context: Context, caller: Caller, body: CancelBody | None = None
) -> Response:
    """End a backfill. Its runs under way go on to their end, unless `cancel_runs` ends them as well."""
    wanted = body.cancel_runs if body is not None else False
    return answer(await context.backfills.cancel(caller, backfill_id, cancel_runs=wanted))

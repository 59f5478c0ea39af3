"""`/api/v1/blackouts`: stretches of time in which time triggers start nothing."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import cursors
from workflow_scheduler.api.answers import answer, listing, place
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.schedules import IfMatch, revision_of
from workflow_scheduler.api.security import Caller

router = APIRouter(prefix="/api/v1/blackouts", tags=["schedules"])
Name = Annotated[str, Path(max_length=128)]


class BlackoutBody(BaseModel):
    """A window: `from` and `to`, or `cron` or `rrule` with `duration`."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {"mode": "defer", "workflows": ["etl-*"], "cron": "0 22 * * FRI", "duration": "8h"}
        },
    )

    mode: Literal["defer", "skip"] = Field(default="defer", description="Wait for the end, or leave the times out.")
    workflows: list[str] | None = Field(default=None, max_length=200, description="Names or patterns; all by default.")
    timezone: str | None = Field(default=None, max_length=100, description="IANA name; UTC by default.")
    start: str | None = Field(default=None, alias="from", max_length=64, description="ISO 8601.")
    end: str | None = Field(default=None, alias="to", max_length=64, description="ISO 8601, exclusive.")
    cron: str | None = Field(default=None, max_length=500, description="Beginnings of a recurring window.")
    rrule: str | None = Field(default=None, max_length=20_000, description="The same as a recurrence rule.")
    dtstart: str | None = Field(default=None, max_length=64, description="Beginning of `rrule`.")
    duration: str | float | None = Field(default=None, description="Length of a recurring window: 30m, 2h or 3d.")
    reason: str | None = Field(default=None, max_length=500, description="Why.")


class NewBlackout(BlackoutBody):
    """A window and its name."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"name": "month-end", "cron": "0 22 L * *", "duration": "8h"}},
    )

    name: str = Field(max_length=128)


class Blackout(BaseModel):
    """A window as it is stored; one that cannot be read holds nothing back, and `error` says why."""

    model_config = ConfigDict(extra="allow")

    name: str
    mode: str | None
    workflows: list[str]
    timezone: str | None
    active: bool
    active_until: str | None
    next_start: str | None
    error: dict[str, Any] | None
    revision: int
    created_at: str
    updated_at: str
    updated_by: str | None


class BlackoutPage(BaseModel):
    """A page of windows."""

    items: list[Blackout]
    next: str | None


def _fields(body: BlackoutBody) -> dict[str, Any]:
    return body.model_dump(by_alias=True, exclude_none=True, exclude={"name"})


@router.get("", response_model=BlackoutPage, summary="List blackouts")
async def list_blackouts(
    context: Context, caller: Caller, limit: cursors.Limit = cursors.LIMIT_DEFAULT, cursor: cursors.Cursor = None
) -> Response:
    """List the tenant's blackout windows by name."""
    return listing(await context.blackouts.page(caller, limit=limit, after=place(cursor)))


@router.post("", status_code=201, response_model=Blackout, summary="Create a blackout")
async def create_blackout(body: NewBlackout, context: Context, caller: Caller) -> Response:
    """Let time triggers start nothing in a window, once or again and again. Event triggers are untouched."""
    return answer(await context.blackouts.create(caller, body.name, _fields(body)), 201)


@router.get("/{name}", response_model=Blackout, summary="Show a blackout")
async def show_blackout(name: Name, context: Context, caller: Caller) -> Response:
    """Show one window. Its `ETag` is the revision for `If-Match`."""
    shown = await context.blackouts.show(caller, name)
    response = answer(shown)
    response.headers["etag"] = f'"{shown["revision"]}"'
    return response


@router.put("/{name}", response_model=Blackout, summary="Change a blackout")
async def change_blackout(
    name: Name, body: BlackoutBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> Response:
    """Replace a window; what waits for its end is looked at again."""
    return answer(await context.blackouts.replace(caller, name, _fields(body), revision_of(if_match)))


@router.delete("/{name}", status_code=204, summary="Delete a blackout")
async def delete_blackout(name: Name, context: Context, caller: Caller) -> Response:
    """Remove a window; what waits for its end is looked at again."""
    await context.blackouts.delete(caller, name)
    return Response(status_code=204)

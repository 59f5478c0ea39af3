"""`/api/v1/schedules`: time triggers without a file, their pauses and their times."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import cursors, documents
from workflow_scheduler.api.answers import Time, answer, listing, moment, place
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.errors import PreconditionFailed
from workflow_scheduler.core.time import lab
from workflow_scheduler.core.time.clock import to_iso

router = APIRouter(prefix="/api/v1/schedules", tags=["schedules"])
Id = Annotated[str, Path(max_length=256)]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=64, description="The revision you have read.")]
_FORM = "The trigger types `cron`, `interval`, `once` and `rrule` have further fields, such as `catchup` or `jitter`."


class Rule(BaseModel):
    """When: exactly one of `cron`, `every`, `run_at` and `rrule`, with the further fields of that trigger type."""

    model_config = ConfigDict(extra="allow")

    cron: str | None = Field(default=None, max_length=500, description="Five fields, or @daily and the like.")
    every: str | float | None = Field(default=None, description="A duration: 90s, 15m, 2h or 7d.")
    run_at: str | None = Field(default=None, max_length=64, description="One time, ISO 8601.")
    rrule: str | None = Field(default=None, max_length=20_000, description="A recurrence rule; it needs `dtstart`.")
    timezone: str | None = Field(default=None, max_length=100, description="IANA name.")
    calendars: dict[str, Any] | None = Field(
        default=None,
        description="Which calendars it follows.",
        examples=[{"exclude": ["us-holidays"], "only": ["working-days"], "shift": "next_business_day"}],
    )


class ScheduleBody(Rule):
    """A schedule."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "workflow": "nightly-report",
                "name": "nightly",
                "cron": "0 2 * * *",
                "timezone": "America/New_York",
                "input": {"full": True},
            }
        },
    )

    workflow: str | None = Field(default=None, max_length=256, description="Id or name; needed to create.")
    definition: dict[str, Any] | str | None = Field(
        default=None,
        description="Instead of `workflow`: a definition (an object, or YAML as a text), which is stored and deployed.",
    )
    workflow_definition: dict[str, Any] | str | None = Field(default=None, description="The same, by another name.")
    name: str | None = Field(default=None, max_length=128, description="Name of the trigger; needed to create.")
    input: Any = Field(default=None, description="Input of its runs.")


class PreviewBody(Rule):
    """What to preview."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "example": {
                "cron": "30 2 * * *",
                "timezone": "America/New_York",
                "from": "2027-03-13T00:00:00Z",
                "count": 3,
            }
        },
    )

    workflow: str | None = Field(
        default=None, max_length=256, description="Id or name of the workflow whose blackout windows hold."
    )
    start: str | None = Field(default=None, alias="from", max_length=64, description="ISO 8601; now by default.")
    count: int | None = Field(default=None, ge=1, le=1_000)


class LabBody(BaseModel):
    """What to examine."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"cron": "30 2 * * *", "timezone": "America/New_York", "years": 2}},
    )

    cron: str = Field(max_length=500, description="Five fields, or @daily and the like.")
    timezone: str = Field(default="UTC", max_length=100, description="IANA name.")
    years: int = Field(default=10, ge=1, le=lab.YEARS_MAX)
    start: str | None = Field(default=None, alias="from", max_length=64, description="ISO 8601; now by default.")
    dst_gap: Literal["after", "shift", "skip"] = "after"
    dst_overlap: Literal["first", "last", "both"] = "first"
    calendars: dict[str, Any] | None = Field(
        default=None, description="Which calendars it follows.", examples=[{"exclude": ["us-holidays"]}]
    )


class PauseBody(BaseModel):
    """Why and how long."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"reason": "stocktaking", "until": "2027-03-15T06:00:00Z"}}
    )

    reason: str = Field(default="", max_length=500)
    until: str | None = Field(default=None, max_length=64, description="ISO 8601; it goes on by itself then.")


class ResumeBody(BaseModel):
    """What becomes of the times that passed."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"missed": "none"}})

    missed: Literal["none", "latest", "all"] | None = Field(
        default=None, description="By default, what the `on_resume` of the schedule says."
    )


class TriggerBody(BaseModel):
    """A run beside the schedule."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"input": {"full": False}}})

    input: Any = Field(default=None, description="Instead of the schedule's own input.")


@router.post("", response_model=documents.Schedule, status_code=201, summary="Create a schedule", description=_FORM)
async def create_schedule(body: ScheduleBody, context: Context, caller: Caller) -> Response:
    """Add a time trigger to a workflow."""
    return answer(await context.schedules.create(caller, body.model_dump(exclude_none=True)), 201)


@router.get("", response_model=documents.SchedulePage, summary="List schedules")
async def list_schedules(
    context: Context,
    caller: Caller,
    workflow: Annotated[str | None, Query(max_length=256, description="Id or name.")] = None,
    limit: cursors.Limit = cursors.LIMIT_DEFAULT,
    cursor: cursors.Cursor = None,
) -> Response:
    """List the schedules of deployed workflows."""
    return listing(await context.schedules.page(caller, workflow=workflow, limit=limit, cursor=place(cursor)))


@router.post("/preview", response_model=documents.Preview, summary="Preview times")
async def preview_schedule(body: PreviewBody, context: Context, caller: Caller) -> Response:
    """Return the next times of an expression, with a note at each clock change and calendar. Nothing is stored."""
    return answer(await context.schedules.preview(body.model_dump(by_alias=True, exclude_none=True), caller))


@router.post("/lab", response_model=documents.Lab, summary="Examine clock changes")
async def examine_schedule(body: LabBody, context: Context, caller: Caller) -> Response:
    """List every time that a clock change removes or doubles, and the days with other counts. Nothing is stored.

    A time that calendars leave out or move has no `utc`, and its note says why.
    """
    since = moment(body.start, "from")
    start = context.clock.now() if since is None else since
    return answer(await context.schedules.examined(body.model_dump(), caller, start))


@router.get("/{schedule_id}", response_model=documents.Schedule, summary="Show a schedule")
async def show_schedule(schedule_id: Id, context: Context, caller: Caller) -> Response:
    """Show one schedule. Its `ETag` is the revision for `If-Match`."""
    shown = await context.schedules.show(caller, schedule_id)
    response = answer(shown)
    if "revision" in shown:
        response.headers["etag"] = f'"{shown["revision"]}"'
    return response


@router.put("/{schedule_id}", response_model=documents.Schedule, summary="Change a schedule", description=_FORM)
async def change_schedule(
    schedule_id: Id, body: ScheduleBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> Response:
    """Replace what a schedule says. It takes effect from now and never fires the past."""
    fields = body.model_dump(exclude_none=True)
    return answer(await context.schedules.update(caller, schedule_id, fields, revision_of(if_match)))


@router.delete("/{schedule_id}", status_code=204, summary="Delete a schedule")
async def delete_schedule(schedule_id: Id, context: Context, caller: Caller) -> Response:
    """Remove a schedule from its workflow; its runs and records stay."""
    await context.schedules.delete(caller, schedule_id)
    return Response(status_code=204)


@router.post("/{schedule_id}/pause", response_model=documents.Schedule, summary="Pause a schedule")
async def pause_schedule(schedule_id: Id, context: Context, caller: Caller, body: PauseBody | None = None) -> Response:
    """Let a schedule rest, for good or until a time. Nothing accrues meanwhile."""
    given = body or PauseBody()
    until = moment(given.until, "until")
    return answer(await context.schedules.pause(caller, schedule_id, reason=given.reason, until=until))


@router.post("/{schedule_id}/resume", response_model=documents.Schedule, summary="Resume a schedule")
async def resume_schedule(
    schedule_id: Id, context: Context, caller: Caller, body: ResumeBody | None = None
) -> Response:
    """End a pause. Nothing of the past is run unless `missed` or `on_resume` says so; the next time is not skipped."""
    given = body or ResumeBody()
    return answer(await context.schedules.resume(caller, schedule_id, missed=given.missed))


@router.post("/{schedule_id}/trigger", response_model=documents.Triggered, status_code=202, summary="Run it now")
async def trigger_schedule(
    schedule_id: Id,
    context: Context,
    caller: Caller,
    body: TriggerBody | None = None,
    idempotency_key: Annotated[str | None, Header(alias="Idempotency-Key", max_length=255)] = None,
) -> Response:
    """Start a run of a schedule beside its times."""
    given = body.input if body is not None else None
    return answer(await context.schedules.trigger(caller, schedule_id, given=given, key=idempotency_key), 202)


class SkipBody(BaseModel):
    """Which time."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"at": "2027-12-24T09:00:00Z"}})

    at: str | None = Field(default=None, max_length=64, description="ISO 8601, to the minute; the next one by default.")


class UnskipBody(BaseModel):
    """Which time."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"at": "2027-12-24T09:00:00Z"}})

    at: str = Field(max_length=64, description="ISO 8601, to the minute.")


@router.post("/{schedule_id}/skip", response_model=documents.Skipped, summary="Skip one time")
async def skip_time(schedule_id: Id, context: Context, caller: Caller, body: SkipBody | None = None) -> Response:
    """Leave one future time out. It is recorded as skipped; a deployment does not undo it."""
    at = moment(body.at if body else None, "at")
    nominal = await context.schedules.skips.skip(caller, schedule_id, at)
    return answer({**(await context.schedules.show(caller, schedule_id)), "at": to_iso(nominal)})


@router.post("/{schedule_id}/unskip", response_model=documents.Skipped, summary="Take a skip back")
async def unskip_time(schedule_id: Id, context: Context, caller: Caller, body: UnskipBody) -> Response:
    """Let a time that was skipped run after all."""
    at = moment(body.at, "at")
    assert at is not None
    nominal = await context.schedules.skips.unskip(caller, schedule_id, at)
    return answer({**(await context.schedules.show(caller, schedule_id)), "at": to_iso(nominal)})


class OccurrenceQuery(BaseModel):
    """Which times. `to` is exclusive; `cursor` is `next` of the part before, a time, and `from` stays the same."""

    start: str | None = Field(default=None, alias="from", max_length=64, description="ISO 8601; a week ago by default.")
    end: str | None = Field(default=None, alias="to", max_length=64, description="ISO 8601; in a week by default.")
    limit: int = Field(default=100, ge=1, le=cursors.LIMIT_MAX)
    cursor: Time = None


@router.get("/{schedule_id}/occurrences", response_model=documents.OccurrenceList, summary="List its times")
async def list_occurrences(
    schedule_id: Id, context: Context, caller: Caller, query: Annotated[OccurrenceQuery, Query()]
) -> Response:
    """List what became of a schedule's times in a range, and those still to come, with the sums of the range."""
    since, until, place = moment(query.start, "from"), moment(query.end, "to"), moment(query.cursor, "cursor")
    found = await context.schedules.occurrences(
        caller, schedule_id, since=since, until=until, place=place, limit=query.limit
    )
    return answer(found)


def revision_of(if_match: str | None) -> int | None:
    """Return the revision in an If-Match header; `*` matches every one."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit()) or len(text) > 18:  # noqa: PLR2004 - digits of a 64-bit number
        raise PreconditionFailed("If-Match does not hold a revision of this schedule.")
    return int(text)

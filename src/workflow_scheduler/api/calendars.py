"""`/api/v1/calendars`: calendars that schedules follow."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from workflow_scheduler.api import calendar_documents as documents
from workflow_scheduler.api import cursors
from workflow_scheduler.api.answers import answer, listing, place
from workflow_scheduler.api.context import Context
from workflow_scheduler.api.security import Caller
from workflow_scheduler.core.errors import BadRequest, PreconditionFailed
from workflow_scheduler.core.time.calendars.ics_lines import ICS_BYTES_MAX

router = APIRouter(prefix="/api/v1/calendars", tags=["calendars"])
Name = Annotated[str, Path(max_length=64)]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=64, description="The version you have read.")]
_EXAMPLE: dict[str, Any] = {
    "weekend": ["SAT", "SUN"],
    "except": ["us-holidays"],
    "description": "Monday to Friday, no holidays",
}


class CalendarBody(BaseModel):
    """What a calendar holds: all that its parts hold together, less what the calendars under `except` hold."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": _EXAMPLE})

    description: str | None = Field(default=None, max_length=500, description="What it is for.")
    dates: list[Any] | None = Field(
        default=None, description="`2027-12-24`, `2027-12-24 Christmas Eve` or {date, until, name}."
    )
    ics: str | None = Field(default=None, max_length=ICS_BYTES_MAX, description="The text of an iCalendar file.")
    country: str | None = Field(default=None, max_length=20, description="Public holidays: an ISO 3166 code.")
    subdivision: str | None = Field(default=None, max_length=40, description="Of a part of the country, such as BY.")
    observed: bool | None = Field(default=None, description="Days off in lieu of a holiday on a weekend; they count.")
    weekdays: list[str] | None = Field(default=None, max_length=7, description="These days of each week: [SAT, SUN].")
    weekend: list[str] | None = Field(default=None, max_length=6, description="Every day of the week but these.")
    union: list[str] | None = Field(default=None, description="All that these calendars hold.")
    without: list[str] | None = Field(default=None, alias="except", description="Less all that these hold.")

    def given(self) -> dict[str, Any]:
        """Return the fields that were given, by their names in the API."""
        return self.model_dump(by_alias=True, exclude_none=True)


class NewCalendar(CalendarBody):
    """A calendar to create."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"example": {"name": "us-holidays", "country": "US"}})

    name: str = Field(max_length=64, description="Letters, digits, `-`, `_` and `.`.")


@router.post("", status_code=201, response_model=documents.Calendar, summary="Create a calendar")
async def create_calendar(body: NewCalendar, context: Context, caller: Caller) -> Response:
    """Create a calendar. Triggers follow it by `calendars: {exclude: [NAME]}` or `{only: [NAME]}`."""
    return answer(await context.calendars.create(caller, body.given()), 201)


@router.get("", response_model=documents.CalendarPage, summary="List calendars")
async def list_calendars(
    context: Context, caller: Caller, limit: cursors.Limit = cursors.LIMIT_DEFAULT, cursor: cursors.Cursor = None
) -> Response:
    """List the tenant's calendars by name."""
    return listing(await context.calendars.page(caller, limit=limit, after=place(cursor)))


@router.get("/{calendar}", response_model=documents.WholeCalendar, summary="Show a calendar")
async def show_calendar(calendar: Name, context: Context, caller: Caller) -> Response:
    """Show a calendar with all it holds and who follows it. Its `ETag` is the version for `If-Match`."""
    return _tagged(await context.calendars.show(caller, calendar))


@router.put("/{calendar}", response_model=documents.WholeCalendar, summary="Change a calendar")
async def change_calendar(
    calendar: Name, body: CalendarBody, context: Context, caller: Caller, if_match: IfMatch = None
) -> Response:
    """Replace what a calendar holds, as a new version. It takes effect from now on for all who follow it."""
    return _tagged(await context.calendars.update(caller, calendar, body.given(), _version(if_match)))


@router.delete("/{calendar}", status_code=204, summary="Delete a calendar")
async def delete_calendar(calendar: Name, context: Context, caller: Caller) -> Response:
    """Delete a calendar that no trigger and no other calendar uses."""
    await context.calendars.delete(caller, calendar)
    return Response(status_code=204)


@router.put(
    "/{calendar}/ics",
    response_model=documents.WholeCalendar,
    summary="Upload an iCalendar file",
    openapi_extra={
        "requestBody": {"required": True, "content": {"text/calendar": {"schema": {"type": "string"}}}},
    },
)
async def put_ics(
    calendar: Name, request: Request, context: Context, caller: Caller, if_match: IfMatch = None
) -> Response:
    """Replace the iCalendar text of a calendar, as a new version; its other parts stay."""
    try:
        text = (await request.body()).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadRequest("the iCalendar text is not UTF-8", fix="save it as UTF-8") from None
    if "\x00" in text:
        raise BadRequest("the iCalendar text holds a NUL character", fix="give the file as it was exported")
    return _tagged(await context.calendars.put_ics(caller, calendar, text, _version(if_match)))


@router.get("/{calendar}/versions", response_model=documents.CalendarVersions, summary="List its versions")
async def list_versions(
    calendar: Name,
    context: Context,
    caller: Caller,
    limit: cursors.Limit = cursors.LIMIT_DEFAULT,
    cursor: cursors.Cursor = None,
) -> Response:
    """List the versions of a calendar, the newest first, each with all it held."""
    given = place(cursor)
    if given is not None and not (given.isascii() and given.isdigit() and len(given) < 19):  # noqa: PLR2004 - 64 bits
        raise BadRequest("the cursor was not made by this service")
    return listing(
        await context.calendars.versions(caller, calendar, limit=limit, before=int(given) if given else None)
    )


class DateQuery(BaseModel):
    """Which days."""

    start: str | None = Field(default=None, alias="from", max_length=10, description="A date; today by default.")
    end: str | None = Field(default=None, alias="to", max_length=10, description="The last date; in a year by default.")
    version: int | None = Field(default=None, ge=1, lt=1 << 31, description="An earlier version.")
    timezone: str = Field(default="UTC", max_length=100, description="In which stretches of time are shown.")


@router.get("/{calendar}/dates", response_model=documents.CalendarDates, summary="List its days")
async def list_dates(
    calendar: Name, context: Context, caller: Caller, query: Annotated[DateQuery, Query()]
) -> Response:
    """List the days and stretches of time that a calendar holds in a range, with their names."""
    bounds = (query.start, query.end)
    return answer(await context.calendar_dates.dates(caller, calendar, bounds, query.version, query.timezone))


class DiffQuery(BaseModel):
    """Which versions and days."""

    before: int | None = Field(default=None, ge=1, lt=1 << 31, description="The one before `after` by default.")
    after: int | None = Field(default=None, ge=1, lt=1 << 31, description="The present one by default.")
    start: str | None = Field(default=None, alias="from", max_length=10, description="A date; today by default.")
    end: str | None = Field(default=None, alias="to", max_length=10, description="The last date; in a year by default.")


@router.get("/{calendar}/diff", response_model=documents.CalendarDiff, summary="Compare two versions")
async def compare_versions(
    calendar: Name, context: Context, caller: Caller, query: Annotated[DiffQuery, Query()]
) -> Response:
    """List the days that an edit added, removed and renamed."""
    versions, bounds = (query.before, query.after), (query.start, query.end)
    return answer(await context.calendar_dates.diff(caller, calendar, versions, bounds))


def _tagged(shown: dict[str, Any]) -> Response:
    response = answer(shown)
    response.headers["etag"] = f'"{shown["version"]}"'
    return response


def _version(if_match: str | None) -> int | None:
    """Return the version in an If-Match header; `*` matches every one."""
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not (text.isascii() and text.isdigit()) or len(text) > 18:  # noqa: PLR2004 - digits of a 64-bit number
        raise PreconditionFailed("If-Match does not hold a version of this calendar.")
    return int(text)

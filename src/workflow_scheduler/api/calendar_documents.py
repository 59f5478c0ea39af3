"""What calendars look like in answers; the OpenAPI document is made of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Calendar(BaseModel):
    """A calendar without its lists and texts."""

    name: str
    version: int = Field(description="Grows with each edit; records say which one decided.")
    description: str
    holds: str = Field(description="What it is made of, in a few words.")
    created_at: str
    updated_at: str
    updated_by: str | None


class CalendarUser(BaseModel):
    """A trigger that follows a calendar."""

    workflow: str
    trigger: str


class WholeCalendar(Calendar):
    """A calendar with all it holds."""

    spec: dict[str, Any] = Field(description="What it holds, as it was given.")
    holidays: str | None = Field(description="Version of the `holidays` package that knows the country's days.")
    used_by: list[CalendarUser] = Field(description="Live triggers that name it; at most 100.")


class CalendarPage(BaseModel):
    """A page of calendars."""

    items: list[Calendar]
    next: str | None


class CalendarVersion(BaseModel):
    """One version of a calendar."""

    version: int
    description: str
    spec: dict[str, Any]
    created_at: str
    created_by: str | None


class CalendarVersions(BaseModel):
    """A page of versions, the newest first."""

    items: list[CalendarVersion]
    next: str | None


class CalendarDay(BaseModel):
    """A day that a calendar holds."""

    date: str
    weekday: str
    name: str
    source: str = Field(description="The calendar that has it, with its version.")


class CalendarItem(CalendarDay):
    """A day, or a stretch of time where `start` and `end` are given."""

    start: str | None
    end: str | None


class CalendarDates(BaseModel):
    """What a calendar holds in a range."""

    name: str
    version: int
    start: str = Field(alias="from")
    end: str = Field(alias="to")
    timezone: str
    items: list[CalendarItem]
    complete: bool = Field(description="False: there are more than are listed; ask for a shorter range.")
    next: None


class RenamedDay(CalendarDay):
    """A day with another name than before."""

    was: str


class CalendarDiff(BaseModel):
    """How two versions of a calendar differ."""

    name: str
    before: int
    after: int
    start: str = Field(alias="from")
    end: str = Field(alias="to")
    added: list[CalendarDay]
    removed: list[CalendarDay]
    renamed: list[RenamedDay]

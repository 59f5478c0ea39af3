"""What a calendar is made of: the body that creates one, checked and closed."""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from workflow_scheduler.core.errors import ValidationFailed, did_you_mean
from workflow_scheduler.core.time.calendars import ics
from workflow_scheduler.core.time.calendars.holiday_days import check_place
from workflow_scheduler.core.time.calendars.ics_lines import ICS_BYTES_MAX
from workflow_scheduler.core.time.zone import FIRST_YEAR, LAST_YEAR

DATES_MAX = 10_000
MEMBERS_MAX = 50
SPAN_DAYS_MAX = 366
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", re.ASCII)


def calendar_name(value: object) -> str:
    """Return a calendar's name: letters, digits, `-`, `_` and `.`, at most 64.

    Raises:
        ValueError: it is none.

    """
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        message = f"`{str(value)[:80]}` is no name of a calendar; write letters, digits, `-`, `_` and `.`, at most 64"
        raise ValueError(message)
    return value


def _weekday(value: object) -> object:
    if not isinstance(value, str):
        return value
    short = value.strip().upper()[:3]
    full = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
    if short in WEEKDAYS and full[WEEKDAYS.index(short)].startswith(value.strip().upper()):
        return short
    near = did_you_mean(value.strip().upper(), (*WEEKDAYS, *full))
    hint = f", did you mean `{near}`?" if near else "; write MON, TUE, WED, THU, FRI, SAT or SUN"
    message = f"`{value[:40]}` is no weekday{hint}"
    raise ValueError(message)


def _day(value: object) -> object:
    if isinstance(value, str):
        text = value.strip()
        try:
            value = date.fromisoformat(text)
        except ValueError as error:
            message = f"`{text[:40]}` is no date; write it as 2027-12-24"
            raise ValueError(message) from error
    if isinstance(value, date) and not FIRST_YEAR <= value.year <= LAST_YEAR:
        message = f"the year must be {FIRST_YEAR} to {LAST_YEAR}"
        raise ValueError(message)
    return value


Name = Annotated[str, BeforeValidator(calendar_name)]
Weekday = Annotated[str, BeforeValidator(_weekday)]
Day = Annotated[date, BeforeValidator(_day)]


class DateEntry(BaseModel):
    """One day, or the days from `date` to `until` inclusive, with a name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: Day = Field(description="The day, such as 2027-12-24.")
    until: Day | None = Field(default=None, description="The last day, where it is more than one.")
    name: str = Field(default="", max_length=200, description="What the day is called.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.until is not None and not 0 <= (self.until - self.date).days <= SPAN_DAYS_MAX:
            message = f"`until` must be at most {SPAN_DAYS_MAX} days after `date`, and not before it"
            raise ValueError(message)
        return self


def _entry(value: object) -> object:
    if not isinstance(value, str):
        return value
    day, _, name = value.strip().partition(" ")
    return {"date": day, "name": name.strip()}


class CalendarSpec(BaseModel):
    """What a calendar holds: all that its parts hold together, less what the calendars under `except` hold."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    description: str = Field(default="", max_length=500, description="What the calendar is for.")
    dates: tuple[Annotated[DateEntry, BeforeValidator(_entry)], ...] = Field(
        default=(),
        max_length=DATES_MAX,
        description="Days: `2027-12-24`, `2027-12-24 Christmas Eve` or {date, until, name}.",
    )
    ics: str | None = Field(
        default=None,
        max_length=ICS_BYTES_MAX,
        description="The text of an iCalendar file. Events of whole days are days; others are stretches of time.",
    )
    country: str | None = Field(
        default=None, max_length=20, description="Public holidays of a country: an ISO 3166 code such as DE."
    )
    subdivision: str | None = Field(default=None, max_length=40, description="Of a part of the country, such as BY.")
    observed: bool = Field(default=True, description="Whether days off in lieu of a holiday on a weekend count.")
    weekdays: tuple[Weekday, ...] = Field(default=(), max_length=7, description="These days of each week: [SAT, SUN].")
    weekend: tuple[Weekday, ...] | None = Field(
        default=None, max_length=6, description="The other way round: every day of the week but these."
    )
    union: tuple[Name, ...] = Field(default=(), max_length=MEMBERS_MAX, description="All that these calendars hold.")
    without: tuple[Name, ...] = Field(
        default=(), alias="except", max_length=MEMBERS_MAX, description="Less all that these calendars hold."
    )

    @field_validator("ics")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ics.parse(value)
            except ValidationFailed as error:
                raise ValueError(error.detail) from error
        return value

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.subdivision is not None and self.country is None:
            message = "`subdivision` needs `country`; write both, such as country DE and subdivision BY"
            raise ValueError(message)
        if self.country is not None:
            check_place(self.country, self.subdivision)
        parts: tuple[Any, ...] = (self.dates, self.ics, self.country, self.weekdays, self.weekend, self.union)
        if not any(part is not None and part != () for part in parts):
            message = "`dates` is empty, as all else; give `dates`, `ics`, `country`, `weekdays`, `weekend` or `union`"
            raise ValueError(message)
        if self.weekdays and self.weekend is not None:
            message = "`weekdays` and `weekend` are both given; keep one of them"
            raise ValueError(message)
        return self

    @cached_property
    def members(self) -> tuple[str, ...]:
        """The calendars that this one is made from, in order."""
        return tuple(dict.fromkeys((*self.union, *self.without)))

    @cached_property
    def weekday_numbers(self) -> frozenset[int]:
        """The days of the week that it holds; 0 is Monday."""
        if self.weekend is not None:
            return frozenset(range(7)) - {WEEKDAYS.index(day) for day in self.weekend}
        return frozenset(WEEKDAYS.index(day) for day in self.weekdays)

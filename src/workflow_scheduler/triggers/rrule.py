"""Runs by a recurrence rule of iCalendar (RFC 5545), with exceptions.

`rrule` is the rule and `dtstart` its beginning, from which the time of day comes and periods are counted. `exdate`
lists times, or whole days, that are left out. A rule copied from a calendar, with DTSTART and EXDATE lines, may be
given as it is. A time of day that a clock change leaves out runs at the first instant after the gap; one that it
doubles runs once. HOURLY and MINUTELY rules follow real time.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal, NamedTuple

from pydantic import Field, field_validator, model_validator

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.registry import Example
from workflow_scheduler.core.time import dst, ical, oddities, rrule_text
from workflow_scheduler.core.time import rrule as rules
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.fire import Fire
from workflow_scheduler.core.time.late import Moment, RecurringConfig

name = "rrule"
title = "Recurrence rule"
icon = "calendar-repeat"
shape = "timer"
since = "0.1"
extras = ""
recurring = True
_LISTED_MAX = 1_000
_SHORTEST_MONTH = 28


class Compiled(NamedTuple):
    """A configuration compiled: what `next_fire` reads."""

    rule: rules.Rule
    zone: zones.Zone
    gap: zones.Gap
    overlap: zones.Overlap
    first: int
    last: int


class Config(RecurringConfig):
    """The rule, its beginning and its exceptions."""

    rrule: str = Field(
        title="Rule",
        description="FREQ=…;INTERVAL=…;BYDAY=… as in RFC 5545.",
        examples=["FREQ=MONTHLY;BYDAY=-1FR", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH"],
    )
    dtstart: Moment = Field(
        title="Beginning",
        description="The first possible time, such as 2027-01-01T09:00:00; without an offset in `timezone`.",
    )
    exdate: tuple[Moment, ...] = Field(
        default=(),
        max_length=_LISTED_MAX,
        title="Exceptions",
        description="Times that are left out; a date such as 2027-12-24 leaves the whole day out.",
    )
    dst_gap: Literal["after", "shift", "skip"] = Field(
        default="after",
        title="Missing times",
        description="A time that does not exist: first instant after the gap, shifted by the gap, or not at all.",
    )
    dst_overlap: Literal["first", "last", "both"] = Field(
        default="first", title="Doubled times", description="A time that exists twice: which copies run."
    )

    @model_validator(mode="before")
    @classmethod
    def _from_calendar(cls, value: Any) -> Any:
        if not isinstance(value, dict) or not isinstance(value.get("rrule"), str):
            return value
        try:
            return ical.spread(value)
        except ValidationFailed as error:
            raise ValueError(error.detail) from error

    @field_validator("rrule")
    @classmethod
    def _readable(cls, value: str) -> str:
        try:
            parts = rrule_text.parse(value)
            if parts.until is not None:
                ical.until(parts.until)
        except ValidationFailed as error:
            raise ValueError(error.detail) from error
        return value.strip()

    @cached_property
    def compiled(self) -> Compiled:
        """The rule on the wall calendar, its zone, policies and bounds."""
        zone = zones.load(self.timezone)
        parts = rrule_text.parse(self.rrule)
        start = ical.wall(self.dtstart, zone)
        first, last = self.bounds
        last_wall = None
        if parts.until is not None:
            limit = ical.until(parts.until)
            last = min(last, limit.instant) if limit.instant is not None else last
            last_wall = limit.wall
        free = frozenset(ical.wall(text, zone) // 86_400 for text in self.exdate if ical.is_date(text))
        excluded = frozenset(ical.wall(text, zone) for text in self.exdate if not ical.is_date(text))
        rule = rules.Rule(parts, start, last_wall, excluded, free)
        return Compiled(rule, zone, self.dst_gap, self.dst_overlap, first, last)


examples = (
    Example(
        title="On the last Friday of each month at five, but not on 31 December 2027",
        config={
            "rrule": "FREQ=MONTHLY;BYDAY=-1FR",
            "dtstart": "2027-01-01T17:00:00",
            "timezone": "Europe/Berlin",
            "exdate": ["2027-12-31"],
        },
        event={
            "triggerType": "recurring",
            "scheduleId": "3d8f0f86-5a0c-5f57-8f6c-2c5f7b1f9d11",
            "scheduledFor": "2027-01-29T16:00:00Z",
            "firedAt": "2027-01-29T16:00:00.004000Z",
            "timezone": "Europe/Berlin",
            "workflowId": "0b7f9c1e-52a4-5d3b-8e6f-7a9c0d1e2f30",
            "workflowVersion": 1,
            "latenessMs": 4,
            "occurrenceId": "3d8f0f86-5a0c-5f57-8f6c-2c5f7b1f9d11:2027-01-29T16:00:00Z",
            "coalescedCount": 0,
        },
    ),
)


def index_keys(config: Config) -> tuple[str, ...]:  # noqa: ARG001 -- the contract of trigger types
    """Return nothing: fires name their trigger."""
    return ()


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: a fire is made for one trigger and always fits it."""
    return TRUE


def timezone(config: Config) -> str:
    """Return the zone of the rule."""
    return config.timezone


def next_fire(config: Config, after: int, anchor: int) -> Fire | None:  # noqa: ARG001 -- `dtstart` is the anchor
    """Return the first fire strictly later than `after` (microseconds UTC) within the bounds, or None."""
    rule, zone, gap, overlap, first, last = config.compiled
    fire = dst.next_fire(rule, zone, max(after, first - 1), gap, overlap)
    return None if fire is None or fire.utc > last else fire


def count(config: Config, after: int, until: int, anchor: int) -> int:  # noqa: ARG001 -- `dtstart` is the anchor
    """Return the number of fires in (after, until]; costs one step per period of the rule."""
    rule, zone, gap, overlap, first, last = config.compiled
    return dst.count(rule, zone, (max(after, first - 1), min(until, last)), gap, overlap)


def describe(config: Config) -> str:
    """Return the schedule in plain English."""
    return f"{rrule_text.sentence(rrule_text.parse(config.rrule))}, from {config.dtstart} on ({config.timezone})"


def check(config: Config, now: int) -> list[FieldError]:
    """Return why this schedule would never fire after `now`; an empty list means that it will."""
    if next_fire(config, now, now) is not None:
        return []
    parts = rrule_text.parse(config.rrule)
    bare = rules.Rule(rrule_text.endless(parts), ical.wall(config.dtstart, config.compiled.zone))
    if bare.next_local(0) is None:
        return [FieldError("rrule", f"`{config.rrule}` never fires: no day has all that it asks for; change a BY part")]
    if parts.count is not None or parts.until is not None:
        return [FieldError("rrule", f"`{config.rrule}` has ended: the schedule would never fire; move its end")]
    if config.end_at is not None:
        return [FieldError("end_at", f"there is no fire before `{config.end_at}`; write a later time")]
    return [FieldError("exdate", "all times of the rule are left out; the schedule would never fire")]


def warnings(config: Config, now: int) -> list[str]:
    """Return what may surprise: fires moved by clock changes in the next year, and days that some months lack."""
    rule, zone, gap, overlap, _, _ = config.compiled
    parts = rrule_text.parse(config.rrule)
    found = oddities.clock_changes(rule, zone, now, gap, overlap)
    days = parts.monthday or ((int(config.dtstart[8:10]),) if parts.freq == "MONTHLY" and not parts.day else ())
    if parts.freq == "MONTHLY" and days and days[0] > _SHORTEST_MONTH:
        found.append(f"day {days[0]} leaves out months that have no such day; BYMONTHDAY=-1 is the last day")
    if not rule.fixed and {"dst_gap", "dst_overlap"} & config.model_fields_set:
        found.append(f"dst_gap and dst_overlap have no effect: FREQ={parts.freq} follows real time")
    return found

"""Runs at the times of a cron expression, in a time zone.

Five fields (minute, hour, day of month, month, day of week) with names, ranges that may wrap around (`FRI-MON`), steps,
lists, `L`, `L-3`, `LW`, `15W`, `FRIL`, `FRI#2`, and nicknames such as `@daily`. Where both day fields are set, either
of them suffices. A fixed time that a clock change leaves out runs at the first instant after the gap; one that it
doubles runs once. Expressions with `*` in the minute or hour follow real time.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal, NamedTuple

from pydantic import AliasChoices, Field, field_validator

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.registry import Example
from workflow_scheduler.core.time import cron as crons
from workflow_scheduler.core.time import dst, oddities
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.fire import Fire
from workflow_scheduler.core.time.late import RecurringConfig

name = "cron"
title = "Cron"
icon = "clock"
shape = "timer"
since = "0.1"
extras = ""
recurring = True


class Rule(NamedTuple):
    """A configuration compiled: what `next_fire` reads."""

    cron: crons.Cron
    zone: zones.Zone
    gap: zones.Gap
    overlap: zones.Overlap
    first: int
    last: int


class Config(RecurringConfig):
    """When to run, in which zone, and what to do at clock changes and after downtime."""

    cron: str = Field(
        validation_alias=AliasChoices("cron", "cron_expression"),
        title="Cron expression",
        description="Five fields: minute, hour, day of month, month, day of week; or a nickname such as @daily.",
        examples=["0 2 * * *", "*/15 9-17 * * MON-FRI", "0 6 LW * *"],
    )
    dst_gap: Literal["after", "shift", "skip"] = Field(
        default="after",
        title="Missing times",
        description="A fixed time that does not exist: first instant after the gap, shifted by the gap, or not at all.",
    )
    dst_overlap: Literal["first", "last", "both"] = Field(
        default="first", title="Doubled times", description="A fixed time that exists twice: which copies run."
    )

    @field_validator("cron")
    @classmethod
    def _readable(cls, value: str) -> str:
        try:
            return crons.parse(value).expression
        except ValidationFailed as error:
            lines = [item.message for item in error.errors] or [error.detail]
            raise ValueError("; ".join(lines)) from error

    @cached_property
    def rule(self) -> Rule:
        """The compiled expression, zone, policies and bounds."""
        zone = zones.load(self.timezone)
        return Rule(crons.parse(self.cron), zone, self.dst_gap, self.dst_overlap, *self.bounds)


examples = (
    Example(
        title="Every night at two in New York",
        config={"cron": "0 2 * * *", "timezone": "America/New_York", "catchup": "latest", "jitter": "30s"},
        event={
            "triggerType": "recurring",
            "scheduleId": "5e0d6a0e-3f0c-5f4e-9d7a-2d1f3b6c8a90",
            "scheduledFor": "2027-03-15T06:00:00Z",
            "firedAt": "2027-03-15T06:00:12.250000Z",
            "timezone": "America/New_York",
            "workflowId": "0b7f9c1e-52a4-5d3b-8e6f-7a9c0d1e2f30",
            "workflowVersion": 1,
            "latenessMs": 250,
            "occurrenceId": "5e0d6a0e-3f0c-5f4e-9d7a-2d1f3b6c8a90:2027-03-15T06:00:00Z",
            "coalescedCount": 0,
            "cron": "0 2 * * *",
        },
    ),
)


def index_keys(config: Config) -> tuple[str, ...]:
    """Return the expression: fires name their trigger, so the key serves lists and searches only."""
    return (config.cron,)


def matches(config: Config, event: EventView) -> Verdict:  # noqa: ARG001 -- the contract of trigger types
    """Return true: a fire is made for one trigger and always fits it."""
    return TRUE


def timezone(config: Config) -> str:
    """Return the zone of the expression."""
    return config.timezone


def next_fire(config: Config, after: int, anchor: int) -> Fire | None:  # noqa: ARG001 -- cron times have no anchor
    """Return the first fire strictly later than `after` (microseconds UTC) within the bounds, or None."""
    cron, zone, gap, overlap, first, last = config.rule
    fire = dst.next_fire(cron, zone, after if after >= first else first - 1, gap, overlap)
    return None if fire is None or fire.utc > last else fire


def count(config: Config, after: int, until: int, anchor: int) -> int:  # noqa: ARG001 -- cron times have no anchor
    """Return the number of fires in (after, until]; costs one step per month."""
    cron, zone, gap, overlap, first, last = config.rule
    return dst.count(cron, zone, (max(after, first - 1), min(until, last)), gap, overlap)


def describe(config: Config) -> str:
    """Return the schedule in plain English."""
    return f"{crons.describe(config.rule.cron)} ({config.timezone})"


def check(config: Config, now: int) -> list[FieldError]:
    """Return why this schedule would never fire after `now`; an empty list means that it will."""
    if next_fire(config, now, now) is not None:
        return []
    if config.rule.last <= now:
        return [FieldError("end_at", f"`{config.end_at}` is past: the schedule would never fire; write a later time")]
    if dst.next_utc(config.rule.cron, config.rule.zone, now, "after", "first") is None:
        text = f"`{config.cron}` never fires in {config.timezone}: all its times fall into clock changes"
        return [FieldError("cron", f"{text}; choose another time of day")]
    if config.rule.last < (1 << 60):
        return [FieldError("end_at", f"`{config.cron}` has no fire before `{config.end_at}`; write a later time")]
    text = f"`{config.cron}` never fires in {config.timezone}: all its times are missing at clock changes"
    return [FieldError("dst_gap", f"{text} and `skip` drops them; write `after`")]


def warnings(config: Config, now: int) -> list[str]:
    """Return what may surprise: fires moved by clock changes in the next year, and ambiguous spellings."""
    cron, zone, gap, overlap, _, _ = config.rule
    found = oddities.pitfalls(cron) + oddities.clock_changes(cron, zone, now, gap, overlap)
    if not cron.fixed and {"dst_gap", "dst_overlap"} & config.model_fields_set:
        found.append("dst_gap and dst_overlap have no effect: with `*` in minute or hour the expression is real time")
    return found

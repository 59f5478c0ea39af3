"""Runs again and again after a fixed span of elapsed time.

Counts real time from an anchor, by default the moment of deployment; clock changes play no part. For times of the
calendar (every day at two) use `cron`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated

from pydantic import Field

from workflow_scheduler.core.errors import FieldError
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.registry import Example
from workflow_scheduler.core.time import interval
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.fire import Fire
from workflow_scheduler.core.time.late import Moment, RecurringConfig, duration_text, microseconds

name = "interval"
title = "Interval"
icon = "repeat"
shape = "timer"
since = "0.1"
extras = ""
recurring = True
anchored = True


class Config(RecurringConfig):
    """How often to run, and from which instant to count."""

    every: Annotated[Duration, Field(ge=1, le=3653 * 86_400)] = Field(
        title="Every", description="The span between two runs: 90s, 15m, 2h or 7d; at least one second."
    )
    anchor: Moment | None = Field(
        default=None, title="Anchor", description="The instant to count from; by default the first deployment."
    )

    @cached_property
    def span(self) -> tuple[int, int | None]:
        """The span and the anchor, if one is set, in microseconds."""
        anchor = None if self.anchor is None else zones.instant(self.anchor, zones.load(self.timezone))[0]
        return microseconds(self.every), anchor


examples = (
    Example(
        title="Every ten minutes",
        config={"every": "10m"},
        event={
            "triggerType": "recurring",
            "scheduleId": "9a1c2d3e-4f50-5b6a-8c7d-0e1f2a3b4c5d",
            "scheduledFor": "2027-03-15T06:10:00Z",
            "firedAt": "2027-03-15T06:10:00.003000Z",
            "timezone": "UTC",
            "workflowId": "0b7f9c1e-52a4-5d3b-8e6f-7a9c0d1e2f30",
            "workflowVersion": 1,
            "latenessMs": 3,
            "occurrenceId": "9a1c2d3e-4f50-5b6a-8c7d-0e1f2a3b4c5d:2027-03-15T06:10:00Z",
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
    """Return the zone in which local times are shown."""
    return config.timezone


def next_fire(config: Config, after: int, anchor: int) -> Fire | None:
    """Return the first fire strictly later than `after` (microseconds UTC) within the bounds, or None."""
    every, own_anchor = config.span
    first, last = config.bounds
    instant = interval.next_instant(every, anchor if own_anchor is None else own_anchor, max(after, first - 1))
    if instant > min(last, zones.LATEST * 1_000_000):
        return None
    zone = zones.load(config.timezone)
    return Fire(instant, zone.local(instant), zone.fold(instant))


def count(config: Config, after: int, until: int, anchor: int) -> int:
    """Return the number of fires in (after, until]."""
    every, own_anchor = config.span
    first, last = config.bounds
    start = anchor if own_anchor is None else own_anchor
    return interval.count(every, start, max(after, first - 1), min(until, last))


def describe(config: Config) -> str:
    """Return the schedule in plain English."""
    return f"Every {duration_text(config.span[0])}"


def check(config: Config, now: int) -> list[FieldError]:
    """Return why this schedule would never fire after `now`; an empty list means that it will."""
    if next_fire(config, now, now) is not None:
        return []
    return [FieldError("end_at", f"there is no fire before `{config.end_at}`; write a later time")]


def warnings(config: Config, now: int) -> list[str]:  # noqa: ARG001 -- the contract of time triggers
    """Return what may surprise about the jitter."""
    if config.jitter >= config.every:
        return ["jitter is not smaller than `every`: each fire is spread up to the next one"]
    return []

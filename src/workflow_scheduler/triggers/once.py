"""Runs once, at one point in time.

The schedule stays visible as completed and never fires again. If nothing was running at that time, it fires late.
"""

from __future__ import annotations

from functools import cached_property

from pydantic import AliasChoices, Field

from workflow_scheduler.core.errors import FieldError
from workflow_scheduler.core.match.verdict import TRUE, Verdict
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.registry import Example
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.core.time.fire import Fire
from workflow_scheduler.core.time.late import ALWAYS_US, Catchup, LatePolicy, Moment, ZonedConfig, microseconds

name = "once"
title = "Once"
icon = "calendar"
shape = "timer"
since = "0.1"
extras = ""
recurring = False


class Config(ZonedConfig):
    """The point in time; without an offset it is a wall time in `timezone`."""

    run_at: Moment = Field(
        validation_alias=AliasChoices("run_at", "at"),
        title="Run at",
        description="ISO 8601, such as 2027-03-15T09:30:00 (in `timezone`) or 2027-03-15T08:30:00Z.",
    )

    on_resume: Catchup | None = Field(
        default=None,
        title="After a pause",
        description="Whether it runs late when its time passed during a pause: `latest` or `none`. By default it does "
        "where the pause ended by itself, and does not where somebody resumed it.",
    )

    @cached_property
    def moment(self) -> Fire:
        """The one fire, with a note where the wall time is missing or doubled."""
        zone = zones.load(self.timezone)
        instant, kind = zones.instant(self.run_at, zone)
        local = zone.local(instant)
        note = None
        if kind == "gap":
            note = f"{self.run_at} does not exist in {self.timezone}; runs {local}"
        elif kind == "fold":
            note = f"{self.run_at} happens twice in {self.timezone}; runs the first time"
        return Fire(instant, local, zone.fold(instant), note)

    @cached_property
    def late_policy(self) -> LatePolicy:
        """A one-time schedule fires late, however late it is."""
        return LatePolicy(jitter=microseconds(self.jitter), window=ALWAYS_US)


examples = (
    Example(
        title="Once, on a Monday morning in Berlin",
        config={"run_at": "2027-03-15T09:30:00", "timezone": "Europe/Berlin"},
        event={
            "triggerType": "schedule",
            "scheduleId": "c4b3a291-8f7e-5d6c-9b5a-4f3e2d1c0b9a",
            "scheduledFor": "2027-03-15T08:30:00Z",
            "firedAt": "2027-03-15T08:30:00.002000Z",
            "timezone": "Europe/Berlin",
            "workflowId": "0b7f9c1e-52a4-5d3b-8e6f-7a9c0d1e2f30",
            "workflowVersion": 1,
            "latenessMs": 2,
            "occurrenceId": "c4b3a291-8f7e-5d6c-9b5a-4f3e2d1c0b9a:2027-03-15T08:30:00Z",
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
    """Return the zone of the wall time."""
    return config.timezone


def next_fire(config: Config, after: int, anchor: int) -> Fire | None:  # noqa: ARG001 -- one time has no anchor
    """Return the one fire where it is strictly later than `after` (microseconds UTC), else None."""
    return config.moment if config.moment.utc > after else None


def count(config: Config, after: int, until: int, anchor: int) -> int:  # noqa: ARG001 -- one time has no anchor
    """Return 1 where the one fire lies in (after, until], else 0."""
    return int(after < config.moment.utc <= until)


def describe(config: Config) -> str:
    """Return the schedule in plain English."""
    return f"Once, at {config.moment.local} ({config.timezone})"


def check(config: Config, now: int) -> list[FieldError]:
    """Return an error where the time is past: a one-time schedule is refused when it is saved too late."""
    if config.moment.utc > now:
        return []
    message = f"`{config.run_at}` ({to_iso(config.moment.utc)}) is past; write a time after {to_iso(now)}"
    return [FieldError("run_at", message)]


def warnings(config: Config, now: int) -> list[str]:  # noqa: ARG001 -- the contract of time triggers
    """Return a sentence where a clock change makes the wall time missing or doubled."""
    return [config.moment.note] if config.moment.note else []

"""What every time trigger can be told about lateness, and the fields of its configuration."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal, Self

import msgspec
from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.registry import Config
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.calendars.use import CalendarUse
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from workflow_scheduler.core.time.exclusion import Exclusion

Catchup = Literal["none", "latest", "all"]
ALWAYS_US = 1 << 62
_UNITS = {"s": SECOND_US, "m": MINUTE_US, "h": HOUR_US}
_RATE_MAX = 100_000
_DAY, _MONTH, _DECADE = 86_400, 31 * 86_400, 3653 * 86_400


class LatePolicy(msgspec.Struct, frozen=True, gc=False):
    """The policy for late fires in microseconds: within `grace` a fire is on time; `most` bounds what `all` runs."""

    jitter: int = 0
    grace: int = MINUTE_US
    catchup: Catchup = "latest"
    window: int = DAY_US
    most: int = 100


DEFAULT_POLICY = LatePolicy()
ONE_TIME_POLICY = LatePolicy(window=ALWAYS_US)


def policy_of(config: object) -> LatePolicy:
    """Return the policy of a time trigger's configuration, or the default where it has none."""
    policy = getattr(config, "late_policy", None)
    return policy if isinstance(policy, LatePolicy) else DEFAULT_POLICY


def skipped_of(config: object) -> frozenset[int]:
    """Return the nominal instants (microseconds) at which a time trigger is told not to run."""
    skipped = getattr(config, "skipped", None)
    return skipped if isinstance(skipped, frozenset) else frozenset()


def _moment(value: object) -> object:
    text = value.isoformat() if isinstance(value, datetime) else value
    if not isinstance(text, str):
        return value
    try:
        zones.instant(text, zones.load("UTC"))
    except (ValueError, OverflowError) as error:
        message = f"`{text[:60]}` is not a date-time; write it as 2027-03-14T09:30:00 or 2027-03-14T09:30:00Z"
        raise ValueError(message) from error
    return text.strip()


Moment = Annotated[
    str, BeforeValidator(_moment), Field(description="ISO 8601; without an offset it is taken in `timezone`.")
]


class ZonedConfig(Config):
    """A configuration with a time zone and jitter."""

    timezone: str = Field(
        default="UTC", title="Time zone", description="IANA name, such as Europe/Berlin.", examples=["America/New_York"]
    )
    jitter: Annotated[Duration, Field(le=_DAY)] = Field(
        default=0.0, title="Jitter", description="Spread starts over this long after the nominal time, such as 30s."
    )

    skip: tuple[Moment, ...] = Field(
        default=(),
        max_length=1000,
        title="Skipped times",
        description="Times that do not run and are recorded as skipped, such as 2027-12-24T09:00:00.",
    )
    calendars: CalendarUse | None = Field(
        default=None,
        title="Calendars",
        description="Days on which it does not run, or alone runs, and whether such times move to a free day.",
        examples=[{"exclude": ["us-holidays"], "only": ["working-days"], "shift": "next_business_day"}],
    )
    _exclusion: Exclusion | None = PrivateAttr(default=None)

    @property
    def exclusion(self) -> Exclusion | None:
        """What keeps times from running beside `skip`; it comes with the tenant's data, not with the file."""
        return self._exclusion

    def exclude_by(self, exclusion: Exclusion) -> None:
        """Let `exclusion` decide; only for a copy that nobody else has, see `core.time.exclusion.excluding`."""
        self._exclusion = exclusion

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zones.load(value)
        except ValidationFailed as error:
            raise ValueError(error.detail) from error
        return value

    @cached_property
    def skipped(self) -> frozenset[int]:
        """The instants, in microseconds, at which the trigger does not run."""
        zone = zones.load(self.timezone)
        return frozenset(zones.instant(text, zone)[0] for text in self.skip)


class RecurringConfig(ZonedConfig):
    """The fields that every recurring trigger has."""

    catchup: Catchup = Field(
        default="latest",
        title="Missed fires",
        description="What to run after downtime: nothing, one run for all missed fires, or each of them.",
    )
    misfire_grace: Annotated[Duration, Field(le=_DAY)] = Field(
        default=60.0, title="Grace", description="A fire that is late by no more than this counts as on time."
    )
    catchup_window: Annotated[Duration, Field(le=_DECADE)] = Field(
        default=86_400.0, title="Catch-up window", description="Fires missed longer ago than this are never run."
    )
    catchup_max: int = Field(
        default=100, ge=1, le=1000, title="Catch-up limit", description="At most this many missed fires are run."
    )
    catchup_rate: str | None = Field(
        default=None,
        title="Catch-up rate",
        description="At most so many missed fires start per second, minute or hour: 2/s, 10/m or 100/h.",
        examples=["10/m"],
    )
    max_fires: int | None = Field(
        default=None, ge=1, le=1_000_000_000, title="Fires", description="The schedule is completed after so many runs."
    )
    pause_after_failures: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        title="Pause after failures",
        description="The schedule is paused after so many of its runs in a row have failed.",
    )
    on_resume: Catchup | None = Field(
        default=None,
        title="After a pause",
        description="What to run of the times that passed during a pause: nothing (the default), the latest, or all.",
    )
    start_at: Moment | None = Field(default=None, title="Start", description="No fire before this time.")
    end_at: Moment | None = Field(default=None, title="End", description="No fire after this time.")

    @field_validator("catchup_window")
    @classmethod
    def _has_a_window(cls, value: float) -> float:
        if value <= 0:
            message = "a window of 0 would run nothing that was missed: write a time such as 24h, or `catchup: none`"
            raise ValueError(message)
        return value

    @field_validator("catchup_rate")
    @classmethod
    def _readable_rate(cls, value: str | None) -> str | None:
        if value is not None:
            _gap(value)
        return value

    @cached_property
    def catchup_gap(self) -> int | None:
        """The time between the starts of two missed fires, in microseconds, or None."""
        return None if self.catchup_rate is None else _gap(self.catchup_rate)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.bounds[0] > self.bounds[1]:
            message = "`end_at` lies before `start_at`"
            raise ValueError(message)
        return self

    @cached_property
    def late_policy(self) -> LatePolicy:
        """The policy for late fires, in microseconds."""
        return LatePolicy(
            jitter=microseconds(self.jitter),
            grace=microseconds(self.misfire_grace),
            catchup=self.catchup,
            window=microseconds(self.catchup_window),
            most=self.catchup_max,
        )

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """The first and the last instant, in microseconds, at which the trigger may fire."""
        zone = zones.load(self.timezone)
        first = -ALWAYS_US if self.start_at is None else zones.instant(self.start_at, zone)[0]
        last = ALWAYS_US if self.end_at is None else zones.instant(self.end_at, zone)[0]
        return first, last


def _gap(rate: str) -> int:
    """Return the microseconds between two starts at a rate such as `10/m`."""
    number, _, unit = rate.replace(" ", "").partition("/")
    if unit not in _UNITS or not (number.isascii() and number.isdigit()) or not 1 <= int(number[:7]) <= _RATE_MAX:
        message = f"`{rate[:40]}` is not a rate; write a whole number and s, m or h, such as 10/m"
        raise ValueError(message)
    return -(-_UNITS[unit] // int(number[:7]))


def microseconds(seconds: float) -> int:
    """Return a duration in seconds as whole microseconds."""
    return round(seconds * SECOND_US)


def duration_text(us: int) -> str:
    """Return microseconds as people write durations: `90s`, `15m`, `2h`, `7d`."""
    for unit, letter in ((DAY_US, "d"), (HOUR_US, "h"), (MINUTE_US, "m")):
        if us >= unit and us % unit == 0:
            return f"{us // unit}{letter}"
    return f"{us / SECOND_US:g}s"

"""Blackout windows: stretches of time in which the time triggers of some workflows start nothing.

A window is one-off (`from`, `to`) or recurring (`cron` or `rrule`, with a `duration`, in a zone). In a window with
`skip`, times are left out; with `defer` they wait for its end, where the trigger's `catchup` says what runs of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError, field_validator

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.match.name import name_matches
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.registry import Config
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.exclusion import FOR_EVER_US, Excluded
from workflow_scheduler.core.time.late import Moment, microseconds
from workflow_scheduler.core.time.timer import Timer

JOINED_MAX = 1_000
_YEAR = 366 * 86_400


class Blackout(Config):
    """What a window is made of."""

    mode: Literal["defer", "skip"] = Field(
        default="defer", description="What becomes of its times: they wait for the end, or are left out."
    )
    workflows: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = Field(
        default=("*",), min_length=1, max_length=200, description="Names of workflows, or patterns such as etl-*."
    )
    timezone: str = Field(default="UTC", max_length=100, description="IANA name.")
    start: Moment | None = Field(default=None, alias="from", description="Beginning of a one-off window, ISO 8601.")
    end: Moment | None = Field(default=None, alias="to", description="Its end, exclusive.")
    cron: str | None = Field(default=None, max_length=500, description="Beginnings of a recurring window.")
    rrule: str | None = Field(default=None, max_length=20_000, description="The same as a recurrence rule.")
    dtstart: str | None = Field(default=None, max_length=64, description="Beginning of `rrule`.")
    duration: Annotated[Duration, Field(le=_YEAR)] | None = Field(
        default=None, description="Length of a recurring window: 30m, 2h or 3d."
    )
    reason: str = Field(default="", max_length=500, description="Why; shown to people.")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            zones.load(value)
        except ValidationFailed as error:
            raise ValueError(error.detail) from error
        return value


class Window(NamedTuple):
    """A window ready to be asked; `once` is [start, end) in microseconds, else `timer` names its beginnings."""

    name: str
    mode: str
    workflows: tuple[str, ...]
    once: tuple[int, int] | None
    timer: Timer | None = None
    length: int = 0

    def concerns(self, workflow: str) -> bool:
        """Return whether the window holds for a workflow of this name."""
        return any(name_matches(pattern, workflow) for pattern in self.workflows)

    def around(self, instant: int) -> tuple[int, int] | None:
        """Return the [start, end) of the window around `instant`, windows that touch joined, or None."""
        if self.timer is None:
            return self.once if self.once is not None and self.once[0] <= instant < self.once[1] else None
        fire = self.timer.after(instant - self.length)
        if fire is None or fire.utc > instant:
            return None
        start, end = fire.utc, fire.utc + self.length
        for _ in range(JOINED_MAX):
            fire = self.timer.after(fire.utc)
            if fire is None or fire.utc > end:
                break
            end = fire.utc + self.length
        return start, end

    def begins_after(self, instant: int) -> int:
        """Return the next beginning later than `instant`, or an instant later than all times."""
        if self.timer is None:
            return self.once[0] if self.once is not None and self.once[0] > instant else FOR_EVER_US
        fire = self.timer.after(instant)
        return FOR_EVER_US if fire is None else fire.utc


class Skipping(NamedTuple):
    """The exclusion that windows with `skip` are."""

    windows: tuple[Window, ...]

    def of(self, instant: int) -> Excluded | None:
        """Return the window that leaves a fire at `instant` out."""
        for window in self.windows:
            if window.around(instant) is not None:
                return Excluded(Reason.BLACKOUT, f"blackout {window.name}")
        return None

    def steady_until(self, instant: int) -> int:
        """Return when a window ends or begins."""
        ends = (window.around(instant) for window in self.windows)
        bounds = [
            window.begins_after(instant) if span is None else span[1]
            for window, span in zip(self.windows, ends, strict=True)
        ]
        return min(bounds, default=FOR_EVER_US)


def held_until(windows: Sequence[Window], instant: int, mode: str | None = None) -> int | None:
    """Return the end of the windows (of a mode) around `instant`, or None where there is none."""
    spans = [window.around(instant) for window in windows if mode in (None, window.mode)]
    return max((span[1] for span in spans if span is not None), default=None)


def window_of(types: Mapping[str, ModuleType], name: str, body: Mapping[str, Any]) -> Window:
    """Return the window that a body means.

    Raises:
        ValidationFailed: a field is missing, wrong, or makes a window without length; the errors name each.

    """
    try:
        blackout = Blackout.model_validate(dict(body))
    except ValidationError as error:
        lines = [
            FieldError(".".join(str(part) for part in line["loc"]), line["msg"].removeprefix("Value error, "))
            for line in error.errors(include_url=False)
        ]
        raise _refused(lines) from None
    problems = list(_problems(blackout))
    if problems:
        raise _refused(problems)
    if blackout.start is not None and blackout.end is not None:
        zone = zones.load(blackout.timezone)
        span = zones.instant(blackout.start, zone)[0], zones.instant(blackout.end, zone)[0]
        if span[1] <= span[0]:
            raise _refused([FieldError("to", "the window has no length: write a `to` later than `from`")])
        return Window(name, blackout.mode, blackout.workflows, span)
    return Window(name, blackout.mode, blackout.workflows, None, _timer(types, blackout), _length(blackout))


def _problems(blackout: Blackout) -> list[FieldError]:
    found = []
    once = blackout.start is not None or blackout.end is not None
    recurring = [field for field in ("cron", "rrule") if getattr(blackout, field) is not None]
    if once and recurring:
        found.append(FieldError(recurring[0], "a window has either `from` and `to`, or `cron` or `rrule`; remove one"))
    elif once and blackout.start is None:
        found.append(FieldError("from", "a one-off window needs `from` as well as `to`"))
    elif once and blackout.end is None:
        found.append(FieldError("to", "a one-off window needs `to` as well as `from`"))
    elif once and blackout.duration is not None:
        found.append(FieldError("duration", "a one-off window ends at `to`; remove `duration`"))
    elif not once and len(recurring) != 1:
        found.append(FieldError("from", "a window needs `from` and `to`, or one of `cron` and `rrule` with `duration`"))
    elif recurring and not blackout.duration:
        found.append(FieldError("duration", "the window has no length: write a `duration` such as 2h"))
    return found


def _length(blackout: Blackout) -> int:
    return microseconds(blackout.duration or 0.0)


def _timer(types: Mapping[str, ModuleType], blackout: Blackout) -> Timer:
    kind = "cron" if blackout.cron is not None else "rrule"
    fields = {"cron": blackout.cron, "rrule": blackout.rrule, "dtstart": blackout.dtstart}
    module: Any = types[kind]
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        config = module.Config.model_validate({**given, "timezone": blackout.timezone})
    except ValidationError as error:
        lines = [
            FieldError(".".join(str(part) for part in line["loc"]) or kind, line["msg"].removeprefix("Value error, "))
            for line in error.errors(include_url=False)
        ]
        raise _refused(lines) from None
    return Timer(module, config, "", 0)


def _refused(errors: list[FieldError]) -> ValidationFailed:
    return ValidationFailed(f"{errors[0].field}: {errors[0].message}", errors=errors)

"""Made from the trigger type `interval` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Interval(Trigger):
    """Runs again and again after a fixed span of elapsed time.

    Attributes:
        timezone: IANA name, such as Europe/Berlin.
        jitter: Spread starts over this long after the nominal time, such as 30s.
        skip: Times that do not run and are recorded as skipped, such as 2027-12-24T09:00:00.
        calendars: Days on which it does not run, or alone runs, and whether such times move to a free day.
        catchup: What to run after downtime: nothing, one run for all missed fires, or each of them.
        misfire_grace: A fire that is late by no more than this counts as on time.
        catchup_window: Fires missed longer ago than this are never run.
        catchup_max: At most this many missed fires are run.
        catchup_rate: At most so many missed fires start per second, minute or hour: 2/s, 10/m or 100/h.
        max_fires: The schedule is completed after so many runs.
        pause_after_failures: The schedule is paused after so many of its runs in a row have failed.
        on_resume: What to run of the times that passed during a pause: nothing (the default), the latest, or all.
        start_at: No fire before this time.
        end_at: No fire after this time.
        every: The span between two runs: 90s, 15m, 2h or 7d; at least one second.
        anchor: The instant to count from; by default the first deployment.

    """

    type: ClassVar[str] = "interval"
    every: str | float
    _: KW_ONLY
    timezone: str | UnsetType = UNSET
    jitter: str | float | UnsetType = UNSET
    skip: Sequence[str] | UnsetType = UNSET
    calendars: Mapping[str, Any] | UnsetType | None = UNSET
    catchup: Literal["none", "latest", "all"] | UnsetType = UNSET
    misfire_grace: str | float | UnsetType = UNSET
    catchup_window: str | float | UnsetType = UNSET
    catchup_max: int | UnsetType = UNSET
    catchup_rate: str | UnsetType | None = UNSET
    max_fires: int | UnsetType | None = UNSET
    pause_after_failures: int | UnsetType | None = UNSET
    on_resume: Literal["none", "latest", "all"] | UnsetType | None = UNSET
    start_at: str | UnsetType | None = UNSET
    end_at: str | UnsetType | None = UNSET
    anchor: str | UnsetType | None = UNSET

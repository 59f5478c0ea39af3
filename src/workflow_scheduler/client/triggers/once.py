"""Made from the trigger type `once` by `make docs`; change the type, not this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

from msgspec import UNSET, UnsetType

from workflow_scheduler.client.trigger import Trigger


@dataclass(frozen=True)
class Once(Trigger):
    """Runs once, at one point in time.

    Attributes:
        timezone: IANA name, such as Europe/Berlin.
        jitter: Spread starts over this long after the nominal time, such as 30s.
        skip: Times that do not run and are recorded as skipped, such as 2027-12-24T09:00:00.
        calendars: Days on which it does not run, or alone runs, and whether such times move to a free day.
        run_at: ISO 8601, such as 2027-03-15T09:30:00 (in `timezone`) or 2027-03-15T08:30:00Z.
        on_resume: Whether it runs late when its time passed during a pause: `latest` or `none`. By default it …

    """

    type: ClassVar[str] = "once"
    run_at: str
    _: KW_ONLY
    timezone: str | UnsetType = UNSET
    jitter: str | float | UnsetType = UNSET
    skip: Sequence[str] | UnsetType = UNSET
    calendars: Mapping[str, Any] | UnsetType | None = UNSET
    on_resume: Literal["none", "latest", "all"] | UnsetType | None = UNSET

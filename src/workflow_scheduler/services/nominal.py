"""The nominal times of a schedule around an instant, from its trigger type alone (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from workflow_scheduler.core.registry import Fire
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US
from workflow_scheduler.core.time.exclusion import Excluded, exclusion_of
from workflow_scheduler.core.time.late import Catchup, skipped_of
from workflow_scheduler.core.time.rest import on_resume
from workflow_scheduler.services.schedule_config import stored

_LOOK_BACK = (HOUR_US, DAY_US, 8 * DAY_US, 35 * DAY_US, 400 * DAY_US, 3_000 * DAY_US)
_STEPS_MAX = 4_000


class ExcludedSpan(NamedTuple):
    """`number` nominal times from `first` to `last` (instants, both included) that do not run, for one reason."""

    first: int
    last: int
    why: Excluded
    number: int


class Timetable:
    """A configured timer: which times it names. `anchor` is when its trigger was created, microseconds."""

    def __init__(self, module: ModuleType, config: Any, anchor: int) -> None:
        """Ask `module` about `config`, the validated configuration."""
        self._module: Any = module
        self._config = config
        self._anchor = anchor

    @classmethod
    def parse(cls, types: Mapping[str, ModuleType], kind: str, config: bytes | str, anchor: int) -> Timetable:
        """Return the timetable of a stored trigger.

        Raises:
            ValidationFailed: the type is not installed, or the stored configuration cannot be read.

        """
        return cls(*stored(types, kind, config), anchor)

    @property
    def timezone(self) -> str:
        """The IANA name of the zone its times are written in."""
        return str(self._module.timezone(self._config))

    @property
    def skipped(self) -> frozenset[int]:
        """The instants at which its configuration says that it does not run."""
        return skipped_of(self._config)

    def on_resume(self, *, by_itself: bool) -> Catchup:
        """Return what runs of the times that pass during a pause; `by_itself` where the pause has an end."""
        return on_resume(self._module, self._config, by_itself=by_itself)

    def excluded(self, instant: int) -> Excluded | None:
        """Return why a fire at `instant` does not run by the calendars of its configuration, or None."""
        exclusion = exclusion_of(self._config)
        return None if exclusion is None else exclusion.of(instant)

    def exclusions(self, since: int, until: int) -> list[ExcludedSpan]:
        """Return the spans of [since, until) in which an exclusion keeps fires from running, with their numbers."""
        exclusion = exclusion_of(self._config)
        found: list[ExcludedSpan] = []
        at = since
        while exclusion is not None and at < until:
            end, why = min(exclusion.steady_until(at), until), exclusion.of(at)
            number = 0 if why is None else self.count(at - 1, end - 1)
            if why is not None and number:
                found.append(ExcludedSpan(at, end - 1, why, number))
            at = end
        return found

    def after(self, instant: int) -> Fire | None:
        """Return the first nominal time later than `instant`."""
        found: Fire | None = self._module.next_fire(self._config, instant, self._anchor)
        return found

    def count(self, after: int, until: int) -> int:
        """Return the number of nominal times in (after, until]; types that cannot count are walked through."""
        if until <= after:
            return 0
        if hasattr(self._module, "count"):
            return int(self._module.count(self._config, after, until, self._anchor))
        return len(self.between(after + 1, until + 1, until - after))

    def at(self, instant: int) -> Fire | None:
        """Return the nominal time at exactly `instant`, if there is one."""
        fire = self.after(instant - 1)
        return fire if fire is not None and fire.utc == instant else None

    def before(self, instant: int) -> Fire | None:
        """Return the last nominal time earlier than `instant`, looking back about eight years."""
        for span in _LOOK_BACK:
            last: Fire | None = None
            fire = self.after(instant - span - 1)
            for _ in range(_STEPS_MAX):
                if fire is None or fire.utc >= instant:
                    break
                last, fire = fire, self.after(fire.utc)
            if last is not None:
                return last
        return None

    def meant(self, instant: int) -> Fire | None:
        """Return the nominal time that somebody who writes `instant` to the minute means."""
        exact = self.at(instant)
        if exact is not None:
            return exact
        minute = instant - instant % MINUTE_US
        fire = self.after(minute - 1)
        return fire if fire is not None and fire.utc < minute + MINUTE_US else None

    def between(self, since: int, until: int, limit: int) -> list[Fire]:
        """Return at most `limit` nominal times in [since, until)."""
        found: list[Fire] = []
        fire = self.after(since - 1)
        while fire is not None and fire.utc < until and len(found) < limit:
            found.append(fire)
            fire = self.after(fire.utc)
        return found

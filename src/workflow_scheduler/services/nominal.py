"""The nominal times of a schedule around an instant, from its trigger type alone (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from workflow_scheduler.core.registry import Fire
from workflow_scheduler.core.time import pieces
from workflow_scheduler.core.time.calendars.shift import Shifted
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US
from workflow_scheduler.core.time.exclusion import Excluded, exclusion_of
from workflow_scheduler.core.time.late import Catchup, skipped_of
from workflow_scheduler.core.time.rest import on_resume
from workflow_scheduler.core.time.timer import Timer
from workflow_scheduler.services.schedule_config import stored
from workflow_scheduler.stores.portable.calendar_book import CalendarBook

_LOOK_BACK = (HOUR_US, DAY_US, 8 * DAY_US, 35 * DAY_US, 400 * DAY_US, 3_000 * DAY_US)
_STEPS_MAX = 4_000


class ExcludedSpan(NamedTuple):
    """`number` nominal times from `first` to `last` (instants, both included) that do not run, for one reason."""

    first: int
    last: int
    why: Excluded
    number: int


class StoredTimer(Protocol):
    """A stored time trigger: its tenant, type, configuration (JSON) and anchor."""

    @property
    def tenant_id(self) -> str:
        """The tenant that owns it."""
        ...

    @property
    def type(self) -> str:
        """Its trigger type."""
        ...

    @property
    def config(self) -> str:
        """Its configuration."""
        ...

    @property
    def anchor(self) -> int:
        """The instant its times are counted from, microseconds."""
        ...


class Timetable:
    """A configured timer: which times it names. `anchor` is when its trigger was created, microseconds."""

    def __init__(self, module: ModuleType, config: Any, anchor: int) -> None:
        """Ask `module` about `config`, the validated configuration."""
        self._module: Any = module
        self._config = config
        self._anchor = anchor

    @classmethod
    async def read(cls, book: CalendarBook, types: Mapping[str, ModuleType], row: StoredTimer, now: int) -> Timetable:
        """Return the timetable of a stored trigger under the calendars that it follows now.

        Raises:
            ValidationFailed: the type is not installed, the configuration cannot be read, or a calendar is not there.

        """
        module, config = stored(types, row.type, row.config)
        return cls(*await book.bound(row.tenant_id, module, config, now), row.anchor)

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

    def left_out_between(self, since: int, until: int, others: Iterable[int]) -> int:
        """Return how many nominal times in [since, until) the calendars leave out, `others` not counted."""
        exclusion = exclusion_of(self._config)
        first = self.after(since - 1)
        if exclusion is None or first is None or first.utc >= until:
            return 0
        if hasattr(self._module, "count"):
            timer = Timer(self._module, self._config, "", self._anchor)
            total, at = 0, first.utc if first.utc < until else None
            while at is not None:
                found, at = pieces.cut(timer, exclusion, at, until - 1)
                total += sum(piece.number for piece in found if piece.excluded is not None)
        else:
            total = sum(exclusion.of(fire.utc) is not None for fire in self.between(since, until, until - since))
        known = (one for one in others if since <= one < until and self.at(one) is not None)
        return total - sum(exclusion.of(one) is not None for one in known)

    def moved_from(self, instant: int) -> Fire | None:
        """Return the time to which a calendar moves the one that the trigger alone would have at `instant`."""
        if not isinstance(self._module, Shifted):
            return None
        utc = self._module.lands(self._config, instant, self._anchor)
        return None if utc is None else self.at(utc)

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

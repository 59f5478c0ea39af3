"""The nominal times of a schedule around an instant, from its trigger type alone (pure)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, Protocol

from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.registry import Fire
from workflow_scheduler.core.time import pieces
from workflow_scheduler.core.time.blackout import Window
from workflow_scheduler.core.time.calendars.shift import Shifted
from workflow_scheduler.core.time.calendars.use import use_of
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US
from workflow_scheduler.core.time.exclusion import Excluded, exclusion_of
from workflow_scheduler.core.time.late import Catchup, skipped_of
from workflow_scheduler.core.time.rest import on_resume
from workflow_scheduler.core.time.timer import Timer
from workflow_scheduler.services.restraints import Restraints, deferring
from workflow_scheduler.services.schedule_config import stored

_LOOK_BACK = (HOUR_US, DAY_US, 8 * DAY_US, 35 * DAY_US, 400 * DAY_US, 3_000 * DAY_US)
_STEPS_MAX = 4_000


class ExcludedSpan(NamedTuple):
    """`number` nominal times from `first` to `last` (instants, both included) that do not run, for one reason."""

    first: int
    last: int
    why: Excluded
    number: int


class StoredTimer(Protocol):
    """A stored time trigger: its tenant, workflow, type, configuration (JSON) and anchor."""

    @property
    def tenant_id(self) -> str:
        """The tenant that owns it."""
        ...

    @property
    def workflow(self) -> str:
        """The name of its workflow."""
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

    def __init__(self, module: ModuleType, config: Any, anchor: int, windows: Sequence[Window] = ()) -> None:
        """Ask `module` about `config`, the validated configuration; `windows` are those that hold for its workflow."""
        self._module: Any = module
        self._config = config
        self._anchor = anchor
        self._windows = windows

    @classmethod
    async def read(cls, store: Store, types: Mapping[str, ModuleType], row: StoredTimer, now: int) -> Timetable:
        """Return the timetable of a stored trigger under the calendars and blackout windows that hold for it now.

        Raises:
            ValidationFailed: the type is not installed, the configuration cannot be read, or a calendar is not there.

        """
        module, config = stored(types, row.type, row.config)
        use = use_of(config)
        restraints = await Restraints.load(store, types, row.tenant_id, () if use is None else use.names, now)
        bound = restraints.bind(row.workflow, module, config)
        return cls(*bound, row.anchor, restraints.of(row.workflow))

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
        """Return why a fire at `instant` does not run by the calendars and windows that hold for it, or None."""
        exclusion = exclusion_of(self._config)
        return None if exclusion is None else exclusion.of(instant)

    def deferred(self, instant: int) -> str | None:
        """Return the note about the blackout window whose end a fire at `instant` waits for, or None."""
        return deferring(self._windows, instant)

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
            following = self.after(end - 1)  # spans without a time are not looked at
            at = until if following is None else max(end, following.utc)
        return found

    def left_out_between(self, since: int, until: int, others: Iterable[int]) -> Counter[Reason]:
        """Return how many nominal times in [since, until) do not run, by the reason; `others` are not counted."""
        exclusion = exclusion_of(self._config)
        first = self.after(since - 1)
        total: Counter[Reason] = Counter()
        if exclusion is None or first is None or first.utc >= until:
            return total
        if hasattr(self._module, "count"):
            timer = Timer(self._module, self._config, "", self._anchor)
            at: int | None = first.utc
            while at is not None:
                found, at = pieces.cut(timer, exclusion, at, until - 1)
                for piece in found:
                    if piece.excluded is not None:
                        total[piece.excluded.reason] += piece.number
        else:
            answers = map(exclusion.of, (fire.utc for fire in self.between(since, until, until - since)))
            total.update(why.reason for why in answers if why is not None)
        known = (one for one in others if since <= one < until and self.at(one) is not None)
        total.subtract(why.reason for why in map(exclusion.of, known) if why is not None)
        return total

    @property
    def max_fires(self) -> int | None:
        """How many runs it may start in all, or None for any number."""
        most: int | None = getattr(self._config, "max_fires", None)
        return most

    def runnable(self, since: int, until: int, skips: Iterable[int]) -> int:
        """Return how many nominal times in [since, until) nothing leaves out; `skips` do not run either."""
        skipped = [one for one in skips if since <= one < until and self.at(one) is not None]
        left_out = self.left_out_between(since, until, skipped).total()
        return self.count(since - 1, until - 1) - left_out - len(skipped)

    def end_after(self, number: int, since: int, until: int, skips: frozenset[int]) -> int:
        """Return the instant in [since, until] before which `number` of the times from `since` on run."""
        if number <= 0:
            return since
        if number > _STEPS_MAX:
            if self.runnable(since, until, skips) <= number:
                return until
            low, high = since, until
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (low, middle) if self.runnable(since, middle, skips) >= number else (middle, high)
            return high
        fire = self.after(since - 1)
        while fire is not None and fire.utc < until:
            number -= fire.utc not in skips and self.excluded(fire.utc) is None
            if not number:
                return fire.utc + 1
            fire = self.after(fire.utc)
        return until

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

"""What the calendars of a schedule say about its times: an exclusion, and where a shift moves a day to."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.calendars.calendar import Calendar
from workflow_scheduler.core.time.calendars.use import CalendarUse, Shift
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.core.time.exclusion import Excluded
from workflow_scheduler.core.time.zone import Zone

SHIFT_DAYS_MAX = 366
_DAY_SECONDS = 86_400
_STEADY_DAYS = 60
_KEPT_DAYS = 4096
_LAST_DAY = 193_500


class Rules:
    """The calendars of one schedule in its zone. `of` and `steady_until` make it a core.time.exclusion.Exclusion."""

    def __init__(self, use: CalendarUse, calendars: Mapping[str, Calendar], zone: Zone) -> None:
        """Look names up in `calendars`, which has all of them."""
        self.zone = zone
        self.shift: Shift | None = use.shift
        self._exclude = tuple(calendars[name] for name in use.exclude)
        self._only = tuple(calendars[name] for name in use.only)
        self._timed = any(one.timed for one in (*self._exclude, *self._only))
        self._kept: dict[int, str | None] = {}
        self._targets: dict[int, int] = {}
        labels = " or ".join(one.label for one in self._only)
        self._outside = f"not in {labels}"

    def of(self, instant: int) -> Excluded | None:
        """Return why the calendars leave an instant out, with the calendar's name and version."""
        day = self.day(instant)
        note = self.blocked(day) if not self._timed else self._judged(lambda one: one.at(instant, day, self.zone))
        return None if note is None else Excluded(Reason.CALENDAR, note)

    def steady_until(self, instant: int) -> int:
        """Return the end of the days, or of the stretch, for which the answer at `instant` holds."""
        segment = self.zone.segment(instant // SECOND_US)
        day = self.day(instant)
        end = day + 1
        if self._timed:
            edge = min(one.next_edge(instant, self.zone) for one in (*self._exclude, *self._only) if one.timed)
            return min(edge, (end * _DAY_SECONDS - segment.offset) * SECOND_US, segment.end * SECOND_US)
        answer = self.blocked(day)
        while end - day < _STEADY_DAYS and self.blocked(end) == answer:
            end += 1
        return min(end * _DAY_SECONDS - segment.offset, segment.end) * SECOND_US

    def day(self, instant: int) -> int:
        """Return the local day, counted from 1970-01-01, that holds an instant."""
        seconds = instant // SECOND_US
        return (seconds + self.zone.offset(seconds)) // _DAY_SECONDS

    def blocked(self, day: int) -> str | None:
        """Return why a whole day is not allowed, or None where it is."""
        try:
            return self._kept[day]
        except KeyError:
            pass
        found = self._judged(lambda one: one.day(day)) if day < _LAST_DAY else None
        if len(self._kept) >= _KEPT_DAYS:
            self._kept.clear()
        self._kept[day] = found
        return found

    def _judged(self, ask: Callable[[Calendar], str | None]) -> str | None:
        for one in self._exclude:
            found = ask(one)
            if found is not None:
                return found
        if self._only and all(ask(one) is None for one in self._only):
            return self._outside
        return None

    def target(self, day: int) -> int:
        """Return the day to which a time on `day` moves; the day itself where it is free or nothing is near.

        Later days never move to earlier ones than earlier days do.
        """
        if self.shift is None or self.blocked(day) is None:
            return day
        known = self._targets.get(day)
        if known is None:
            if len(self._targets) >= _KEPT_DAYS:
                self._targets.clear()
            known = self._targets[day] = self._moved(day)
        return known

    def _moved(self, day: int) -> int:
        following = self._free(day, 1) if self.shift != "previous_business_day" else None
        before = self._free(day, -1) if self.shift != "next_business_day" else None
        if following is None or before is None:
            found = following if before is None else before
            return day if found is None else found
        return before if day - before <= following - day else following

    def _free(self, day: int, step: int) -> int | None:
        for distance in range(1, SHIFT_DAYS_MAX + 1):
            if self.blocked(day + distance * step) is None:
                return day + distance * step
        return None

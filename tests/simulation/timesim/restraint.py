"""What keeps the times of a model's schedules from running: days of calendars, and blackout windows."""

from datetime import UTC, datetime
from typing import NamedTuple

from timesim.nominal import DAY, SECOND, zone_of

CALENDAR = ("skipped", "calendar")
BLACKOUT = ("skipped", "blackout")


class Window(NamedTuple):
    """A blackout: [start, end) once, or `length` from `start` on daily where `end` is None; `said` is its JSON."""

    mode: str
    start: int
    end: int | None = None
    length: int = 0
    said: str = ""

    def around(self, instant):
        if self.end is not None:
            return (self.start, self.end) if self.start <= instant < self.end else None
        begin = instant - (instant - self.start) % DAY
        return (begin, begin + self.length) if instant < begin + self.length else None


class Restraints(NamedTuple):
    """Calendars as {name: dates} and windows as {name: Window}; another one is made for each change."""

    calendars: dict
    windows: dict

    def excluded(self, rule, nominal):
        """Return the fate of a time that a calendar or a window with `skip` leaves out, or None."""
        use = rule.config.get("calendars")
        if use is not None:
            day = _date(rule.config.get("timezone", "UTC"), nominal)
            if any(day in self.calendars[name] for name in use.get("exclude", ())):
                return CALENDAR
            if any(day not in self.calendars[name] for name in use.get("only", ())):
                return CALENDAR
        skipping = (window for window in self.windows.values() if window.mode == "skip")
        return BLACKOUT if any(window.around(nominal) for window in skipping) else None

    def held_until(self, instant, mode=None):
        """Return the end of the windows (of a mode) around an instant, or None."""
        spans = [window.around(instant) for window in self.windows.values() if mode in (None, window.mode)]
        return max((span[1] for span in spans if span is not None), default=None)


def _date(zone, nominal):
    return datetime.fromtimestamp(nominal // SECOND, UTC).astimezone(zone_of(zone)).date().isoformat()

"""Windows: which ends belong together.

`sliding`: no end is older than `length` when the newest comes. `tumbling`: windows of `length` follow each other, and
an end belongs to the one that it falls into. `deadline`: all by a time of day or of a cron expression (one window lies
between two deadlines), or within `length` of the first end. `session`: each end within `length` of the one before.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from workflow_scheduler.core.time import cron as crons
from workflow_scheduler.core.time import dst
from workflow_scheduler.core.time import zone as zones
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, SECOND_US

_WEEK = 7
_MONDAY_US = 4 * DAY_US  # the first one after 1 January 1970
_LOOK_BACK_US = (HOUR_US, *(days * DAY_US for days in (1, 8, 40, 400, 3_000, 12_000)))
_NEVER = 1 << 62


class Kind(StrEnum):
    """How a window is measured."""

    SLIDING = "sliding"
    TUMBLING = "tumbling"
    DEADLINE = "deadline"
    SESSION = "session"


class Window(msgspec.Struct, frozen=True):
    """A window; `length` in microseconds. `by` is the cron expression of deadlines, in the zone `timezone`."""

    kind: Kind
    length: int = 0
    by: str | None = None
    timezone: str = "UTC"

    @property
    def fixed(self) -> bool:
        """Whether its bounds do not depend on what arrives."""
        return self.kind is Kind.TUMBLING or self.by is not None


def bounds(window: Window, at: int) -> tuple[int, int]:
    """Return begin and end of the fixed window that the instant `at` falls into.

    A tumbling window holds its begin and not its end; a deadline is the last instant of its window.
    """
    if window.by is not None:
        return _between_deadlines(window, at)
    if window.length % DAY_US:
        begin = at // window.length * window.length
        return begin, begin + window.length
    return _days(window, at)


def _between_deadlines(window: Window, at: int) -> tuple[int, int]:
    assert window.by is not None
    cron, zone = crons.parse(window.by), zones.load(window.timezone)
    end = dst.next_utc(cron, zone, at - 1)
    begin = 0
    for back in _LOOK_BACK_US:
        earlier = dst.next_utc(cron, zone, at - back)
        while earlier is not None and earlier < at:
            begin, earlier = earlier, dst.next_utc(cron, zone, earlier)
        if begin:
            break
    return begin, _NEVER if end is None else end


def _days(window: Window, at: int) -> tuple[int, int]:
    """Return the window of whole days of the zone; whole weeks begin on Mondays."""
    zone = zones.load(window.timezone)
    wall = at + zone.offset(at // SECOND_US) * SECOND_US
    anchor = _MONDAY_US if window.length % (_WEEK * DAY_US) == 0 else 0
    begin = (wall - anchor) // window.length * window.length + anchor
    first, _ = zone.resolve(begin // SECOND_US)
    last, _ = zone.resolve((begin + window.length) // SECOND_US)
    return first * SECOND_US, last * SECOND_US

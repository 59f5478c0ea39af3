"""Times that somebody skipped, as an exclusion: they keep their reason also where a long downtime is only counted."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.exclusion import FOR_EVER_US, Either, Excluded, Exclusion, exclusion_of
from workflow_scheduler.core.time.late import skipped_of

BY_HAND = Excluded(Reason.SKIPPED_BY_HAND, "")


class Skipped(NamedTuple):
    """Excludes single instants, given in order."""

    instants: tuple[int, ...]

    def of(self, instant: int) -> Excluded | None:
        """Return that somebody skipped `instant`, or None."""
        place = bisect_left(self.instants, instant)
        return BY_HAND if self.instants[place : place + 1] == (instant,) else None

    def steady_until(self, instant: int) -> int:
        """Return the instant after a skipped one, else the next that is skipped."""
        if self.of(instant) is not None:
            return instant + 1
        place = bisect_right(self.instants, instant)
        return self.instants[place] if place < len(self.instants) else FOR_EVER_US


def left_out_between(config: object, first: int, until: int) -> Exclusion | None:
    """Return what keeps times in [first, until] from running: skips by hand, then what the configuration excludes."""
    exclusion = exclusion_of(config)
    skips = tuple(sorted(one for one in skipped_of(config) if first <= one <= until))
    if not skips:
        return exclusion
    return Skipped(skips) if exclusion is None else Either(Skipped(skips), exclusion)

"""When a cron expression, or another wall calendar, fires in a zone, clock changes included.

A fixed expression fires once per local date: in a gap at the first instant after it, in a fold at the first copy,
unless the schedule chooses otherwise (`gap`: after, shift or skip; `overlap`: first, last or both). An expression
with `*` in the minute or hour follows real time: both copies of a fold, nothing invented in a gap.

Every segment of a zone's table has one offset, so that the fires within it are those of the wall calendar moved by
that offset; only near its ends the two policies add or drop some. Occurrences that fall on one instant are one.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache
from typing import NamedTuple

from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.core.time.fire import Calendar, Fire
from workflow_scheduler.core.time.zone import EARLIEST, LATEST, Gap, Overlap, Segment, Zone, wall_text

COUNTS_KEPT = 1024
_MOST_NOTED = 3


class _Policy(NamedTuple):
    """What applies to one expression at clock changes."""

    gap: Gap
    overlap: Overlap


_REAL_TIME = _Policy("skip", "both")


def next_fire(cron: Calendar, zone: Zone, after: int, gap: Gap = "after", overlap: Overlap = "first") -> Fire | None:
    """Return the first fire strictly later than the instant `after` (microseconds UTC), or None if there is none.

    `gap` and `overlap` concern fixed expressions only. The search ends with the year 2499.
    """
    utc = _find(cron, zone, after // SECOND_US, gap, overlap)
    if utc is None:
        return None
    table = zone.table
    segment = table.segments[bisect_right(table.starts, utc) - 1]
    local = wall_text(utc + segment.offset)
    if segment.calm <= utc < segment.storm:
        return Fire(utc * SECOND_US, local)
    fold = int(utc < segment.start + segment.before - segment.offset)
    return Fire(utc * SECOND_US, local, fold, _note(cron, zone, segment, utc, _policy(cron, gap, overlap)))


def next_utc(cron: Calendar, zone: Zone, after: int, gap: Gap = "after", overlap: Overlap = "first") -> int | None:
    """Return the instant of `next_fire` in microseconds, without its local text: the fast path."""
    utc = _find(cron, zone, after // SECOND_US, gap, overlap)
    return None if utc is None else utc * SECOND_US


@lru_cache(maxsize=COUNTS_KEPT)
def count(cron: Calendar, zone: Zone, between: tuple[int, int], gap: Gap = "after", overlap: Overlap = "first") -> int:
    """Return how many fires lie in (start, stop], both in microseconds; the cost grows with months, not with fires.

    After a downtime many schedules with the same expression have missed the same times: the last answers are kept.
    """
    first, last = max(between[0] // SECOND_US + 1, EARLIEST), min(between[1] // SECOND_US, LATEST)
    if last < first:
        return 0
    policy = _policy(cron, gap, overlap)
    stop = zone.index(last)
    segments = zone.table.segments
    return sum(_count_within(cron, segments[i], first, last + 1, policy) for i in range(zone.index(first), stop + 1))


def _policy(cron: Calendar, gap: Gap, overlap: Overlap) -> _Policy:
    return _Policy(gap, overlap) if cron.fixed else _REAL_TIME


def _find(cron: Calendar, zone: Zone, after: int, gap: Gap, overlap: Overlap) -> int | None:
    """Return the second of the first fire later than the second `after`."""
    start = after + 1
    if start < EARLIEST:
        start = EARLIEST
    elif start > LATEST:
        return None
    table = zone.table
    segment = table.segments[bisect_right(table.starts, start) - 1]
    offset = segment.offset
    if segment.calm <= start:
        wall = cron.next_local(start + offset)
        if wall is None:
            return None
        if wall - offset < segment.storm:
            return wall - offset
        if start < segment.storm:
            # No wall time before `wall` matches, so no clock change between here and there adds a fire.
            later = table.segments[bisect_right(table.starts, wall - offset) - 1]
            if later.calm <= wall - later.offset < later.storm:
                return wall - later.offset
    return _walk(cron, zone, start, _policy(cron, gap, overlap))


def _walk(cron: Calendar, zone: Zone, start: int, policy: _Policy) -> int | None:
    """Go from segment to segment until one holds a fire."""
    number = zone.index(start)
    known_from, known = 1, 0
    while start <= LATEST:
        segment = zone.table.segments[number]
        moved = _first_moved(cron, segment, start, policy.gap)
        if moved == segment.start:
            return moved
        low, high = _plain_range(segment, policy.overlap)
        low = max(low, start)
        if not known_from <= low + segment.offset <= known:
            known_from, wall = low + segment.offset, cron.next_local(low + segment.offset)
            if wall is None:
                return moved
            known = wall
        found = known - segment.offset
        if found < high and (moved is None or found < moved):
            return found
        if moved is not None:
            return moved
        start = segment.end
        if number == len(zone.table.segments) - 1:
            zone.extend()
        number += 1 if start >= zone.table.segments[number].end else 0
        if number == len(zone.table.segments):
            return None
    return None


def _plain_range(segment: Segment, overlap: Overlap) -> tuple[int, int]:
    """Return the part of a segment, in UTC seconds, whose wall times fire as the calendar says."""
    low, high = segment.start, segment.end
    if overlap == "first":
        low += max(0, segment.before - segment.offset)
    elif overlap == "last":
        high -= max(0, segment.offset - segment.after)
    return low, high


def _first_moved(cron: Calendar, segment: Segment, start: int, gap: Gap) -> int | None:
    """Return the first fire at or after `start` that comes from a wall time in the gap before the segment."""
    width = segment.offset - segment.before
    if width <= 0 or gap == "skip" or start >= segment.start + width:
        return None
    if gap == "after":
        missing = cron.next_local(segment.start + segment.before) if start <= segment.start else None
        return segment.start if missing is not None and missing < segment.start + segment.offset else None
    missing = cron.next_local(max(start, segment.start) + segment.before)
    moved = None if missing is None else missing - segment.before
    return moved if moved is not None and moved < min(segment.start + width, segment.end) else None


def _count_within(cron: Calendar, segment: Segment, start: int, stop: int, policy: _Policy) -> int:
    """Count the fires of a segment in [start, stop), in UTC seconds."""
    low, high = _plain_range(segment, policy.overlap)
    low, high = max(low, start), min(high, stop)
    total = cron.count_local(low + segment.offset, high + segment.offset)
    moved = _first_moved(cron, segment, max(start, segment.start), policy.gap)
    while moved is not None and moved < stop:
        if not low <= moved < high or cron.next_local(moved + segment.offset) != moved + segment.offset:
            total += 1
        moved = _first_moved(cron, segment, moved + 1, policy.gap)
    return total


def _note(cron: Calendar, zone: Zone, segment: Segment, utc: int, policy: _Policy) -> str | None:
    """Say what a clock change does to the fire at `utc`, or return None when it does nothing."""
    wall = utc + segment.offset
    day, clock = wall_text(wall).split("T")
    clock = clock[:5]
    missing = _missing(cron, segment, utc, policy.gap)
    if missing:
        verb = "does not exist" if len(missing) == 1 else "do not exist"
        gap_day = wall_text(segment.start + segment.before).split("T")[0]
        return f"{_clocks(missing)} {verb} in {zone.name} on {gap_day}; runs {clock}" + (
            f" on {day}" if day != gap_day else ""
        )
    if utc < segment.start + segment.before - segment.offset:
        copy = "second"
    elif utc >= segment.end + segment.after - segment.offset:
        copy = "first"
    else:
        return None
    text = f"{clock} happens twice in {zone.name} on {day}; "
    return text + (f"runs both times, this is the {copy}" if policy.overlap == "both" else f"runs the {copy} time")


def _missing(cron: Calendar, segment: Segment, utc: int, gap: Gap) -> list[int]:
    """Return the wall times in the gap before the segment that were moved to `utc`."""
    width = segment.offset - segment.before
    if width <= 0 or gap == "skip" or not segment.start <= utc < segment.start + width:
        return []
    if gap == "shift":
        wall = utc + segment.before
        return [wall] if cron.next_local(wall) == wall else []
    if utc != segment.start:
        return []
    found: list[int] = []
    wall = cron.next_local(segment.start + segment.before) or 0
    while wall and wall < segment.start + segment.offset and len(found) <= _MOST_NOTED:
        found.append(wall)
        wall = cron.next_local(wall + 1) or 0
    return found


def _clocks(walls: list[int]) -> str:
    texts = [wall_text(wall).split("T")[1][:5] for wall in walls[:_MOST_NOTED]]
    if len(walls) > _MOST_NOTED:
        return f"{', '.join(texts)} and others"
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"

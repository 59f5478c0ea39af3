"""What a person should know about a cron expression before it surprises them."""

from __future__ import annotations

from workflow_scheduler.core.time import dst
from workflow_scheduler.core.time.clock import DAY_US, SECOND_US
from workflow_scheduler.core.time.cron import Cron
from workflow_scheduler.core.time.cron_field import HOUR, MINUTE, Field
from workflow_scheduler.core.time.fire import Calendar
from workflow_scheduler.core.time.zone import Gap, Overlap, Segment, Zone, wall_text

_YEAR_US = 366 * DAY_US
_MOST_NOTES = 4
_SHORTEST_MONTH = 28


def clock_changes(cron: Calendar, zone: Zone, now: int, gap: Gap = "after", overlap: Overlap = "first") -> list[str]:
    """Return a sentence for each fire of the next year that a clock change moves, drops or could double."""
    found: list[str] = []
    first, last = zone.index(now // SECOND_US), zone.index((now + _YEAR_US) // SECOND_US)
    for number in range(first + 1, last + 1):
        segment = zone.table.segments[number]
        if cron.fixed and gap == "skip":
            found += _skipped(cron, zone, segment)
        after = max(now, (segment.start - max(0, segment.before - segment.offset)) * SECOND_US - 1)
        for _ in range(_MOST_NOTES):
            fire = dst.next_fire(cron, zone, after, gap, overlap)
            if fire is None or fire.utc >= segment.calm * SECOND_US:
                break
            found += [fire.note] if fire.note and cron.fixed else []
            after = fire.utc
    return found[:_MOST_NOTES]


def pitfalls(cron: Cron) -> list[str]:
    """Return a sentence for each part of the expression that often means something else than intended."""
    minute, hour, day, month, weekday = cron.fields
    found = [text for field in (minute, hour) if (text := _uneven(field))]
    if not (day.starred or weekday.starred):
        found.append("day of month and day of week are both set: it fires on days that fit either of them")
    plain = day.values()
    if plain and plain[0] > _SHORTEST_MONTH and not day.special and weekday.starred:
        names = "that month in most years" if month.values() == [2] else "months that have no such day"
        found.append(f"day {plain[0]} leaves out {names}; write `L` for the last day of the month")
    return found


def _uneven(field: Field) -> str | None:
    head, _, step_text = field.text.partition("/")
    cycle = {MINUTE.key: 60, HOUR.key: 24}[field.scale.key]
    if head != "*" or not step_text or cycle % int(step_text) == 0:
        return None
    unit, whole = ("minutes", "hour") if field.scale is MINUTE else ("hours", "day")
    values = field.values()
    listed = ", ".join(str(value) for value in values[:3]) + (" …" if len(values) > 3 else "")  # noqa: PLR2004 -- enough
    return (
        f"`{field.text}` begins anew every {whole}, at {field.scale.title} {listed}; "
        f"for every {step_text} {unit} use a trigger of type `interval`"
    )


def _skipped(cron: Calendar, zone: Zone, segment: Segment) -> list[str]:
    missing = cron.next_local(segment.start + segment.before)
    if missing is None or missing >= segment.start + segment.offset:
        return []
    day, clock = wall_text(missing).split("T")
    return [f"{clock[:5]} does not exist in {zone.name} on {day}; it is skipped (dst_gap: skip)"]

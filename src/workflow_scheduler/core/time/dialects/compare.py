"""Every occurrence that differs from the old system.

Expressions are translated so that they name the same wall times; where the translation could not do that it refuses.
What remains is what the two systems do at clock changes, so that only the days around those are looked at.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from workflow_scheduler.core.time import cron, dst, zone
from workflow_scheduler.core.time.clock import DAY_US, SECOND_US, to_iso
from workflow_scheduler.core.time.dialects.entry import Before, Everywhere, Imported, Rules
from workflow_scheduler.core.time.fire import Calendar
from workflow_scheduler.core.time.zone import Gap, Overlap, Zone

YEARS = 5
_LISTED_MAX = 1_000
_LOOK_BACK_DAYS = (1, 8, 32, 367, 1_462, 3_660)
_YEAR_US = 365 * DAY_US + DAY_US // 4
_Setting = tuple[Calendar, Gap, Overlap]


class Difference(msgspec.Struct, frozen=True):
    """An instant at which only one of the two systems fires."""

    utc: str
    local: str
    timezone: str
    fires: Literal["before", "now"]
    note: str


class Comparison(msgspec.Struct, frozen=True):
    """The differences; `complete` is false where there are more than 1,000."""

    items: list[Difference]
    complete: bool


def differences(entry: Imported, start: int, years: int = YEARS) -> Comparison:
    """Return the instants of the next years, from `start` (microseconds) on, at which old and new system differ."""
    if entry.trigger["type"] != "cron":
        return Comparison([], complete=True)
    calendar, place = cron.parse(entry.trigger["cron"]), zone.load(entry.trigger["timezone"])
    gap, overlap, always = entry.rules
    before: _Setting = (Everywhere(calendar) if always else calendar, gap, overlap)
    now: _Setting = (calendar, entry.trigger.get("dst_gap", "after"), entry.trigger.get("dst_overlap", "first"))
    start, stop = _bounds(entry, place, start, start + years * _YEAR_US)
    found: list[Difference] = []
    first, last = place.index(start // SECOND_US), place.index(stop // SECOND_US)
    for number in range(first + 1, last + 1):
        change = place.table.segments[number].start * SECOND_US
        span = max(start, change - DAY_US), min(stop, change + DAY_US)
        if span[0] >= span[1]:
            continue
        new = _fires(now, place, span)
        old = _fires(before, place, span) if entry.before is None else _chain(entry.before, now, place, span)
        found += [_difference(utc, place, "before" if utc in old else "now") for utc in sorted(old ^ new)]
        if len(found) > _LISTED_MAX:
            return Comparison(found[:_LISTED_MAX], complete=False)
    return Comparison(found, complete=True)


def as_before(entry: Imported) -> Imported:
    """Return an entry whose trigger does at clock changes what the old system did, as far as settings can say it."""
    if entry.trigger["type"] != "cron" or entry.rules[:2] == Rules()[:2] or not cron.parse(entry.trigger["cron"]).fixed:
        return entry
    settings: dict[str, Any] = {"dst_gap": entry.rules.gap, "dst_overlap": entry.rules.overlap}
    return msgspec.structs.replace(entry, trigger=entry.trigger | settings)


def _bounds(entry: Imported, place: Zone, start: int, stop: int) -> tuple[int, int]:
    """Return the part of (start, stop] in which the entry fires at all."""
    first, last = entry.trigger.get("start_at"), entry.trigger.get("end_at")
    return (
        start if first is None else max(start, zone.instant(first, place)[0] - 1),
        stop if last is None else min(stop, zone.instant(last, place)[0]),
    )


def _fires(setting: _Setting, place: Zone, span: tuple[int, int]) -> set[int]:
    calendar, gap, overlap = setting
    found: set[int] = set()
    utc = dst.next_utc(calendar, place, span[0], gap, overlap)
    while utc is not None and utc <= span[1]:
        found.add(utc)
        utc = dst.next_utc(calendar, place, utc, gap, overlap)
    return found


def _chain(before: Before, now: _Setting, place: Zone, span: tuple[int, int]) -> set[int]:
    """Return the fires in a span of a system that computes each time from the one before.

    It begins with a time well before the span, at which no clock change is near and both systems fire.
    """
    begin = _fire_before(now, place, span[0])
    found: set[int] = set()
    utc = before(begin)
    while utc is not None and utc <= span[1]:
        if utc > span[0]:
            found.add(utc)
        utc = before(utc)
    return found


def _fire_before(setting: _Setting, place: Zone, instant: int) -> int:
    calendar, gap, overlap = setting
    for days in _LOOK_BACK_DAYS:
        utc = dst.next_utc(calendar, place, instant - days * DAY_US, gap, overlap)
        if utc is not None and utc < instant:
            return utc
    return instant


def _difference(utc: int, place: Zone, fires: Literal["before", "now"]) -> Difference:
    local = place.local(utc)
    clock = local.replace("T", " ").removesuffix(":00")
    text = f"fired at {clock}, will not fire" if fires == "before" else f"did not fire at {clock}, will fire"
    return Difference(to_iso(utc), local, place.name, fires, text)

"""The ledger: what became of every nominal time of a schedule in a range, past and to come, with the sums.

`planned = fired + skipped + missed + coalesced + superseded`, where times that are due but not settled yet (`pending`)
and times to come (`upcoming`) are counted as well. Records of long downtimes that speak for many times are expanded by
the schedule's rule; where the rule has changed since, such a record stays one item with its `count`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from types import ModuleType
from typing import Any, NamedTuple

from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.registry import Fire
from workflow_scheduler.core.time.clock import DAY_US, from_iso, to_iso
from workflow_scheduler.core.time.fire import noted
from workflow_scheduler.services.explain_time import last_instant, occurrence_shape
from workflow_scheduler.services.nominal import Timetable
from workflow_scheduler.services.rests import ends_by_itself, rest_end
from workflow_scheduler.services.shapes import instant, shaped
from workflow_scheduler.stores.portable.backfill_past import PastReader
from workflow_scheduler.stores.portable.occurrences import OccurrenceRepository, Settled, stretch_of
from workflow_scheduler.stores.portable.rows import Malformed, quarantine
from workflow_scheduler.stores.portable.schedules import ScheduleRow
from workflow_scheduler.stores.portable.skips import instants

OCCURRENCES_MAX = 1_000
RANGE_DAYS_MAX = 3_660
_WEEK_US = 7 * DAY_US
_FIRED = frozenset({Outcome.RUN_STARTED, Outcome.RUN_RESUMED, Outcome.DEFERRED, Outcome.DUPLICATE})
_MISSED = frozenset({Reason.MISSED_DOWN, Reason.MISSED_PAUSED, Reason.MISSED_WINDOW})


class Span(NamedTuple):
    """A range [start, end) of instants in microseconds, and the time `now` that splits it."""

    start: int
    end: int
    now: int


class Open(NamedTuple):
    """Times without a record: [start, end) in microseconds, and what is said of them."""

    start: int
    end: int
    outcome: str
    reason: str | None


class Stretched(NamedTuple):
    """The first and the last nominal time that a record speaks for, in microseconds."""

    first: int
    last: int


class Records(NamedTuple):
    """What is recorded of a range: single times counted, stretches, and those ahead of where the schedule stands."""

    settled: list[Settled]
    stretches: list[Occurrence]
    ahead: list[Stretched]


class Ledger:
    """What became of a schedule's times, and those to come."""

    def __init__(self, store: Store, trigger_types: Mapping[str, ModuleType]) -> None:
        """Read records from `store`; compute times with `trigger_types`."""
        self._store = store
        self._types = trigger_types
        self._occurrences = OccurrenceRepository(store)

    async def between(
        self, row: ScheduleRow, span: tuple[int | None, int | None], place: int | None, limit: int, now: int
    ) -> dict[str, Any]:
        """Return the times of `row` in a range [since, until), microseconds, with the sums of the whole range.

        Without bounds it is a week back and a week ahead. `place` is where this page begins, by default the range.

        Raises:
            ValidationFailed: the range is empty or longer than ten years.

        """
        whole = _span(span, now)
        table = await Timetable.read(self._store, self._types, row, now)
        page = Span(max(whole.start, place or whole.start), whole.end, now)
        most = min(limit, OCCURRENCES_MAX)
        skipped = table.skipped.union(instants(row.skips))
        items = await self._settled(row, table, page, most + 1)
        for part in _open(row, table, page):
            fires = table.between(part.start, part.end, most + 1)
            items += [_judged(fire, table, part, skipped) for fire in fires]
        items = await self._with_backfills(row, _ordered(items)[: most + 1])
        following = items[most].get("utc") if len(items) > most else None
        return {
            "items": items[:most],
            "next": following,
            "from": to_iso(whole.start),
            "to": to_iso(whole.end),
            "sums": await self._sums(row, table, whole),
        }

    async def _with_backfills(self, row: ScheduleRow, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add to each time the runs that backfills made for it, beside what became of it otherwise."""
        times = [from_iso(item["utc"]) for item in items if item.get("utc")]
        made: dict[str, list[dict[str, Any]]] = {}
        if times:
            past = PastReader(self._store, row.tenant_id, row.id)
            made = await past.backfilled(min(times), max(times) + 1)
        return [item | {"backfills": made.get(item["utc"], [])} if item.get("utc") else item for item in items]

    async def _settled(self, row: ScheduleRow, table: Timetable, page: Span, most: int) -> list[dict[str, Any]]:
        """Return recorded times from the start of the page on, stretches expanded; at least `most` if there are."""
        records = await self._occurrences.between(row.tenant_id, row.id, page.start, page.end, most, page.now)
        before = await self._occurrences.reaching(row.tenant_id, row.id, page.start, page.now)
        items: list[dict[str, Any]] = []
        if before is not None:
            items += _expanded(before, table, page, most)
        plain: list[Occurrence | Malformed] = []
        for record in records:
            if isinstance(record, Occurrence) and stretch_of(record) is not None:
                items += _expanded(record, table, page, most) or [_stretch_shape(record)]
            else:
                plain.append(record)
        shown, broken = shaped(plain, "occurrences", lambda one: str(one.nominal), occurrence_shape)
        await quarantine(self._store, row.tenant_id, broken, page.now)
        return items + shown

    async def _sums(self, row: ScheduleRow, table: Timetable, whole: Span) -> dict[str, Any]:
        """Return how many times of the range had which fate."""
        who = (row.tenant_id, row.id)
        settled = await self._occurrences.tally(*who, whole.start, whole.end)
        stretches = await self._occurrences.stretches(*who, whole.start, whole.end, whole.now)
        before = await self._occurrences.reaching(*who, whole.start, whole.now)
        if before is not None:
            stretches.append(before)
        ahead = await self._ahead(row, whole)
        return await asyncio.to_thread(_summed, row, table, whole, Records(settled, stretches, ahead))

    async def _ahead(self, row: ScheduleRow, whole: Span) -> list[Stretched]:
        """Return what is recorded later than where the schedule stands: some, where the clock was set back."""
        if row.next_nominal is None:
            return []
        since = max(whole.start, row.next_nominal)
        found = await self._occurrences.between(row.tenant_id, row.id, since, whole.end, OCCURRENCES_MAX, whole.now)
        before = await self._occurrences.reaching(row.tenant_id, row.id, since, whole.now)
        return [_stretched(one) for one in (before, *found) if isinstance(one, Occurrence)]


def _span(given: tuple[int | None, int | None], now: int) -> Span:
    since, until = given
    start = now - _WEEK_US if since is None else since
    end = max(start, now) + _WEEK_US if until is None else until
    if end <= start:
        message = "`to` must be later than `from`"
    elif end - start > RANGE_DAYS_MAX * DAY_US:
        message = f"the range is longer than {RANGE_DAYS_MAX} days; ask for a shorter one"
    else:
        return Span(start, end, now)
    raise ValidationFailed(message, errors=[FieldError("to", message)])


def _open(row: ScheduleRow, table: Timetable, span: Span) -> list[Open]:
    """Return the parts of a range in which the schedule has times without a record: all from its due row on."""
    if row.completed:
        return []
    begin = max(span.start, row.next_nominal if row.next_nominal is not None else span.now + 1)
    due = max(begin, min(span.end, span.now + 1))
    if row.deployment_status != "active":
        found = [Open(begin, due, "skipped", Reason.UNDEPLOYED.value)]
        return [part for part in found if row.next_nominal is not None and part.start < part.end]
    rested = min(max(begin, rest_end(row)), span.end)
    last = min(last_instant(row, table, (span.now, max(span.now + 1, rest_end(row))), span.end), span.end)
    passed = "skipped" if _left_out(row, table) else "pending"
    reason = Reason.MISSED_PAUSED.value
    found = [
        Open(begin, min(due, rested), passed, reason),
        Open(max(begin, rested), due, "pending", None),
        Open(max(due, begin), rested, "planned", reason),
        Open(max(due, rested), last, "planned", None),
    ]
    return [part for part in found if part.start < part.end]


def _left_out(row: ScheduleRow, table: Timetable) -> bool:
    """Return whether nothing runs of the times that pass during the pause, unless somebody says otherwise."""
    owes = row.resume_until is not None and row.next_nominal is not None and row.next_nominal <= row.resume_until
    chosen = row.resume_as if owes else None
    return (chosen or table.on_resume(by_itself=ends_by_itself(row))) == "none"


def _judged(fire: Fire, table: Timetable, part: Open, skipped: frozenset[int]) -> dict[str, Any]:
    """Return one time without a record: its part's word, unless somebody or an exclusion leaves it out."""
    if fire.utc in skipped:
        return _open_shape(fire, table, part._replace(outcome="skipped", reason=Reason.SKIPPED_BY_HAND.value))
    excluded = table.excluded(fire.utc)
    if excluded is not None:
        word = part._replace(outcome=excluded.outcome.value, reason=excluded.reason.value)
        return _open_shape(noted(fire, excluded.note), table, word)
    deferred = table.deferred(fire.utc) if part.reason is None else None
    if deferred is not None:
        return _open_shape(noted(fire, deferred), table, part._replace(reason=Reason.BLACKOUT.value))
    return _open_shape(fire, table, part)


def _open_shape(fire: Fire, table: Timetable, part: Open) -> dict[str, Any]:
    return {
        "nominal_local": fire.local,
        "utc": instant(fire.utc),
        "timezone": table.timezone,
        "fold": fire.fold,
        "outcome": part.outcome,
        "reason": part.reason,
        "note": fire.note,
        "run_id": None,
        "event_id": None,
    }


def _expanded(record: Occurrence, table: Timetable, page: Span, most: int) -> list[dict[str, Any]]:
    """Return the times a record speaks for within the page, or nothing where the rule is another one by now."""
    stretch = stretch_of(record)
    if stretch is None or table.count(record.nominal - 1, stretch.last) != stretch.number:
        return []
    fires = table.between(max(record.nominal, page.start), min(stretch.last + 1, page.end), most)
    shape = occurrence_shape(record)
    return [
        shape | {"nominal_local": fire.local, "utc": instant(fire.utc), "fold": fire.fold, "note": fire.note}
        for fire in (noted(one, stretch.note) for one in fires)
    ]


def _stretch_shape(record: Occurrence) -> dict[str, Any]:
    stretch = stretch_of(record)
    return occurrence_shape(record) | {"count": stretch.number if stretch else 1}


def _ordered(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the items by time, one for each; rows that cannot be read come first."""
    unread = [item for item in items if "utc" not in item]
    by_time: dict[str, dict[str, Any]] = {}
    for item in items:
        if "utc" in item:
            by_time.setdefault(item["utc"], item)
    return unread + [by_time[utc] for utc in sorted(by_time)]


def _stretched(record: Occurrence) -> Stretched:
    stretch = stretch_of(record)
    return Stretched(record.nominal, record.nominal if stretch is None else stretch.last)


def _unrecorded(table: Timetable, part: Open, records: Records) -> int:
    """Return how many times of a part without a record there are."""
    known = 0
    for one in records.ahead:
        first, last = max(one.first, part.start), min(one.last, part.end - 1)
        known += table.count(first - 1, last) if first <= last else 0
    return table.count(part.start - 1, part.end - 1) - known


def _summed(row: ScheduleRow, table: Timetable, whole: Span, records: Records) -> dict[str, Any]:
    counts: dict[str, int] = defaultdict(int)
    reasons: dict[str, dict[str, int]] = {"skipped": defaultdict(int), "missed": defaultdict(int)}
    fates = [(_fate(one.outcome, one.reason), one.reason, one.number) for one in records.settled]
    fates += [(_fate(one.outcome, one.reason), one.reason, _within(one, table, whole)) for one in records.stretches]
    skips = table.skipped.union(instants(row.skips))
    for part in _open(row, table, whole):
        fate = {"pending": "pending", "planned": "upcoming"}.get(part.outcome) or _fate(part.outcome, part.reason)
        by_hand = sum(
            table.at(one) is not None and not any(known.first <= one <= known.last for known in records.ahead)
            for one in skips
            if part.start <= one < part.end
        )
        left_out = table.left_out_between(part.start, part.end, skips.union(one.first for one in records.ahead))
        fates.append((fate, part.reason, _unrecorded(table, part, records) - by_hand - left_out.total()))
        fates += [("skipped", why.value, number) for why, number in left_out.items()]
        fates.append(("skipped", Reason.SKIPPED_BY_HAND.value, by_hand))
    for fate, reason, number in fates:
        counts[fate] += number
        if fate in reasons and number:
            reasons[fate][reason or "unknown"] += number
    parts = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
    return {
        "planned": sum(counts.values()),
        **{name: counts[name] for name in parts},
        "reasons": {name: dict(found) for name, found in reasons.items()},
    }


def _fate(outcome: str, reason: str | None) -> str:
    """Return the column of the ledger that a recorded outcome belongs to."""
    if outcome in _FIRED:
        return "fired"
    if outcome == Outcome.ABSORBED:
        return "coalesced"
    if reason in {Reason.SUPERSEDED, Reason.OVERLAP_SUPERSEDED}:
        return "superseded"
    return "missed" if reason in _MISSED else "skipped"


def _within(record: Occurrence, table: Timetable, whole: Span) -> int:
    """Return how many of the times that a record speaks for lie in the range."""
    stretch = stretch_of(record)
    if stretch is None:
        return 1
    if whole.start <= record.nominal and stretch.last < whole.end:
        return stretch.number
    inside = table.count(max(record.nominal, whole.start) - 1, min(stretch.last, whole.end - 1))
    return min(inside, stretch.number)

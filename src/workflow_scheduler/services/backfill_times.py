"""The times of a backfill: a portion of them after the other, what is to run of it and why, and the sums of all.

Nothing here holds more than a portion, however long the range is. Sums are computed from the number of nominal times,
which trigger types count without walking through them, and from the times that something is recorded about.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple

import msgspec

from workflow_scheduler.core.model.backfill import Backfill
from workflow_scheduler.core.model.trigger import Occurrence
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.fire import Fire, noted
from workflow_scheduler.core.time.reprocess import TIME_REASONS, UNKNOWN, Judged, Past, judge
from workflow_scheduler.services.nominal import Timetable
from workflow_scheduler.services.sentences import reason_text
from workflow_scheduler.services.shapes import instant
from workflow_scheduler.stores.portable.backfill_past import PastReader
from workflow_scheduler.stores.portable.occurrences import OccurrenceRepository, stretch_of

PORTION = 250
_WALKED_MAX = 100_000
_FIRST_WINDOW_US = 3_600_000_000


class Looked(NamedTuple):
    """A nominal time, whether the backfill runs it and why, what is known of it, and whether it has a record."""

    fire: Fire
    judged: Judged
    past: Past
    recorded: bool


class Portion(NamedTuple):
    """Some times in the order of the backfill, and the position after them; `last` when there are no more."""

    times: list[Looked]
    position: int
    last: bool


class BackfillTimes:
    """The times of one backfill."""

    def __init__(self, store: Store, backfill: Backfill, table: Timetable) -> None:
        """Take the times of `backfill` from `table`; see `read`."""
        self._backfill = backfill
        self._table = table
        self._past = PastReader(store, backfill.tenant_id, backfill.trigger_id)
        self._occurrences = OccurrenceRepository(store)

    @classmethod
    async def read(cls, store: Store, types: Mapping[str, ModuleType], backfill: Backfill, now: int) -> BackfillTimes:
        """Return the times by the rule that `backfill` holds, under the calendars and windows that hold for it now.

        Raises:
            ValidationFailed: the rule cannot be read, or a calendar does not exist.

        """
        return cls(store, backfill, await Timetable.read(store, types, backfill, now))

    @property
    def timezone(self) -> str:
        """The zone that the times are written in."""
        return self._table.timezone

    def planned(self) -> int:
        """Return the number of nominal times in the range."""
        return self._table.count(self._backfill.since - 1, self._backfill.until - 1)

    async def portion(self, position: int, limit: int, now: int) -> Portion:
        """Return at most `limit` times from `position` on in the order of the backfill, each judged."""
        backfill = self._backfill
        fires = await asyncio.to_thread(portion_of, self._table, backfill, position, limit)
        looked = await self._look(fires, now)
        if not fires:
            return Portion([], position, last=True)
        after = fires[-1].utc if backfill.run_order == "reverse" else fires[-1].utc + 1
        return Portion(looked, after, last=len(fires) < limit)

    async def _look(self, fires: Sequence[Fire], now: int) -> list[Looked]:
        past = await self._past.of([fire.utc for fire in fires], now)
        return [self._judged(fire, *past.get(fire.utc, (UNKNOWN, False))) for fire in fires]

    def _judged(self, fire: Fire, past: Past, recorded: bool) -> Looked:
        """Judge one time; what an exclusion says of it is added to the time's own note."""
        backfill = self._backfill
        left_out, note = None, None
        if fire.utc in self._table.skipped:
            left_out = Reason.SKIPPED_BY_HAND.value
        elif (excluded := self._table.excluded(fire.utc)) is not None:
            left_out, note = excluded.reason.value, excluded.note
        judged = judge(past, backfill.reprocess, left_out=left_out, ignore_skips=backfill.ignore_skips)
        return Looked(noted(fire, note), judged, past, recorded)

    async def sums(self, now: int) -> dict[str, Any]:
        """Return how many times the range has, how many of them would run, and the numbers by reason."""
        planned = await asyncio.to_thread(self.planned)
        counting = _Counting(await asyncio.to_thread(self._excluded), await self._stretches(now))
        since, until = self._backfill.since, self._backfill.until
        skipped = [one for one in sorted(self._table.skipped) if since <= one < until]
        await self._add(counting, skipped, now)
        after = since - 1
        while found := await self._past.evidence(after, until, PORTION):
            after = found[-1]
            await self._add(counting, [one for one in found if one not in self._table.skipped], now)
        tally = counting.tally()
        tally[judge(UNKNOWN, self._backfill.reprocess)] += planned - sum(tally.values())
        running = {one.reason: number for one, number in tally.items() if one.runs and number}
        left_out = {one.reason: number for one, number in tally.items() if not one.runs and number}
        return {
            "planned": planned,
            "to_run": sum(running.values()),
            "left_out": sum(left_out.values()),
            "reasons": {"run": running, "left_out": left_out},
        }

    async def _add(self, counting: _Counting, nominals: Sequence[int], now: int) -> None:
        """Count those of `nominals` that the rule still names."""
        fires = await asyncio.to_thread(lambda: [fire for one in nominals if (fire := self._table.at(one)) is not None])
        for looked in await self._look(fires, now):
            counting.add(looked)

    def _excluded(self) -> list[_Cover]:
        """Return the parts of the range that an exclusion leaves out."""
        if self._backfill.ignore_skips:
            return []
        spans = self._table.exclusions(self._backfill.since, self._backfill.until)
        return [
            _Cover(one.first, one.last, Judged(runs=False, reason=one.why.reason.value), one.number) for one in spans
        ]

    async def _stretches(self, now: int) -> list[_Cover]:
        """Return the parts of the range that one record each speaks for, without what an exclusion leaves out."""
        who = (self._backfill.tenant_id, self._backfill.trigger_id)
        since, until = self._backfill.since, self._backfill.until
        before = await self._occurrences.reaching(*who, since, now)
        found = await self._occurrences.stretches(*who, since, until, now)
        return await asyncio.to_thread(
            lambda: [cover for one in (before, *found) if one is not None and (cover := self._cover(one)) is not None]
        )

    def _cover(self, record: Occurrence) -> _Cover | None:
        stretch = stretch_of(record)
        if stretch is None:
            return None
        backfill = self._backfill
        first, last = max(record.nominal, backfill.since), min(stretch.last, backfill.until - 1)
        past = Past(outcome=record.outcome, reason=record.reason)
        judged = judge(past, backfill.reprocess, ignore_skips=backfill.ignore_skips)
        number = self._table.count(first - 1, last)
        if not backfill.ignore_skips:
            number -= sum(one.number for one in self._table.exclusions(first, last + 1))
        return _Cover(first, last, judged, number)


class _Cover(msgspec.Struct):
    """`number` times from `first` to `last` (instants, both included) with one judgement that no other one changes."""

    first: int
    last: int
    judged: Judged
    number: int


class _Counting:
    """Counts judged times; those that are looked at one by one are taken out of the covers in which they lie."""

    def __init__(self, excluded: list[_Cover], stretches: list[_Cover]) -> None:
        """Take the covers, each list in order; what is excluded is not counted in the stretches."""
        self._excluded = excluded
        self._stretches = stretches
        self._single: Counter[Judged] = Counter()

    def add(self, looked: Looked) -> None:
        """Count one time that something is known about."""
        at = looked.fire.utc
        excluded = _covering(self._excluded, at)
        if excluded is not None and looked.judged == excluded.judged:
            return
        cover = excluded or _covering(self._stretches, at)
        if cover is not None:
            cover.number -= 1
        self._single[looked.judged] += 1

    def tally(self) -> Counter[Judged]:
        """Return the numbers by judgement."""
        found = Counter(self._single)
        for cover in (*self._excluded, *self._stretches):
            found[cover.judged] += cover.number
        return found


def _covering(covers: Sequence[_Cover], at: int) -> _Cover | None:
    place = bisect_right(covers, at, key=lambda cover: cover.first) - 1
    return covers[place] if place >= 0 and at <= covers[place].last else None


def portion_of(table: Timetable, backfill: Backfill, position: int, limit: int) -> list[Fire]:
    """Return at most `limit` nominal times from `position` on, in the order of the backfill."""
    if backfill.run_order == "forward":
        return table.between(max(position, backfill.since), backfill.until, limit)
    end = min(position, backfill.until)
    start = _start_of_last(table, backfill.since, end, limit)
    return table.between(start, end, _WALKED_MAX)[-limit:][::-1]


def _start_of_last(table: Timetable, since: int, end: int, limit: int) -> int:
    """Return an instant from which on at least `limit` times, but not many more, lie before `end`; `since` at least."""
    window = _FIRST_WINDOW_US
    while end - window > since and table.count(end - window - 1, end - 1) < limit:
        window *= 2
    low, high = max(since, end - window), end
    if table.count(low - 1, end - 1) <= limit:
        return low
    while high - low > 1:
        middle = (low + high) // 2
        if table.count(middle - 1, end - 1) >= limit:
            low = middle
        else:
            high = middle
    return low


def time_shape(looked: Looked, timezone: str) -> dict[str, Any]:
    """Return a time of a backfill as the API shows it."""
    return {
        "nominal_local": looked.fire.local,
        "utc": instant(looked.fire.utc),
        "timezone": timezone,
        "fold": looked.fire.fold,
        "note": looked.fire.note,
        "runs": looked.judged.runs,
        "reason": looked.judged.reason,
        "why": TIME_REASONS.get(looked.judged.reason) or reason_text(looked.judged.reason),
        "run_id": looked.past.run_id,
        "run_status": looked.past.status,
    }

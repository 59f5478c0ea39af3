"""Recurrence rules (RFC 5545), evaluated on wall time in bounded steps.

A rule is a wall calendar as a cron expression is: `dst` puts it into a zone. A rule of whole days (daily, weekly,
monthly, yearly) keeps its time of day; HOURLY and MINUTELY follow real time at clock changes. The tests compare it with
python-dateutil, which is not used here: its search for the next time has no bound.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from workflow_scheduler.core.time.cron import DAY_SECONDS
from workflow_scheduler.core.time.rrule_text import Day, Parts

_EPOCH_ORDINAL = 719_163
_LAST_DAY = date(2499, 12, 31).toordinal() - _EPOCH_ORDINAL
_KEPT_PERIODS = 64
_DAY_MINUTES = 1440
_WEEK = 7
_FIRST_WEEK_DAY = 4


class Rule:
    """A compiled rule that begins at the wall time `start`, in seconds.

    `excluded` holds wall times in seconds and `free` whole days since 1970 that do not count as fires.
    """

    __slots__ = ("_days", "_excluded", "_free", "_kept", "_last", "_parts", "_start", "_times", "_unit", "fixed")

    def __init__(
        self,
        parts: Parts,
        start: int,
        last: int | None = None,
        excluded: frozenset[int] = frozenset(),
        free: frozenset[int] = frozenset(),
    ) -> None:
        """Compile; `last` is the last wall time that may match. COUNT is walked through once, here."""
        self._start = start
        self._excluded, self._free = excluded, free
        self._parts = _completed(parts, start)
        self.fixed = parts.freq not in {"HOURLY", "MINUTELY"}
        self._times = _times(self._parts)
        self._days, self._unit = _period(self._parts)
        self._kept: dict[int, list[int]] = {}
        self._last = (_LAST_DAY + 1) * DAY_SECONDS - 1 if last is None else last
        if parts.count is not None:
            self._last = min(self._last, self._nth(parts.count))

    def next_local(self, wall: int) -> int | None:
        """Return the first matching wall time at or after `wall`, both in seconds; None past its end or year 2499."""
        wall = max(wall, self._start)
        index = self._index(wall)
        while self._first_day(index) * DAY_SECONDS <= self._last:
            for found in self._walls(index):
                if found > self._last:
                    return None
                if found >= wall and self._counts(found):
                    return found
            index += 1
        return None

    def count_local(self, start: int, stop: int) -> int:
        """Return how many wall times in [start, stop), in seconds, match. Costs one step per period."""
        start, stop = max(start, self._start), min(stop, self._last + 1)
        if stop <= start:
            return 0
        total = 0
        for index in range(self._index(start), self._index(stop) + 1):
            total += sum(start <= found < stop and self._counts(found) for found in self._walls(index))
        return total

    def _counts(self, wall: int) -> bool:
        return wall not in self._excluded and wall // DAY_SECONDS not in self._free

    def _nth(self, count: int) -> int:
        """Return the wall time of the fire with this number, exclusions counted; the last one if there are fewer."""
        index, seen, last = 0, 0, self._start - 1
        while seen < count and self._first_day(index) * DAY_SECONDS <= self._last:
            for found in self._walls(index):
                seen, last = seen + 1, found
                if seen == count:
                    break
            index += 1
        return last

    def _index(self, wall: int) -> int:
        """Return the number of the rule's period that holds `wall`, or of the one before it."""
        return max(0, (self._unit(wall // DAY_SECONDS) - self._unit(self._start // DAY_SECONDS)) // self._stride)

    @property
    def _stride(self) -> int:
        return self._parts.interval if self.fixed else 1

    def _number(self, index: int) -> int:
        return self._unit(self._start // DAY_SECONDS) + index * self._stride

    def _first_day(self, index: int) -> int:
        return self._days(self._number(index)).start

    def _walls(self, index: int) -> list[int]:
        """Return the wall times of a period in order, from the start of the rule on."""
        known = self._kept.get(index)
        if known is not None:
            return known
        days = [day for day in self._days(self._number(index)) if self._fits(day)]
        times = self._times if self.fixed else None
        walls = [
            day * DAY_SECONDS + second for day in days for second in (self._moments(day) if times is None else times)
        ]
        if self._parts.setpos:
            walls = _chosen(walls, self._parts.setpos)
        found = [wall for wall in walls if wall >= self._start]
        if len(self._kept) >= _KEPT_PERIODS:
            self._kept.clear()
        self._kept[index] = found
        return found

    def _moments(self, day: int) -> list[int]:
        """Return the seconds of a day at which an HOURLY or MINUTELY rule fires."""
        parts = self._parts
        hours = parts.hour or range(24)
        if parts.freq == "HOURLY":
            first = self._start // 3600
            due = [hour for hour in hours if (day * 24 + hour - first) % parts.interval == 0]
            return [hour * 3600 + m * 60 + s for hour in due for m in parts.minute for s in parts.second]
        first = self._start // 60
        step = (first - day * _DAY_MINUTES) % parts.interval
        minutes = range(step, _DAY_MINUTES, parts.interval)
        return [
            m * 60 + s
            for m in minutes
            if (not parts.hour or m // 60 in parts.hour) and (not parts.minute or m % 60 in parts.minute)
            for s in parts.second
        ]

    def _fits(self, day: int) -> bool:
        """Return whether a day, counted from 1970, passes every BY part that concerns days."""
        parts = self._parts
        today = date.fromordinal(day + _EPOCH_ORDINAL)
        if parts.month and today.month not in parts.month:
            return False
        if parts.monthday and not _among(today.day, _month_length(today), parts.monthday):
            return False
        if parts.yearday and not _among(today.timetuple().tm_yday, _year_length(today.year), parts.yearday):
            return False
        if parts.day and not any(_is_day(today, one, parts) for one in parts.day):
            return False
        return not parts.weekno or _among(*_week(today, parts.wkst), parts.weekno)


def _completed(parts: Parts, start: int) -> Parts:
    """Return the parts with those that the start gives where the rule leaves them open."""
    day, second = divmod(start, DAY_SECONDS)
    today = date.fromordinal(day + _EPOCH_ORDINAL)
    given: dict[str, object] = {}
    if not (parts.weekno or parts.yearday or parts.monthday or parts.day):
        if parts.freq == "YEARLY":
            given = {"month": parts.month or (today.month,), "monthday": (today.day,)}
        elif parts.freq == "MONTHLY":
            given = {"monthday": (today.day,)}
        elif parts.freq == "WEEKLY":
            given = {"day": (Day(today.weekday(), 0),)}
    if not parts.hour and parts.freq not in {"HOURLY", "MINUTELY"}:
        given["hour"] = (second // 3600,)
    if not parts.minute and parts.freq != "MINUTELY":
        given["minute"] = (second // 60 % 60,)
    if not parts.second:
        given["second"] = (second % 60,)
    fields = {name: getattr(parts, name) for name in parts.__struct_fields__}
    return Parts(**(fields | given))


def _times(parts: Parts) -> list[int]:
    return [h * 3600 + m * 60 + s for h in parts.hour for m in parts.minute for s in parts.second]


def _period(parts: Parts) -> tuple[Callable[[int], range], Callable[[int], int]]:
    """Return two functions: the days of the period with a number, and the number of the period that holds a day."""
    if parts.freq == "YEARLY":
        return (lambda year: range(_ordinal(year, 1), _ordinal(year + 1, 1))), (
            lambda day: date.fromordinal(day + _EPOCH_ORDINAL).year
        )
    if parts.freq == "MONTHLY":
        return (lambda month: range(_month_start(month), _month_start(month + 1))), _month_number
    if parts.freq == "WEEKLY":
        shift = 3 - parts.wkst
        return (lambda week: range(week * _WEEK - shift, (week + 1) * _WEEK - shift)), (
            lambda day: (day + shift) // _WEEK
        )
    return (lambda day: range(day, day + 1)), (lambda day: day)


def _ordinal(year: int, month: int) -> int:
    return date(year, month, 1).toordinal() - _EPOCH_ORDINAL


def _month_start(number: int) -> int:
    return _ordinal(number // 12, number % 12 + 1)


def _month_number(day: int) -> int:
    today = date.fromordinal(day + _EPOCH_ORDINAL)
    return today.year * 12 + today.month - 1


def _month_length(today: date) -> int:
    number = today.year * 12 + today.month - 1
    return _month_start(number + 1) - _month_start(number)


def _year_length(year: int) -> int:
    return _ordinal(year + 1, 1) - _ordinal(year, 1)


def _among(number: int, total: int, wanted: tuple[int, ...]) -> bool:
    """Return whether a number counted from 1, or from the end below zero, is wanted."""
    return number in wanted or number - total - 1 in wanted


def _is_day(today: date, day: Day, parts: Parts) -> bool:
    if today.weekday() != day.weekday:
        return False
    if not day.nth:
        return True
    if parts.freq == "MONTHLY" or parts.month:
        place, total = today.day, _month_length(today)
    else:
        place, total = today.timetuple().tm_yday, _year_length(today.year)
    return ((place - 1) // _WEEK + 1 if day.nth > 0 else -((total - place) // _WEEK + 1)) == day.nth


def _week(today: date, wkst: int) -> tuple[int, int]:
    """Return the number of the week that holds a day, and how many weeks its year has."""
    day = today.toordinal()
    year = today.year
    if day >= _week_one(year + 1, wkst):
        year += 1
    elif day < _week_one(year, wkst):
        year -= 1
    first = _week_one(year, wkst)
    return (day - first) // _WEEK + 1, (_week_one(year + 1, wkst) - first) // _WEEK


def _week_one(year: int, wkst: int) -> int:
    fourth = date(year, 1, _FIRST_WEEK_DAY)
    return fourth.toordinal() - (fourth.weekday() - wkst) % _WEEK


def _chosen(walls: list[int], positions: tuple[int, ...]) -> list[int]:
    places = {place - 1 if place > 0 else len(walls) + place for place in positions}
    return [walls[place] for place in sorted(places) if 0 <= place < len(walls)]

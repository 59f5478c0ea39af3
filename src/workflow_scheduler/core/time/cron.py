"""Cron expressions: five fields, evaluated with bit masks on wall time.

A time of day is one bit among 1,440, a day of the month one bit among 31, and the day mask of a month depends only
on the weekday of its first day and on its length, so that each of the 28 shapes is computed once. Zones and clock
changes are the business of `dst`.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

from workflow_scheduler.core.errors import FieldError, ValidationFailed, did_you_mean
from workflow_scheduler.core.time import cron_words
from workflow_scheduler.core.time.cron_field import MONTH, SCALES, WEEKDAY, Field, parse_field

NICKNAMES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
DAY_SECONDS = 86_400
DAY_MINUTES = 1440
MAX_LENGTH = 512
_FIELDS = 5
_EPOCH_ORDINAL = 719_163
_LAST_YEAR = 2499
_CYCLE_MONTHS = 4800
_MONTH_DAYS = (0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EVERY_SEVENTH = 0b1_0000001_0000001_0000001_0000001
_date_of = date.fromordinal


class Cron:
    """A compiled expression. `expression` is the text as written; `fixed` chooses the rule at clock changes.

    `fixed` is true when neither the minute nor the hour field begins with `*`: such a time fires once per local date.
    """

    __slots__ = ("_both", "_every_day", "_first", "_masks", "_months", "_times", "expression", "fields", "fixed")

    def __init__(self, expression: str, fields: tuple[Field, ...]) -> None:
        """Compile five parsed fields."""
        minute, hour, day, month, weekday = fields
        self.expression = expression
        self.fields = fields
        self.fixed = not (minute.starred or hour.starred)
        self._months = month.mask
        self._times = sum(minute.mask << (60 * number) for number in hour.values())
        self._first = _lowest(self._times) * 60
        self._both = day.starred or weekday.starred
        self._every_day = all(field.mask == field.scale.everything for field in (day, month, weekday))
        self._masks: dict[int, int] = {}

    def __repr__(self) -> str:
        return f"Cron({self.expression!r})"

    def next_local(self, wall: int) -> int | None:
        """Return the first matching wall time at or after `wall`, both in seconds; None past the year 2499.

        Zones play no part: wall times that a zone lacks are returned as well.
        """
        day, minute = divmod(-(-wall // 60), DAY_MINUTES)
        rest = self._times >> minute
        if self._every_day:
            if rest:
                return day * DAY_SECONDS + (minute + (rest & -rest).bit_length() - 1) * 60
            return (day + 1) * DAY_SECONDS + self._first
        today = _date_of(day + _EPOCH_ORDINAL)
        number, month = today.day, today.month
        if self._months >> month & 1:
            mask = self._day_mask(today.year, month, (day - number + 5) % 7) >> number
            if rest and mask & 1:
                return day * DAY_SECONDS + (minute + (rest & -rest).bit_length() - 1) * 60
            mask &= ~1
            if mask:
                return (day + (mask & -mask).bit_length() - 1) * DAY_SECONDS + self._first
        return self._later_month(today.year, month)

    def count_local(self, start: int, stop: int) -> int:
        """Return how many wall times in [start, stop), in seconds, match. Costs one step per month."""
        if stop <= start:
            return 0
        first_day, first_minute = divmod(-(-start // 60), DAY_MINUTES)
        last_day, last_minute = divmod(-(-stop // 60), DAY_MINUTES)
        total = self._days_between(first_day, last_day) * self._times.bit_count()
        before = self._times & ((1 << first_minute) - 1)  # of the first day, and of the last day those that count
        within = self._times & ((1 << last_minute) - 1)
        if before:
            total -= before.bit_count() * self._days_between(first_day, first_day + 1)
        if within:
            total += within.bit_count() * self._days_between(last_day, last_day + 1)
        return total

    def has_days(self) -> bool:
        """Return whether any day of any year matches."""
        months = self.fields[3].values()
        lengths = {length for month in months for length in ((28, 29) if month == 2 else (_MONTH_DAYS[month],))}  # noqa: PLR2004 -- February
        return any(self._shape(first, length) for first in range(7) for length in lengths)

    def _days_between(self, start: int, stop: int) -> int:
        total = 0
        while start < stop:
            today = _date_of(start + _EPOCH_ORDINAL)
            length = _month_length(today.year, today.month)
            upto = min(length, today.day + stop - start - 1)
            if self._months >> today.month & 1:
                mask = self._day_mask(today.year, today.month, (start - today.day + 5) % 7)
                total += ((mask >> today.day) & ((1 << (upto - today.day + 1)) - 1)).bit_count()
            start += upto - today.day + 1
        return total

    def _later_month(self, year: int, month: int) -> int | None:
        for _ in range(_CYCLE_MONTHS):
            later = self._months >> (month + 1)
            if later:
                month += (later & -later).bit_length()
            else:
                year += 1
                month = _lowest(self._months)
            if year > _LAST_YEAR:
                return None
            first = date(year, month, 1).toordinal() - _EPOCH_ORDINAL
            mask = self._day_mask(year, month, (first + 4) % 7)
            if mask:
                return (first + _lowest(mask) - 1) * DAY_SECONDS + self._first
        return None

    def _day_mask(self, year: int, month: int, first: int) -> int:
        """Return the mask of matching days (bit 1 = the first) of a month that begins on weekday `first` (0 Sunday)."""
        length = _month_length(year, month)
        mask = self._masks.get(first * 32 + length)
        return self._shape(first, length) if mask is None else mask

    def _shape(self, first: int, length: int) -> int:
        dates, weekdays = self.fields[2], self.fields[4]
        by_date = _dates_mask(dates, first, length)
        by_weekday = _weekdays_mask(weekdays, first, length)
        mask = by_date & by_weekday if self._both else by_date | by_weekday
        self._masks[first * 32 + length] = mask
        return mask


@lru_cache(maxsize=8192)
def parse(expression: str) -> Cron:
    """Compile an expression of five fields or a nickname such as `@daily`; equal texts share one object.

    Raises:
        ValidationFailed: the text is not a cron expression or never fires; its errors name the fields.

    """
    text = (
        expression.strip()
        if len(expression) <= MAX_LENGTH
        else _refuse("cron", f"the expression is longer than {MAX_LENGTH} characters; split it into several triggers")
    )
    parts = (_nickname(text) if text.startswith("@") else text).upper().split()
    if len(parts) != _FIELDS:
        _refuse("cron", _count_message(len(parts)))
    parsed = [parse_field(scale, part) for scale, part in zip(SCALES, parts, strict=True)]
    errors = [item for item in parsed if isinstance(item, FieldError)]
    if errors:
        raise ValidationFailed(f"`{text}` is not a cron expression: {errors[0].message}", errors=errors)
    cron = Cron(text, tuple(item for item in parsed if isinstance(item, Field)))
    if not cron.has_days():
        _refuse("day_of_month", f"`{text}` never fires: no {_months_text(cron)} has that day; change the day or month")
    return cron


def describe(cron: Cron) -> str:
    """Return the expression in plain English, for example `At 09:00, Monday to Friday`."""
    return cron_words.sentence(cron.fields)


def _refuse(field: str, message: str) -> str:
    raise ValidationFailed(message, errors=[FieldError(field, message)])


def _nickname(text: str) -> str:
    known = NICKNAMES.get(text.lower())
    if known is not None:
        return known
    if text.lower() == "@reboot":
        return _refuse("cron", "`@reboot` is not supported: a restart is not a time; use a `manual` trigger")
    if text.lower().startswith("@every"):
        return _refuse("cron", f"`{text}` is not a cron expression; use a trigger of type `interval` with `every`")
    near = did_you_mean(text.lower(), NICKNAMES)
    advice = f"did you mean `{near}`?" if near else f"known are {', '.join(sorted(NICKNAMES))}"
    return _refuse("cron", f"`{text}` is not a known nickname, {advice}")


def _count_message(count: int) -> str:
    if count in (_FIELDS + 1, _FIELDS + 2):
        return (
            f"the expression has {count} fields: seconds (and years) are not supported; write five fields: "
            "minute, hour, day of month, month, day of week"
        )
    return f"the expression has {count} fields; write five: minute, hour, day of month, month, day of week"


def _months_text(cron: Cron) -> str:
    return "month" if cron.fields[3].mask == MONTH.everything else cron_words.month_names(cron.fields[3])


def _month_length(year: int, month: int) -> int:
    if month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0):  # noqa: PLR2004 -- the Gregorian rule
        return 29
    return _MONTH_DAYS[month]


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _dates_mask(field: Field, first: int, length: int) -> int:
    mask = field.mask
    for before in field.last:
        if before < length:
            mask |= 1 << (length - before)
    if field.last_workday:
        mask |= 1 << _workday_near(length, first, length)
    for day in field.nearest:
        if day <= length:
            mask |= 1 << _workday_near(day, first, length)
    return mask & ((1 << (length + 1)) - 2)


def _workday_near(day: int, first: int, length: int) -> int:
    """Return the day Monday to Friday that is nearest to `day` within the same month."""
    weekday = (first + day - 1) % 7
    if weekday == 6:  # noqa: PLR2004 -- Saturday
        return day - 1 if day > 1 else day + 2
    if weekday == 0:
        return day + 1 if day < length else day - 2
    return day


def _weekdays_mask(field: Field, first: int, length: int) -> int:
    mask = 0
    for weekday in range(WEEKDAY.high + 1):
        earliest = 1 + (weekday - first) % 7
        if field.mask >> weekday & 1:
            mask |= _EVERY_SEVENTH << earliest
        if field.last_of >> weekday & 1:
            mask |= 1 << (earliest + (length - earliest) // 7 * 7)
    for weekday, week in field.nth:
        mask |= 1 << (1 + (weekday - first) % 7 + (week - 1) * 7)
    return mask & ((1 << (length + 1)) - 2)

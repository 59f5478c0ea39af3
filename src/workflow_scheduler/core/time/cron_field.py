"""One field of a cron expression: its grammar, its bit mask and its refusals."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from workflow_scheduler.core.errors import FieldError, did_you_mean

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_MAX_DIGITS = 4
_MAX_WEEK = 5
_MAX_BEFORE_LAST = 30


class Scale(msgspec.Struct, frozen=True):
    """The values of one field: from `low` to `high`, with `names` for the values from `low` on."""

    key: str
    title: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def everything(self) -> int:
        """The mask with every value of the field set."""
        return (1 << (self.high + 1)) - (1 << self.low)


MINUTE = Scale("minute", "minute", 0, 59)
HOUR = Scale("hour", "hour", 0, 23)
DAY = Scale("day_of_month", "day of month", 1, 31)
MONTH = Scale("month", "month", 1, 12, MONTHS)
WEEKDAY = Scale("day_of_week", "day of week", 0, 6, WEEKDAYS)
SCALES = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


class Field(msgspec.Struct):
    """A parsed field: `mask` has a bit for each value; the rest is what depends on the month.

    `last` holds the n of `L-n` (0 for `L`), `nearest` the n of `nW`, `last_of` a mask of weekdays for `nL`,
    `nth` the pairs (weekday, k) of `n#k`.
    """

    scale: Scale
    text: str
    mask: int = 0
    last: tuple[int, ...] = ()
    last_workday: bool = False
    nearest: tuple[int, ...] = ()
    last_of: int = 0
    nth: tuple[tuple[int, int], ...] = ()

    @property
    def starred(self) -> bool:
        """Whether the field begins with `*`: cron(8) treats `*` and `*/n` alike."""
        return self.text.startswith("*")

    @property
    def special(self) -> bool:
        """Whether the field depends on the shape of the month."""
        return bool(self.last or self.last_workday or self.nearest or self.last_of or self.nth)

    def values(self) -> list[int]:
        """Return the plain values in order."""
        return [value for value in range(self.scale.low, self.scale.high + 1) if self.mask >> value & 1]


class Bad(Exception):
    """A term that cannot be read; `suggestion` is what to write instead."""

    def __init__(self, message: str, suggestion: str | None = None) -> None:
        """Keep the sentence and the proposal."""
        super().__init__(message)
        self.message = message
        self.suggestion = suggestion


def parse_field(scale: Scale, text: str) -> Field | FieldError:
    """Return the field, or the error that says what is wrong and what to write instead."""
    field = Field(scale, text)
    try:
        for term in text.split(","):
            _add_term(field, term)
    except Bad as bad:
        return FieldError(scale.key, bad.message, suggestion=bad.suggestion)
    return field


def _add_term(field: Field, term: str) -> None:
    scale = field.scale
    if not term:
        raise Bad(f"{scale.title}: `{field.text}` has an empty part; write values between commas, such as `1,2`")
    if term == "?":
        raise Bad(f"{scale.title}: `?` is not supported; write `*`", "*")
    if term == "H" or term.startswith(("H/", "H(")):
        raise Bad(f"{scale.title}: `H` is not supported; write a value and set `jitter` to spread the load")
    for kind in _SPECIALS.get(scale.key, ()):
        if kind(field, term):
            return
    body, slash, step_text = term.partition("/")
    step = _step(scale, term, step_text) if slash else 1
    for number in _sequence(scale, term, body, open_end=bool(slash))[::step]:
        field.mask |= 1 << number


def _step(scale: Scale, term: str, text: str) -> int:
    if not _is_number(text) or int(text) == 0:
        raise Bad(f"{scale.title}: the step of `{term}` must be a number from 1 on, such as `*/5`")
    return int(text)


def _sequence(scale: Scale, term: str, body: str, *, open_end: bool) -> list[int]:
    """Return the values of `*`, `n`, or `a-b` in their order; a range may wrap around."""
    if body == "*":
        return list(range(scale.low, scale.high + 1))
    if body.startswith("-"):
        raise Bad(f"{scale.title}: `{term}` is negative; write a value from {scale.low} to {scale.high}")
    low_text, dash, high_text = body.partition("-")
    low = _value(scale, term, low_text)
    if not dash:
        return list(range(low % 7 if scale is WEEKDAY else low, scale.high + 1)) if open_end else [_sunday(scale, low)]
    high = _value(scale, term, high_text)
    if low <= high:
        return [_sunday(scale, value) for value in range(low, high + 1)]
    low = _sunday(scale, low)
    if low <= high:
        return list(range(low, high + 1))
    return [*range(low, scale.high + 1), *range(scale.low, high + 1)]


def _sunday(scale: Scale, value: int) -> int:
    return value % 7 if scale is WEEKDAY else value


def _value(scale: Scale, term: str, text: str) -> int:
    highest = 7 if scale is WEEKDAY else scale.high
    if text in scale.names:
        return scale.names.index(text) + scale.low
    if _is_number(text):
        if scale.low <= int(text) <= highest:
            return int(text)
        hint = _range_hint(scale, int(text))
        raise Bad(f"{scale.title}: `{text}` is not in {scale.low}-{highest}{hint}")
    if not text:
        raise Bad(f"{scale.title}: `{term}` is not complete; write a range as `{scale.low}-{scale.low + 1}`")
    near = text[:3] if text[:3] in scale.names else did_you_mean(text, scale.names)
    wanted = f"{scale.low}-{highest}" + (f" or {scale.names[0]}-{scale.names[-1]}" if scale.names else "")
    advice = f", did you mean `{near}`?" if near else f"; write {wanted}, `*`, a range or a list"
    raise Bad(f"{scale.title}: `{text}` is not a value{advice}", near)


def _range_hint(scale: Scale, number: int) -> str:
    if scale is HOUR and number == HOUR.high + 1:
        return "; midnight is 0"
    if scale is MINUTE and number == MINUTE.high + 1:
        return "; the full hour is 0"
    if number == 0:
        return f"; the first {scale.title} is {scale.low}"
    return ""


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _last_day(field: Field, term: str) -> bool:
    """`L`, `L-n` and `LW` of the day of month."""
    if term == "LW":
        field.last_workday = True
        return True
    if term == "L":
        field.last += (0,)
        return True
    if not term.startswith("L-"):
        return False
    if not _is_number(term[2:]) or int(term[2:]) > _MAX_BEFORE_LAST:
        raise Bad(f"day of month: `{term}` must count 1 to {_MAX_BEFORE_LAST} days before the last, such as `L-3`")
    field.last += (int(term[2:]),)
    return True


def _nearest_workday(field: Field, term: str) -> bool:
    """`nW` of the day of month: the weekday nearest to day n, within the month."""
    if not (term.endswith("W") and _is_number(term[:-1])):
        return False
    field.nearest += (_value(DAY, term, term[:-1]),)
    return True


def _last_weekday(field: Field, term: str) -> bool:
    """`nL` of the day of week: the last such day of the month."""
    if term == "L":
        raise Bad("day of week: `L` alone is ambiguous; write `SAT`, or `FRIL` for the last Friday of the month", "SAT")
    if not term.endswith("L"):
        return False
    field.last_of |= 1 << _sunday(WEEKDAY, _value(WEEKDAY, term, term[:-1]))
    return True


def _nth_weekday(field: Field, term: str) -> bool:
    """`n#k` of the day of week: the k-th such day of the month."""
    day, hash_sign, week = term.partition("#")
    if not hash_sign:
        return False
    if not _is_number(week) or not 1 <= int(week) <= _MAX_WEEK:
        raise Bad(f"day of week: the number after `#` in `{term}` must be 1 to 5, such as `FRI#2`")
    field.nth += ((_sunday(WEEKDAY, _value(WEEKDAY, term, day)), int(week)),)
    return True


_SPECIALS: dict[str, tuple[Callable[[Field, str], bool], ...]] = {
    DAY.key: (_last_day, _nearest_workday),
    WEEKDAY.key: (_last_weekday, _nth_weekday),
}

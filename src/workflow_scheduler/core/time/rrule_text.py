"""The text of a recurrence rule (RFC 5545): `FREQ=MONTHLY;BYDAY=-1FR` read into its parts, and said in English."""

from __future__ import annotations

from typing import NamedTuple, NoReturn

import msgspec

from workflow_scheduler.core.errors import FieldError, ValidationFailed, did_you_mean

FREQUENCIES = ("YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY")
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
COUNT_MAX = 10_000
_INTERVAL_MAX = 100_000
_LENGTH_MAX = 2_000
_WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_UNITS = {
    "YEARLY": "year", "MONTHLY": "month", "WEEKLY": "week", "DAILY": "day", "HOURLY": "hour", "MINUTELY": "minute",
}  # fmt: skip
_MOST_SAID = 6


class Day(NamedTuple):
    """A part of BYDAY: the weekday (0 is Monday) and which one of the month or year; 0 means each."""

    weekday: int
    nth: int


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is written; empty tuples stand for parts that are not given."""

    freq: str
    interval: int = 1
    count: int | None = None
    until: str | None = None
    wkst: int = 0
    month: tuple[int, ...] = ()
    weekno: tuple[int, ...] = ()
    yearday: tuple[int, ...] = ()
    monthday: tuple[int, ...] = ()
    day: tuple[Day, ...] = ()
    hour: tuple[int, ...] = ()
    minute: tuple[int, ...] = ()
    second: tuple[int, ...] = ()
    setpos: tuple[int, ...] = ()


class _Range(NamedTuple):
    low: int
    high: int
    signed: bool = False


_LISTS = {
    "BYMONTH": ("month", _Range(1, 12)),
    "BYWEEKNO": ("weekno", _Range(1, 53, signed=True)),
    "BYYEARDAY": ("yearday", _Range(1, 366, signed=True)),
    "BYMONTHDAY": ("monthday", _Range(1, 31, signed=True)),
    "BYHOUR": ("hour", _Range(0, 23)),
    "BYMINUTE": ("minute", _Range(0, 59)),
    "BYSECOND": ("second", _Range(0, 59)),
    "BYSETPOS": ("setpos", _Range(1, 366, signed=True)),
}
_KNOWN = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", *_LISTS)


def parse(text: str) -> Parts:
    """Return the parts of a rule; `RRULE:` in front may stand or not.

    Raises:
        ValidationFailed: a part is unknown, wrong, twice there, or does not go with the frequency.

    """
    if len(text) > _LENGTH_MAX:
        refuse(f"the rule is longer than {_LENGTH_MAX} characters; split it into several triggers")
    body = text.strip().upper().removeprefix("RRULE:")
    fields: dict[str, str] = {}
    for piece in body.strip(";").split(";"):
        name, sign, value = piece.partition("=")
        if name not in _KNOWN or not sign:
            _unknown(name)
        if name in fields:
            refuse(f"{name} is given twice; write its values as a list with commas")
        fields[name] = value
    return _checked(_parts(fields))


def sentence(parts: Parts) -> str:
    """Return a rule in plain English, without the times of day that come from its start."""
    unit = _UNITS[parts.freq]
    text = f"Every {unit}" if parts.interval == 1 else f"Every {parts.interval} {unit}s"
    if parts.day:
        text += " on " + _listed([_day_text(day) for day in parts.day])
    for values, words in (
        (parts.monthday, "on day"), (parts.yearday, "on day of the year"), (parts.weekno, "in week"),
        (parts.month, "in month"), (parts.hour, "at hour"), (parts.minute, "at minute"), (parts.setpos, "only match"),
    ):  # fmt: skip
        if values:
            text += f", {words} {_listed([str(value) for value in values])}"
    if parts.count is not None:
        text += f", {parts.count} times"
    return text + (f", until {parts.until}" if parts.until else "")


def endless(parts: Parts) -> Parts:
    """Return a rule without its COUNT and UNTIL."""
    return msgspec.structs.replace(parts, count=None, until=None)


def refuse(message: str, field: str = "rrule") -> NoReturn:
    """Refuse a rule.

    Raises:
        ValidationFailed: always.

    """
    raise ValidationFailed(message, errors=[FieldError(field, message)])


def _unknown(name: str) -> NoReturn:
    if name in {"DTSTART", "EXDATE", "RDATE", "EXRULE"} or name.startswith(("DTSTART", "EXDATE")):
        refuse(f"{name[:20]} is no part of the rule; write it beside the rule, as `dtstart` or `exdate`")
    near = did_you_mean(name, _KNOWN)
    refuse(
        f"`{name[:40]}` is no part of a rule, " + (f"did you mean {near}?" if near else f"known are {_listed(_KNOWN)}")
    )


def _parts(fields: dict[str, str]) -> Parts:
    freq = fields.get("FREQ", "")
    if freq == "SECONDLY":
        refuse("FREQ=SECONDLY is not supported; the finest is MINUTELY, and `interval` counts seconds")
    if freq not in FREQUENCIES:
        refuse(f"FREQ must be one of {', '.join(FREQUENCIES)}")
    if "COUNT" in fields and "UNTIL" in fields:
        refuse("COUNT and UNTIL are both given; keep one of them")
    lists = {
        attribute: _numbers(name, fields[name], span) for name, (attribute, span) in _LISTS.items() if name in fields
    }
    return Parts(
        freq=freq,
        interval=_number("INTERVAL", fields.get("INTERVAL", "1"), _Range(1, _INTERVAL_MAX)),
        count=_number("COUNT", fields["COUNT"], _Range(1, COUNT_MAX)) if "COUNT" in fields else None,
        until=fields.get("UNTIL"),
        wkst=_weekday("WKST", fields.get("WKST", "MO")),
        day=tuple(_day(one) for one in fields["BYDAY"].split(",")) if "BYDAY" in fields else (),
        **lists,
    )


def _number(name: str, text: str, span: _Range) -> int:
    digits = text.removeprefix("-" if span.signed and text.startswith("-") else "+")
    if not (digits.isascii() and digits.isdigit()) or not span.low <= int(digits[:9]) <= span.high:
        sign = " or the same below zero" if span.signed else ""
        refuse(f"{name} is `{text[:20]}`; it must be {span.low} to {span.high}{sign}")
    return -int(digits) if text.startswith("-") else int(digits)


def _numbers(name: str, text: str, span: _Range) -> tuple[int, ...]:
    return tuple(sorted({_number(name, one, span) for one in text.split(",")}))


def _weekday(name: str, text: str) -> int:
    if text not in WEEKDAYS:
        refuse(f"{name} has `{text[:20]}`; days are {', '.join(WEEKDAYS)}")
    return WEEKDAYS.index(text)


def _day(text: str) -> Day:
    nth = _number("BYDAY", text[:-2], _Range(1, 53, signed=True)) if text[:-2] else 0
    return Day(_weekday("BYDAY", text[-2:]), nth)


def _checked(parts: Parts) -> Parts:
    freq = parts.freq
    numbered = any(day.nth for day in parts.day)
    rules = (
        (parts.weekno and freq != "YEARLY", "BYWEEKNO goes with FREQ=YEARLY only"),
        (parts.yearday and freq in {"DAILY", "WEEKLY", "MONTHLY"}, f"BYYEARDAY does not go with FREQ={freq}"),
        (parts.monthday and freq == "WEEKLY", "BYMONTHDAY does not go with FREQ=WEEKLY"),
        (numbered and freq not in {"MONTHLY", "YEARLY"}, f"a numbered day such as 2MO does not go with FREQ={freq}"),
        (numbered and parts.weekno, "a numbered day such as 2MO does not go with BYWEEKNO"),
        (
            parts.setpos and freq in {"HOURLY", "MINUTELY"},
            f"BYSETPOS with FREQ={freq} is not supported; name the minutes with BYMINUTE",
        ),
        (
            parts.setpos and not any((parts.month, parts.weekno, parts.yearday, parts.monthday, parts.day, parts.hour,
                                      parts.minute, parts.second)),
            "BYSETPOS chooses among the values of another BY part; add one",
        ),
    )  # fmt: skip
    for broken, message in rules:
        if broken:
            refuse(message)
    return parts


def _day_text(day: Day) -> str:
    if not day.nth:
        return _WEEKDAY_NAMES[day.weekday]
    if day.nth < 0:
        return f"the last {_WEEKDAY_NAMES[day.weekday]}" if day.nth == -1 else f"{WEEKDAYS[day.weekday]} no. {day.nth}"
    return f"{_WEEKDAY_NAMES[day.weekday]} no. {day.nth}"


def _listed(values: list[str] | tuple[str, ...]) -> str:
    if len(values) > _MOST_SAID * 3:
        return ", ".join(values[:_MOST_SAID]) + " …"
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"

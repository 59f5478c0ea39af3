"""Cron expressions in plain English."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_scheduler.core.time.cron_field import Field

_MONTH_NAMES = (
    "", "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_WEEKDAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_ORDINALS = ("", "first", "second", "third", "fourth", "fifth")
_MOST_TIMES = 6
_SHORTEST_RUN = 3


def sentence(fields: Sequence[Field]) -> str:
    """Return the meaning of five parsed fields as one sentence without a full stop."""
    minute, hour, day, month, weekday = fields
    text = _time(minute, hour) + _days(day, weekday)
    if month.mask != month.scale.everything:
        text += f", in {month_names(month)}"
    return text


def month_names(field: Field) -> str:
    """Return the months of a month field, for example `January and July`."""
    return _list(_runs(field.values(), _MONTH_NAMES))


def _time(minute: Field, hour: Field) -> str:
    hours, minutes = hour.values(), minute.values()
    if len(hours) * len(minutes) <= _MOST_TIMES:
        return "At " + _list([f"{h:02d}:{m:02d}" for h in hours for m in minutes])
    every_hour = hour.mask == hour.scale.everything
    if every_hour and minutes == [0]:
        return "Every hour"
    text = _minutes(minute)
    if every_hour:
        return text if len(minutes) != 1 else text + " of every hour"
    step = _even_step(hour)
    if step:
        return f"{text} of every {step} hours" if len(minutes) == 1 else f"{text}, in every {_nth(step)} hour"
    return f"{text}, in the hours {_list(_runs(hours, [f'{number:02d}' for number in range(24)]))}"


def _minutes(minute: Field) -> str:
    values = minute.values()
    if minute.mask == minute.scale.everything:
        return "Every minute"
    step = _even_step(minute)
    if step:
        return f"Every {step} minutes"
    names = [str(number) for number in range(60)]
    return f"At minute{'s' if len(values) > 1 else ''} {_list(_runs(values, names))}"


def _even_step(field: Field) -> int | None:
    """Return the step of a field that begins with 0 and divides its cycle evenly."""
    values = field.values()
    cycle = field.scale.high + 1
    if len(values) < 2 or values[0] != 0:  # noqa: PLR2004 -- a step needs two values
        return None
    step = values[1]
    return step if values == list(range(0, cycle, step)) and cycle % step == 0 else None


def _nth(number: int) -> str:
    return _ORDINALS[number] if number < len(_ORDINALS) else f"{number}th"


def _days(day: Field, weekday: Field) -> str:
    free_date = not day.special and day.mask == day.scale.everything
    free_weekday = not weekday.special and weekday.mask == weekday.scale.everything
    dates = "on " + _list(_dates(day)) + " of the month"
    weekdays = _list(_weekdays(weekday))
    if free_date and free_weekday:
        return ""
    if free_weekday:
        return f", {dates}"
    if free_date:
        return f", {weekdays}"
    both = day.starred or weekday.starred
    return f", {dates}{' when it is' if both else ' or on'} {weekdays}"


def _dates(field: Field) -> list[str]:
    plain = _runs(field.values(), [str(number) for number in range(32)])
    parts = [f"day{'s' if len(field.values()) > 1 else ''} {_list(plain)}"] if plain else []
    parts += ["the last day" if before == 0 else f"the day {before} before the last" for before in field.last]
    if field.last_workday:
        parts.append("the last weekday")
    parts += [f"the weekday nearest to day {number}" for number in field.nearest]
    return parts


def _weekdays(field: Field) -> list[str]:
    values = field.values()
    parts = _runs(values, _WEEKDAY_NAMES)
    parts += [f"the last {_WEEKDAY_NAMES[number]} of the month" for number in range(7) if field.last_of >> number & 1]
    return parts + [f"the {_ORDINALS[week]} {_WEEKDAY_NAMES[number]} of the month" for number, week in field.nth]


def _runs(values: Sequence[int], names: Sequence[str]) -> list[str]:
    """Return names with three or more neighbours joined: `Monday to Friday`."""
    found: list[str] = []
    start = 0
    for position, value in enumerate(values):
        if position + 1 < len(values) and values[position + 1] == value + 1:
            continue
        run = values[start : position + 1]
        start = position + 1
        joined = [f"{names[run[0]]} to {names[run[-1]]}"]
        found += joined if len(run) >= _SHORTEST_RUN else [names[number] for number in run]
    return found


def _list(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""

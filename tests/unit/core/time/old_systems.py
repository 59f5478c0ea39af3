"""How other schedulers find their next time, written anew from their sources: slow, and with `zoneinfo` only.

Quartz 2.3 `CronExpression.getTimeAfter` on Java's lenient calendar, Spring 5.3 `CronField` on `java.time`, Airflow 2.10
`CronMixin._get_next` on pendulum, cron-utils 9 `SingleExecutionTime.nextExecution`, robfig/cron 3 `SpecSchedule.Next`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import wall_oracle

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
Next = Callable[[wall_oracle.Expression, str, datetime], datetime]


def naive(utc: datetime, name: str) -> datetime:
    return utc.astimezone(wall_oracle.zone_info(name)).replace(tzinfo=None, fold=0)


def aware(wall: datetime, name: str, fold: int) -> datetime:
    return wall.replace(tzinfo=wall_oracle.zone_info(name), fold=fold).astimezone(UTC)


def exists(wall: datetime, name: str) -> bool:
    return naive(aware(wall, name, 0), name) == wall


def later(expression: wall_oracle.Expression, wall: datetime) -> datetime:
    """The first wall time after `wall` that the expression names, whatever the zone."""
    wall += MINUTE
    while not expression.holds(wall):
        near = wall.hour in expression.hours and expression.holds_day(wall)
        wall += MINUTE if near else timedelta(minutes=60 - wall.minute)
    return wall


def real(expression: wall_oracle.Expression, name: str, utc: datetime) -> datetime:
    """The first minute after `utc` whose wall time the expression names."""
    utc += MINUTE
    while not expression.holds(wall := naive(utc, name)):
        # Clocks change at half hours of UTC only, so that no hour can begin before the next one.
        near = wall.hour in expression.hours and expression.holds_day(wall)
        utc += MINUTE if near else timedelta(minutes=30 - utc.minute % 30)
    return utc


def quartz(expression: wall_oracle.Expression, name: str, utc: datetime) -> datetime:
    """Every step sets fields of a wall time, and Java takes the second copy of a doubled one (fold 1)."""
    wall = naive(utc, name)
    while True:
        wall = later(expression, wall)
        if exists(wall, name) and aware(wall, name, 1) > utc:
            return aware(wall, name, 1)


def spring(expression: wall_oracle.Expression, name: str, utc: datetime) -> datetime:
    """Fields are added to a ZonedDateTime: real time within the day, so that both copies come up and gaps do not."""
    return real(expression, name, utc)


def airflow(expression: wall_oracle.Expression, name: str, utc: datetime) -> datetime:
    wall = naive(utc, name)
    scheduled = later(expression, wall)
    if expression.hours == set(range(24)):
        return utc + (scheduled - wall)
    if not exists(scheduled, name):
        before, after = (scheduled.replace(tzinfo=wall_oracle.zone_info(name), fold=fold) for fold in (0, 1))
        offsets = after.utcoffset(), before.utcoffset()
        assert offsets[0] is not None
        assert offsets[1] is not None
        scheduled += offsets[0] - offsets[1]
    return aware(scheduled, name, 1)


def cron_utils(expression: wall_oracle.Expression, name: str, utc: datetime) -> datetime:
    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(wall_oracle.zone_info(name)).utcoffset() or timedelta()

    found = real(expression, name, utc)
    if offset(found) < offset(utc) and real(expression, name, found) - found >= 2 * HOUR:
        return real(expression, name, utc + HOUR)
    return found


def robfig(expression: wall_oracle.Expression, name: str, utc: datetime) -> datetime:
    """`SpecSchedule.Next`: hours and minutes are added to an instant, days to a date."""
    at = utc + MINUTE
    while True:
        at, done = _robfig_pass(expression, name, at)
        if done:
            return at


def _robfig_pass(expression: wall_oracle.Expression, name: str, at: datetime) -> tuple[datetime, bool]:
    while naive(at, name).month not in expression.months:
        wall = naive(at, name)
        at = go_date((wall.replace(day=1) + timedelta(days=32)).replace(day=1), name)
        if naive(at, name).month == 1:
            return at, False
    while not expression.holds_day(naive(at, name)):
        at = go_date(naive(at, name) + timedelta(days=1), name)
        hour = naive(at, name).hour
        at += HOUR * (24 - hour if hour > 12 else -hour)
        if naive(at, name).day == 1:
            return at, False
    while naive(at, name).hour not in expression.hours:
        at += HOUR
        if naive(at, name).hour == 0:
            return at, False
    while naive(at, name).minute not in expression.minutes:
        at += MINUTE
        if naive(at, name).minute == 0:
            return at, False
    return at, True


def go_date(wall: datetime, name: str) -> datetime:
    """Go's `time.Date`: the offset at the wall time taken as UTC, else the offset at what that gives."""
    zone = wall_oracle.zone_info(name)
    guess = wall.replace(tzinfo=UTC).astimezone(zone).utcoffset() or timedelta()
    utc = wall.replace(tzinfo=UTC) - guess
    return utc if not guess else wall.replace(tzinfo=UTC) - (utc.astimezone(zone).utcoffset() or timedelta())


def fires(
    following: Next, expression: wall_oracle.Expression, name: str, span: tuple[datetime, datetime]
) -> Iterator[datetime]:
    """The times in (start, stop] of a system that was running long before."""
    start, stop = span
    utc = following(expression, name, start - timedelta(days=3))
    while utc <= stop:
        if utc > start:
            yield utc
        utc = following(expression, name, utc)

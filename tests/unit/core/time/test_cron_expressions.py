"""What cron expressions mean: tables of examples, plain English, and refusals."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from cronsim import CronSim, CronSimError
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wall_oracle import zone_info

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron, dst, zone
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, from_datetime, from_iso, to_datetime, to_iso

UTC_ZONE = zone.load("UTC")


def fires(expression: str, start: str, number: int = 3) -> list[str]:
    compiled, after, found = cron.parse(expression), from_iso(start) - 1, []
    for _ in range(number):
        instant = dst.next_utc(compiled, UTC_ZONE, after)
        assert instant is not None
        found.append(to_iso(instant)[:16].replace("T", " "))
        after = instant
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 2 * * *", ["2027-01-01 02:00", "2027-01-02 02:00", "2027-01-03 02:00"]),
        ("*/20 * * * *", ["2027-01-01 00:00", "2027-01-01 00:20", "2027-01-01 00:40"]),
        ("5/20 * * * *", ["2027-01-01 00:05", "2027-01-01 00:25", "2027-01-01 00:45"]),
        ("0 22-1 * * *", ["2027-01-01 00:00", "2027-01-01 01:00", "2027-01-01 22:00"]),
        ("58-1 0 * * *", ["2027-01-01 00:00", "2027-01-01 00:01", "2027-01-01 00:58"]),
        ("0 0 * * FRI-MON", ["2027-01-01 00:00", "2027-01-02 00:00", "2027-01-03 00:00"]),
        ("0 0 * * TUE-THU", ["2027-01-05 00:00", "2027-01-06 00:00", "2027-01-07 00:00"]),
        ("0 0 * * 7", ["2027-01-03 00:00", "2027-01-10 00:00", "2027-01-17 00:00"]),
        ("0 0 * * 0", ["2027-01-03 00:00", "2027-01-10 00:00", "2027-01-17 00:00"]),
        ("0 0 * * 5-7", ["2027-01-01 00:00", "2027-01-02 00:00", "2027-01-03 00:00"]),
        ("0 0 1 NOV-FEB *", ["2027-01-01 00:00", "2027-02-01 00:00", "2027-11-01 00:00"]),
        ("0 0 30-1 * *", ["2027-01-01 00:00", "2027-01-30 00:00", "2027-01-31 00:00"]),
        ("0 0 L * *", ["2027-01-31 00:00", "2027-02-28 00:00", "2027-03-31 00:00"]),
        ("0 0 L-1 * *", ["2027-01-30 00:00", "2027-02-27 00:00", "2027-03-30 00:00"]),
        ("0 0 L-29 * *", ["2027-01-02 00:00", "2027-03-02 00:00", "2027-04-01 00:00"]),
        ("0 0 LW * *", ["2027-01-29 00:00", "2027-02-26 00:00", "2027-03-31 00:00"]),
        ("0 0 15W * *", ["2027-01-15 00:00", "2027-02-15 00:00", "2027-03-15 00:00"]),
        ("0 0 1W 5,8 *", ["2027-05-03 00:00", "2027-08-02 00:00", "2028-05-01 00:00"]),
        ("0 0 31W * *", ["2027-01-29 00:00", "2027-03-31 00:00", "2027-05-31 00:00"]),
        ("0 0 * * FRIL", ["2027-01-29 00:00", "2027-02-26 00:00", "2027-03-26 00:00"]),
        ("0 0 * * 7L", ["2027-01-31 00:00", "2027-02-28 00:00", "2027-03-28 00:00"]),
        ("0 0 * * FRI#2", ["2027-01-08 00:00", "2027-02-12 00:00", "2027-03-12 00:00"]),
        ("0 0 * * MON#5", ["2027-03-29 00:00", "2027-05-31 00:00", "2027-08-30 00:00"]),
        ("0 0 * * MON#1,FRIL", ["2027-01-04 00:00", "2027-01-29 00:00", "2027-02-01 00:00"]),
        ("0 0 13 * FRI", ["2027-01-01 00:00", "2027-01-08 00:00", "2027-01-13 00:00"]),
        ("0 0 1,L * *", ["2027-01-01 00:00", "2027-01-31 00:00", "2027-02-01 00:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00", "2036-02-29 00:00"]),
        ("0 0 29 FEB */7", ["2032-02-29 00:00", "2060-02-29 00:00", "2088-02-29 00:00"]),
        ("@hourly", ["2027-01-01 00:00", "2027-01-01 01:00", "2027-01-01 02:00"]),
        ("@daily", ["2027-01-01 00:00", "2027-01-02 00:00", "2027-01-03 00:00"]),
        ("@Weekly", ["2027-01-03 00:00", "2027-01-10 00:00", "2027-01-17 00:00"]),
        ("@monthly", ["2027-01-01 00:00", "2027-02-01 00:00", "2027-03-01 00:00"]),
        ("@yearly", ["2027-01-01 00:00", "2028-01-01 00:00", "2029-01-01 00:00"]),
        ("  0\t2  * * mon ", ["2027-01-04 02:00", "2027-01-11 02:00", "2027-01-18 02:00"]),
    ],
)
def test_expressions_fire_when_they_say(expression: str, expected: list[str]):
    assert fires(expression, "2027-01-01T00:00:00") == expected


def test_the_29th_of_february_skips_the_year_2100():
    assert fires("0 0 29 2 *", "2096-03-01T00:00:00", 1) == ["2104-02-29 00:00"]


BAD = [
    ("", "cron", "has 0 fields; write five"),
    ("* * *", "cron", "has 3 fields; write five"),
    ("0 0 2 * * *", "cron", "seconds (and years) are not supported"),
    ("0 0 2 * * ? 2027", "cron", "seconds (and years) are not supported"),
    ("60 * * * *", "minute", "`60` is not in 0-59; the full hour is 0"),
    ("* 24 * * *", "hour", "`24` is not in 0-23; midnight is 0"),
    ("* * 0 * *", "day_of_month", "the first day of month is 1"),
    ("* * 32 * *", "day_of_month", "`32` is not in 1-31"),
    ("* * * 13 *", "month", "`13` is not in 1-12"),
    ("* * * * 8", "day_of_week", "`8` is not in 0-7"),
    ("*/0 * * * *", "minute", "must be a number from 1 on"),
    ("*/x * * * *", "minute", "must be a number from 1 on"),
    ("*/ * * * *", "minute", "must be a number from 1 on"),
    ("1-2-3 * * * *", "minute", "`2-3` is not a value"),
    ("1,,2 * * * *", "minute", "has an empty part"),
    ("-5 * * * *", "minute", "is negative"),
    ("5- * * * *", "minute", "is not complete"),
    ("1.5 * * * *", "minute", "`1.5` is not a value"),
    ("१ * * * *", "minute", "is not a value"),
    ("99999999999999999999 * * * *", "minute", "is not a value"),
    ("* * * JANUARY *", "month", "did you mean `JAN`?"),
    ("* * * * MONDAY", "day_of_week", "did you mean `MON`?"),
    ("* * * * FRY", "day_of_week", "did you mean `FRI`?"),
    ("* * * * FRI#6", "day_of_week", "must be 1 to 5"),
    ("* * * * FRI#", "day_of_week", "must be 1 to 5"),
    ("* * * * L", "day_of_week", "`L` alone is ambiguous"),
    ("* * ? * *", "day_of_month", "write `*`"),
    ("H * * * *", "minute", "`H` is not supported"),
    ("* * L-31 * *", "day_of_month", "must count 1 to 30 days"),
    ("* * 32W * *", "day_of_month", "`32` is not in 1-31"),
    ("L * * * *", "minute", "`L` is not a value"),
    ("0 0 31 2 *", "day_of_month", "never fires"),
    ("0 0 30,31 FEB *", "day_of_month", "never fires"),
    ("0 0 31 4,6,9,11 *", "day_of_month", "never fires"),
    ("0 0 31W 2 *", "day_of_month", "never fires"),
    ("0 0 L-30 4 *", "day_of_month", "never fires"),
    ("@reboot", "cron", "a restart is not a time"),
    ("@every 5m", "cron", "trigger of type `interval`"),
    ("@dayly", "cron", "did you mean `@daily`?"),
    ("@", "cron", "is not a known nickname"),
    ("0 2 * * * " * 200, "cron", "longer than 512"),
]


@pytest.mark.parametrize(("expression", "field", "message"), BAD)
def test_bad_expressions_are_refused_with_the_field_and_the_remedy(expression: str, field: str, message: str):
    with pytest.raises(ValidationFailed) as caught:
        cron.parse(expression)
    error = caught.value.errors[0]
    assert error.field == field
    assert message in error.message


def test_all_wrong_fields_are_named_at_once():
    with pytest.raises(ValidationFailed) as caught:
        cron.parse("60 24 * 13 *")
    assert [error.field for error in caught.value.errors] == ["minute", "hour", "month"]


@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(["*", "*/2", "1", "L", "LW", "7L", "1-5", "FRI", "3#1", "JAN", "1W"])
        | st.text(alphabet="0123456789*,-/LW#", min_size=1, max_size=4),
        min_size=5,
        max_size=5,
    ).map(" ".join)
)
@settings(deadline=None)
def test_any_text_is_parsed_or_refused(text: str):
    try:
        compiled = cron.parse(text)
    except ValidationFailed:
        return
    assert compiled.next_local(0) is not None
    assert cron.describe(compiled)


@pytest.mark.parametrize(
    ("expression", "english"),
    [
        ("0 2 * * *", "At 02:00"),
        ("* * * * *", "Every minute"),
        ("*/5 * * * *", "Every 5 minutes"),
        ("0 * * * *", "Every hour"),
        ("15 * * * *", "At minute 15 of every hour"),
        ("0 */6 * * *", "At 00:00, 06:00, 12:00 and 18:00"),
        ("0 */2 * * *", "At minute 0 of every 2 hours"),
        ("*/10 */2 * * *", "Every 10 minutes, in every second hour"),
        ("*/7 9-17 * * *", "At minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56, in the hours 09 to 17"),
        ("0 9 * * MON-FRI", "At 09:00, Monday to Friday"),
        ("30 4 1 * *", "At 04:30, on day 1 of the month"),
        ("30 4 1,15 * FRI", "At 04:30, on days 1 and 15 of the month or on Friday"),
        ("0 0 */9 * MON", "At 00:00, on days 1, 10, 19 and 28 of the month when it is Monday"),
        ("0 6 LW * *", "At 06:00, on the last weekday of the month"),
        ("0 6 L-3 JAN,JUL *", "At 06:00, on the day 3 before the last of the month, in January and July"),
        ("0 6 15W * *", "At 06:00, on the weekday nearest to day 15 of the month"),
        ("0 6 * * FRI#2,MONL", "At 06:00, the last Monday of the month and the second Friday of the month"),
    ],
)  # fmt: skip
def test_expressions_read_as_plain_english(expression: str, english: str):
    assert cron.describe(cron.parse(expression)) == english


NUMBER = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6)}


def field(kind: str) -> st.SearchStrategy[str]:
    low, high = NUMBER[kind]
    number = st.integers(low, high)
    pair = st.tuples(number, number).filter(lambda ends: ends[0] < ends[1]).map(lambda ends: f"{ends[0]}-{ends[1]}")
    # cronsim counts Sunday twice in `*/n` of the weekday field, so steps are left out there.
    step = st.integers(1, high // 2 + 1)
    stepped = st.tuples(pair if kind == "weekday" else st.just("*") | pair, step).map("{0[0]}/{0[1]}".format)
    return st.just("*") | st.lists(number.map(str) | pair, min_size=1, max_size=3).map(",".join) | stepped


EXPRESSIONS = st.tuples(field("minute"), field("hour"), field("day"), field("month"), field("weekday")).map(" ".join)
MOMENTS = st.datetimes(datetime.fromisoformat("2020-01-01"), datetime.fromisoformat("2037-12-31"))
ZONES = st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata"])


def follows_half_a_gap(at: int, name: str) -> bool:
    offsets = [to_datetime(one).astimezone(zone_info(name)).utcoffset() for one in (at - HOUR_US, at)]
    return offsets[1] - offsets[0] == timedelta(minutes=30)


@given(EXPRESSIONS, MOMENTS, ZONES)
@example("* 3 * 10 *", datetime.fromisoformat("2034-01-01"), "Australia/Lord_Howe")
@settings(deadline=None, max_examples=150)
def test_fires_are_those_of_cronsim(expression: str, start: datetime, name: str):
    try:
        oracle = CronSim(expression, start.replace(microsecond=0, tzinfo=zone_info(name)))
    except CronSimError:
        with pytest.raises(ValidationFailed):
            cron.parse(expression)
        return
    compiled = cron.parse(expression)
    after = from_datetime(oracle.dt.replace(tzinfo=zone_info(name)))
    moment = next(oracle)
    for _ in range(6):
        fire = dst.next_utc(compiled, zone.load(name), after)
        assert fire is not None
        # cronsim gives one fire for each wall time moved out of a gap; here they are one.
        while from_datetime(moment) <= after:
            moment = next(oracle)
        if fire < from_datetime(moment) and follows_half_a_gap(fire, name):
            # cronsim leaves out the half hour after a gap of half an hour.
            local = to_datetime(fire).astimezone(zone_info(name))
            wall = from_datetime(local.replace(tzinfo=to_datetime(0).tzinfo)) // 1_000_000
            assert compiled.next_local(wall) == wall, (expression, name, start)
            after = fire
            continue
        # As numbers: Python calls a wall time that exists twice unequal to every time of another zone (PEP 495).
        assert fire == from_datetime(moment), (expression, name, start)
        after = fire


@given(EXPRESSIONS, MOMENTS, st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_counting_wall_times_equals_walking(expression: str, start: datetime, days: int):
    try:
        compiled = cron.parse(expression)
    except ValidationFailed:
        return
    first = from_datetime(start.replace(tzinfo=to_datetime(0).tzinfo)) // 1_000_000
    stop, wall, walked = first + days * 86_400, first, 0
    while (found := compiled.next_local(wall)) is not None and found < stop and walked < 2000:
        walked, wall = walked + 1, found + 1
    if walked < 2000:
        assert compiled.count_local(first, stop) == walked


def test_a_weekday_near_the_end_of_a_month_stays_in_it():
    compiled = cron.parse("0 0 1W,31W * *")
    day = date(2027, 1, 1)
    while day < date(2031, 1, 1):
        wall = (day - date(1970, 1, 1)).days * 86_400
        if compiled.next_local(wall) == wall:
            assert day.weekday() < 5
            assert day.day <= 3 or (day + timedelta(days=3)).month != day.month
        day += timedelta(days=1)


def test_the_search_is_bounded_at_both_ends_of_time():
    compiled, new_york = cron.parse("0 0 29 2 *"), zone.load("America/New_York")
    assert dst.next_utc(compiled, new_york, -(10**30)) is not None
    assert dst.next_utc(compiled, new_york, 10**30) is None
    last = from_iso("2499-03-01T00:00:00")
    assert dst.next_utc(compiled, new_york, last) is None
    assert dst.count(compiled, new_york, (last, last + 10 * DAY_US)) == 0

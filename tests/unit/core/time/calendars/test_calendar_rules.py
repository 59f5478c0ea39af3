"""What calendars hold and leave out: countries, weekly patterns, unions, and the exclusion they make of it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from calendar_oracle import calendar, rules, tz
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from workflow_scheduler.core.time.calendars.ics_times import day_of
from workflow_scheduler.core.time.calendars.use import CalendarUse
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US, from_iso, to_datetime

WEEKENDS = calendar("weekends", weekdays=["SAT", "sunday"])


@pytest.mark.parametrize(
    ("country", "subdivision", "day", "name"),
    [
        ("US", None, "2027-11-25", "Thanksgiving Day"),
        ("US", None, "2027-07-05", "Independence Day (observed)"),
        ("DE", None, "2027-10-03", "German Unity Day"),
        ("DE", "BY", "2027-11-01", "All Saints' Day"),
        ("DE", None, "2027-11-01", None),
        ("GB", "SCT", "2027-11-30", "Saint Andrew's Day"),
        ("GB", "ENG", "2027-11-30", None),
        ("JP", None, "2027-05-05", "Children's Day"),
        ("IN", None, "2027-01-26", "Republic Day"),
        ("BR", None, "2027-09-07", "Independence Day"),
    ],
)
def test_countries_and_their_parts_have_their_holidays(country: str, subdivision: str | None, day: str, name: str):
    found = calendar("h", country=country, subdivision=subdivision).day(day_of(date.fromisoformat(day)))
    assert found == (None if name is None else f"{name} (h v1)")


def test_days_in_lieu_can_be_left_out():
    held = calendar("h", country="US", observed=False)
    assert held.day(day_of(date(2027, 7, 5))) is None
    assert held.day(day_of(date(2027, 7, 4))) == "Independence Day (h v1)"


def test_business_days_are_weekdays_less_holidays_with_any_weekend():
    holidays = calendar("eg", country="EG")
    working = calendar("working", weekend=["FRI", "SAT"], without=[holidays])
    sunday, friday, revolution = date(2027, 1, 24), date(2027, 1, 22), date(2027, 1, 25)
    assert working.day(day_of(sunday)) == "Sunday (working v1)"
    assert working.day(day_of(friday)) is None
    assert (holidays.day(day_of(revolution)) is None) is (working.day(day_of(revolution)) is not None)


def test_a_union_names_the_calendar_that_has_the_day():
    union = calendar("all", 4, union=[WEEKENDS, calendar("fair", 2, dates=["2027-01-13 Fair"])])
    assert union.day(day_of(date(2027, 1, 13))) == "Fair (fair v2, in all v4)"
    assert union.day(day_of(date(2027, 1, 16))) == "Saturday (weekends v1, in all v4)"


ZONES = ("UTC", "America/New_York", "Australia/Lord_Howe", "America/Havana", "America/St_Johns", "Pacific/Apia")
EVENTS = [
    "DTSTART:20270312T200000\r\nDURATION:P3D",
    "DTSTART;TZID=Europe/Berlin:20270326T220000\r\nDURATION:PT6H\r\nRRULE:FREQ=DAILY;COUNT=5",
    "DTSTART:20270405T000000Z\r\nDURATION:PT90M",
]
TIMED = calendar(
    "timed", ics="BEGIN:VCALENDAR\n" + "".join(f"BEGIN:VEVENT\n{e}\nEND:VEVENT\n" for e in EVENTS) + "END:VCALENDAR"
)


@settings(deadline=None, max_examples=80)
@given(
    zone=st.sampled_from(ZONES),
    blocked=st.sets(st.integers(0, 45), max_size=20),
    with_only=st.booleans(),
    timed=st.sampled_from(["none", "exclude", "only"]),
    year=st.sampled_from([2027, 2010]),
)
def test_the_exclusion_is_the_naive_one_and_steady_for_as_long_as_it_says(
    zone: str, blocked: set[int], with_only: bool, timed: str, year: int
):
    first = date(year, 3, 1)
    listed = calendar(
        "listed", dates=[(first + timedelta(days=n)).isoformat() for n in sorted(blocked)] or ["1999-01-01"]
    )
    working = calendar("working", weekend=["SAT", "SUN"])
    only = ([working] if with_only else []) + ([TIMED] if timed == "only" else [])
    said = rules(zone, None, [listed, *([TIMED] if timed == "exclude" else [])], only)
    place = tz(zone)
    start = from_iso(f"{year}-03-01T12:00:00")
    instant = start
    until = start + 40 * DAY_US
    checked = 0
    while instant < until:
        answer = said.of(instant)
        end = said.steady_until(instant)
        assert end > instant
        for one in {instant, (instant + end) // 2, end - 1, min(end - 1, instant + 30 * MINUTE_US)}:
            local = to_datetime(one).astimezone(place).date()
            in_stretch = TIMED.at(one, said.day(one), said.zone) is not None
            out = (local - first).days in blocked or (timed == "exclude" and in_stretch)
            allowed = not only or (with_only and local.weekday() < 5) or (timed == "only" and in_stretch)
            assert (said.of(one) is not None) is (out or not allowed)
            assert said.of(one) == answer
        instant = end
        checked += 1
    assert checked < 200


def test_a_stretch_blocks_no_day_and_its_ends_are_exact():
    said = rules("UTC", None, [TIMED])
    begin = from_iso("2027-04-05T00:00:00")
    assert said.of(begin - 1) is None
    assert said.of(begin) is not None
    assert said.steady_until(begin) == begin + 90 * MINUTE_US
    assert said.of(begin + 90 * MINUTE_US) is None
    assert said.blocked(said.day(begin)) is None
    assert said.steady_until(begin + 2 * HOUR_US) == begin + DAY_US


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({}, ""),
        ({"shift": "nearest"}, ""),
        ({"exclude": ["a b"]}, "exclude"),
        ({"exclude": "a", "shift": "sideways"}, "shift"),
        ({"exclude": ["a"] * 21}, "exclude"),
        ({"include": ["a"]}, "include"),
    ],
)
def test_a_wrong_use_is_refused_by_field(value: object, field: str):
    with pytest.raises(ValidationError) as refused:
        CalendarUse.model_validate(value)
    assert [str(part) for part in refused.value.errors()[0]["loc"]][:1] == ([field] if field else [])


def test_one_name_may_stand_without_brackets():
    assert CalendarUse.model_validate({"exclude": "us-holidays"}).names == ("us-holidays",)

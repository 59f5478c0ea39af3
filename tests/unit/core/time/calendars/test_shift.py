"""Times moved to free days: the same as a walk through every day gives, in order, each once, with a note."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from calendar_oracle import calendar, expected, rules
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.time.calendars.shift import bound
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, from_iso
from workflow_scheduler.triggers import cron, interval, once, rrule

ZONES = (
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Cairo",
    "Asia/Beirut",
)
SHIFTS = (None, "next_business_day", "previous_business_day", "nearest")
WEEKENDS = calendar("weekends", weekdays=["SAT", "SUN"])
WORKING = calendar("working-days", weekend=["SAT", "SUN"])
START = from_iso("2027-03-01T00:00:00")
SPAN_DAYS = 60


def times(module: Any, config: Any, after: int, until: int) -> list[int]:
    found = []
    fire = module.next_fire(config, after, START)
    while fire is not None and fire.utc <= until:
        found.append(fire.utc)
        fire = module.next_fire(config, fire.utc, START)
    return found


RULES = st.sampled_from(
    [
        (cron, {"cron": "30 2 * * *"}), (cron, {"cron": "0 9 * * *"}), (cron, {"cron": "15,45 1-3 * * *"}),
        (cron, {"cron": "30 23 1,15 * *"}), (cron, {"cron": "0 */6 * * *"}), (cron, {"cron": "0 12 * * SAT"}),
        (cron, {"cron": "*/30 0-3 * * *"}), (cron, {"cron": "0 0 * * *", "dst_overlap": "both"}),
        (interval, {"every": "5h"}), (interval, {"every": "2d"}),
        (rrule, {"rrule": "FREQ=DAILY;INTERVAL=3", "dtstart": "2027-01-02T02:15:00"}),
        (once, {"run_at": "2027-03-28T02:30:00"}),
    ]
)  # fmt: skip
MONTHS = st.sampled_from(["2027-03-01T00:00:00", "2027-10-10T00:00:00", "2027-04-01T00:00:00"])


@settings(deadline=None, max_examples=250)
@given(
    rule=RULES,
    zone=st.sampled_from(ZONES),
    shift=st.sampled_from(SHIFTS),
    free_days=st.sets(st.integers(-5, SPAN_DAYS + 5), max_size=40),
    month=MONTHS,
    weekdays_only=st.booleans(),
)
def test_the_times_are_those_that_a_walk_through_every_day_gives(
    rule: Any, zone: str, shift: Any, free_days: set[int], month: str, weekdays_only: bool
):
    module, fields = rule
    start = from_iso(month)
    first = date.fromisoformat(month[:10])
    blocked = {first + timedelta(days=day) for day in free_days}
    holidays = calendar("holidays", dates=[day.isoformat() for day in sorted(blocked)] or ["2000-01-01"])
    said = rules(zone, shift, [holidays], [WORKING] if weekdays_only else [])
    plain = module.Config.model_validate({**fields, "timezone": zone})
    shifted, config = bound(module, plain, said)
    until = start + SPAN_DAYS * DAY_US

    def free(day: date) -> bool:
        return day not in blocked and not (weekdays_only and day.weekday() >= 5)

    own = times(module, plain, start - 60 * DAY_US, until + 60 * DAY_US)
    wanted = [utc for utc in expected(own, zone, shift, free) if start < utc <= until]
    assert times(shifted, config, start, until) == wanted
    for utc in wanted[:20]:
        # The next time does not depend on where one begins to look.
        fire = shifted.next_fire(config, utc - 1, START)
        assert fire is not None
        assert fire.utc == utc


@pytest.mark.parametrize(
    ("shift", "local", "note"),
    [
        ("next_business_day", "2027-12-27T09:00:00", "moved from 2027-12-25: Christmas Day (us-holidays v1)"),
        ("previous_business_day", "2027-12-23T09:00:00", "moved from 2027-12-25: Christmas Day (us-holidays v1)"),
        ("nearest", "2027-12-23T09:00:00", "moved from 2027-12-25: Christmas Day (us-holidays v1)"),
    ],
)
def test_a_moved_time_says_where_from_and_why(shift: str, local: str, note: str):
    said = rules("America/New_York", shift, [calendar("us-holidays", country="US")], [WORKING])
    plain = cron.Config.model_validate({"cron": "0 9 25 12 *", "timezone": "America/New_York"})
    shifted, config = bound(cron, plain, said)
    fire = shifted.next_fire(config, from_iso("2027-12-01T00:00:00"), 0)
    assert fire is not None
    assert (fire.local, fire.note) == (local, note)


def test_times_that_land_on_one_instant_are_one_and_it_names_them_all():
    said = rules("UTC", "next_business_day", [WEEKENDS])
    shifted, config = bound(cron, cron.Config.model_validate({"cron": "0 9 * * *"}), said)
    fire = shifted.next_fire(config, from_iso("2027-05-07T10:00:00"), 0)
    assert fire is not None
    assert fire.local == "2027-05-10T09:00:00"
    assert fire.note == (
        "also moved from 2027-05-08: Saturday (weekends v1); moved from 2027-05-09: Sunday (weekends v1)"
    )


def test_where_no_day_is_free_within_a_year_times_stay_and_are_left_out():
    nothing = calendar("nothing", dates=["1999-01-01"])
    said = rules("UTC", "nearest", [], [nothing])
    shifted, config = bound(cron, cron.Config.model_validate({"cron": "0 9 * * *"}), said)
    fire = shifted.next_fire(config, from_iso("2027-05-07T10:00:00"), 0)
    assert fire is not None
    assert fire.local == "2027-05-08T09:00:00"
    answer = config.exclusion.of(fire.utc)
    assert answer is not None
    assert answer.note == "not in nothing v1"


def test_a_minutely_schedule_over_a_long_closure_costs_few_looks(monkeypatch: pytest.MonkeyPatch):
    closed = calendar("closed", dates=[{"date": "2027-07-01", "until": "2027-08-31", "name": "Summer"}])
    said = rules("UTC", "next_business_day", [closed])
    shifted, config = bound(cron, cron.Config.model_validate({"cron": "* * * * *"}), said)
    looks = 0
    own = cron.next_fire

    def looked(*given: Any) -> Any:
        nonlocal looks
        looks += 1
        return own(*given)

    monkeypatch.setattr(cron, "next_fire", looked)
    fire = shifted.next_fire(config, from_iso("2027-06-30T23:59:00"), 0)
    assert fire is not None
    assert fire.utc == from_iso("2027-09-01T00:00:00")
    assert looks < 200
    assert shifted.next_fire(config, fire.utc + 5 * HOUR_US, 0).utc == from_iso("2027-09-01T05:01:00")


def test_a_shifted_type_does_not_say_that_it_counts():
    shifted, _ = bound(cron, cron.Config.model_validate({"cron": "* * * * *"}), rules("UTC", "nearest", [WEEKENDS]))
    assert not hasattr(shifted, "count")
    assert shifted.name == "cron"

"""The clock-change laboratory, against the fires themselves."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron, dst, lab
from workflow_scheduler.core.time.clock import DAY_US, from_iso, to_iso
from workflow_scheduler.core.time.zone import load

START = from_iso("2027-01-01T00:00:00Z")


def test_a_missing_and_a_doubled_time_of_day_in_new_york():
    found = lab.examine("30 1,2 * * *", "America/New_York", START, 1)
    assert [(one.kind, one.local, one.utc) for one in found.items] == [
        ("gap", "2027-03-14T02:30:00", "2027-03-14T07:00:00Z"),
        ("fold", "2027-11-07T01:30:00", "2027-11-07T05:30:00Z"),
    ]
    assert found.items[0].note == "02:30 does not exist on 2027-03-14; runs 03:00"
    assert found.items[1].note == "01:30 happens twice on 2027-11-07; runs the first time only"
    assert (found.changes, found.days, found.complete) == (2, [], True)
    assert found.rule.startswith("fixed time")


@pytest.mark.parametrize(
    ("policy", "utc", "fires"),
    [
        (("skip", "last"), [None, "2027-11-07T06:30:00Z"], [(2, 1)]),
        (("shift", "both"), ["2027-03-14T07:30:00Z", "2027-11-07T05:30:00Z", "2027-11-07T06:30:00Z"], [(2, 3)]),
    ],
)
def test_the_policies_of_the_schedule_hold(policy, utc, fires):
    found = lab.examine("30 1,2 * * *", "America/New_York", START, 1, policy)
    assert [one.utc for one in found.items] == utc
    assert [(day.planned, day.fires) for day in found.days] == fires


def test_an_expression_in_real_time_has_other_counts_on_those_days():
    found = lab.examine("0 * * * *", "Europe/Berlin", START, 1)
    assert [(day.date, day.shift_seconds, day.planned, day.fires) for day in found.days] == [
        ("2027-03-28", 3600, 24, 23),
        ("2027-10-31", -3600, 24, 25),
    ]
    assert found.days[0].note == "clocks go forward by 1 h: 23 instead of 24 fires"
    assert [one.utc for one in found.items] == [None, "2027-10-31T00:00:00Z", "2027-10-31T01:00:00Z"]


def test_a_day_that_a_zone_leaves_out_and_half_an_hour_of_summer_time():
    samoa = lab.examine("0 12 * * *", "Pacific/Apia", from_iso("2011-12-01T00:00:00Z"), 1)
    moved = samoa.items[0]
    assert (moved.local, moved.utc) == ("2011-12-30T12:00:00", "2011-12-30T10:00:00Z")
    assert "runs 00:00 on 2011-12-31" in moved.note
    howe = lab.examine("*/30 * * * *", "Australia/Lord_Howe", START, 1)
    assert {abs(day.shift_seconds) for day in howe.days} == {1800}
    assert "30 min" in howe.days[0].note


def test_a_zone_without_clock_changes_has_nothing_to_show():
    found = lab.examine("30 2 * * *", "UTC", START, 100)
    assert (found.items, found.days, found.changes) == ([], [], 0)


def test_very_many_unusual_fires_are_cut_and_said():
    found = lab.examine("* * * * *", "Europe/Berlin", START, 100)
    assert len(found.items) == lab.LISTED_MAX
    assert not found.complete
    assert len(found.days) == 200


@pytest.mark.parametrize("years", [0, -1, 101])
def test_the_number_of_years_is_bounded(years):
    with pytest.raises(ValidationFailed, match="1 to 100"):
        lab.examine("@daily", "UTC", START, years)


@pytest.mark.parametrize("start", ["1800-01-01T00:00:00Z", "2495-01-01T00:00:00Z", "9999-01-01T00:00:00Z"])
def test_the_range_is_bounded(start):
    with pytest.raises(ValidationFailed, match="1901 to 2499"):
        lab.examine("@daily", "UTC", from_iso(start), 10)


ZONES = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "America/Havana",
    "Asia/Beirut",
]
CRONS = [
    "30 2 * * *",
    "0 0 * * *",
    "*/15 * * * *",
    "15 1-3 * * SUN",
    "59 23 * * *",
    "0 */2 * * *",
    "5,35 0,1,2 * 3,10,11 *",
]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CRONS),
    st.sampled_from(ZONES),
    st.integers(1990, 2060),
    st.sampled_from(["after", "shift", "skip"]),
    st.sampled_from(["first", "last", "both"]),
)
def test_what_it_says_runs_is_what_fires_and_all_noted_fires_are_there(text, name, year, gap, overlap):
    start = from_iso(f"{year}-01-01T12:00:00Z")
    parsed, zone = cron.parse(text), load(name)
    found = lab.examine(text, name, start, 2, (gap, overlap))
    said = {one.utc for one in found.items if one.utc}
    fires, noted = set(), set()
    after = start - DAY_US
    stop = start + 2 * 366 * DAY_US
    while (fire := dst.next_fire(parsed, zone, after, gap, overlap)) is not None and fire.utc < stop:
        fires.add(to_iso(fire.utc))
        noted |= {to_iso(fire.utc)} if fire.note else set()
        after = fire.utc
    assert said <= fires
    until = datetime.fromisoformat(found.end) - timedelta(days=2)
    assert {one for one in noted if found.start <= one and datetime.fromisoformat(one) < until} <= said

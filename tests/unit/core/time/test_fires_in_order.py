"""Fires strictly increase, carry their wall time, and say what a clock change did to them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.time import cron, dst, oddities, zone
from workflow_scheduler.core.time.clock import DAY_US, SECOND_US, from_iso, to_iso

EXPRESSIONS = st.sampled_from(
    [
        "30 2 * * *", "0 2 * * *", "*/15 * * * *", "0 0 * * *", "59 1-3 * * SUN", "0 3 L * *", "15 2 * 3 SUN#2",
        "0 */3 LW * *", "0-59/10 1,2 * * *", "* * * * *", "0 0 1 1 *", "30 1 * 10,11 SUNL", "5 0 15W * *",
    ]
)  # fmt: skip
ZONES = st.sampled_from(sorted(zone.names()))
GAPS, OVERLAPS = st.sampled_from(["after", "shift", "skip"]), st.sampled_from(["first", "last", "both"])
INSTANTS = st.integers(from_iso("1990-01-01T00:00:00"), from_iso("2060-01-01T00:00:00"))


@given(EXPRESSIONS, ZONES, INSTANTS, GAPS, OVERLAPS)
@settings(deadline=None, max_examples=200)
def test_fires_strictly_increase_and_nothing_lies_between(text: str, name: str, start: int, gap: str, overlap: str):
    compiled, there, after = cron.parse(text), zone.load(name), start
    for _ in range(5):
        fire = dst.next_fire(compiled, there, after, gap, overlap)
        if fire is None:
            # Since 2007 the second Sunday in March at 02:15 is a gap in many American zones.
            assert (text, gap) == ("15 2 * 3 SUN#2", "skip")
            return
        assert fire.utc > after
        assert fire.local == there.local(fire.utc)
        assert fire.fold == there.fold(fire.utc)
        assert dst.next_utc(compiled, there, fire.utc - 1, gap, overlap) == fire.utc
        assert dst.next_utc(compiled, there, (after + fire.utc) // 2, gap, overlap) == fire.utc
        after = fire.utc


@given(EXPRESSIONS, ZONES, INSTANTS, st.integers(1, 40 * DAY_US), st.tuples(GAPS, OVERLAPS))
@settings(deadline=None, max_examples=100)
def test_counting_fires_equals_walking_through_them(text: str, name: str, start: int, span: int, how: tuple[str, str]):
    compiled, there, walked, after = cron.parse(text), zone.load(name), 0, start
    while (instant := dst.next_utc(compiled, there, after, *how)) is not None and instant <= start + span:
        walked, after = walked + 1, instant
        if walked > 500:
            return
    assert dst.count(compiled, there, (start, start + span), *how) == walked


def near(text: str, name: str, start: str, number: int, gap: str = "after", overlap: str = "first") -> list[dst.Fire]:
    found, after = [], from_iso(start)
    for _ in range(number):
        fire = dst.next_fire(cron.parse(text), zone.load(name), after, gap, overlap)
        assert fire is not None
        found.append(fire)
        after = fire.utc
    return found


@pytest.mark.parametrize(
    ("gap", "utc", "note"),
    [
        ("after", "2027-03-14T07:00:00Z", "02:30 does not exist in America/New_York on 2027-03-14; runs 03:00"),
        ("shift", "2027-03-14T07:30:00Z", "02:30 does not exist in America/New_York on 2027-03-14; runs 03:30"),
        ("skip", "2027-03-15T06:30:00Z", None),
    ],
)
def test_a_missing_time_follows_the_gap_policy(gap: str, utc: str, note: str | None):
    fire = near("30 2 * * *", "America/New_York", "2027-03-13T12:00:00", 1, gap)[0]
    assert (to_iso(fire.utc), fire.note) == (utc, note)


def test_times_that_fall_on_one_instant_are_one_fire_and_all_are_named():
    first, second = near("0,15,30,45 2,3 * * *", "America/New_York", "2027-03-13T12:00:00", 2)
    assert (first.local, second.local) == ("2027-03-14T03:00:00", "2027-03-14T03:15:00")
    assert first.note == "02:00, 02:15, 02:30 and others do not exist in America/New_York on 2027-03-14; runs 03:00"
    assert second.note is None


def test_a_day_that_a_zone_leaves_out_runs_at_the_next_midnight():
    fire = near("0 9 * * *", "Pacific/Apia", "2011-12-29T20:00:00", 1)[0]
    assert to_iso(fire.utc) == "2011-12-30T10:00:00Z"
    assert fire.note == "09:00 does not exist in Pacific/Apia on 2011-12-30; runs 00:00 on 2011-12-31"


@pytest.mark.parametrize(
    ("overlap", "fires"),
    [
        ("first", [("05:30", 0, "runs the first time")]),
        ("last", [("06:30", 1, "runs the second time")]),
        ("both", [("05:30", 0, "this is the first"), ("06:30", 1, "this is the second")]),
    ],
)
def test_a_doubled_time_follows_the_overlap_policy(overlap: str, fires: list[tuple[str, int, str]]):
    found = near("30 1 * * *", "America/New_York", "2027-11-07T00:00:00", len(fires) + 1, "after", overlap)
    for fire, (clock, fold, note) in zip(found, fires, strict=False):
        assert to_iso(fire.utc) == f"2027-11-07T{clock}:00Z"
        assert fire.fold == fold
        assert note in (fire.note or "")
    assert to_iso(found[-1].utc) == "2027-11-08T06:30:00Z"


def test_an_expression_with_a_star_follows_real_time():
    spring = near("*/30 * * * *", "America/New_York", "2027-03-14T06:15:00", 3)
    assert [fire.local[11:16] for fire in spring] == ["01:30", "03:00", "03:30"]
    autumn = near("*/30 * * * *", "America/New_York", "2027-11-07T04:45:00", 5)
    assert [(fire.local[11:16], fire.fold) for fire in autumn] == [
        ("01:00", 0), ("01:30", 0), ("01:00", 1), ("01:30", 1), ("02:00", 0),
    ]  # fmt: skip


def test_an_expression_whose_times_all_fall_into_gaps_ends():
    new_york = zone.load("America/New_York")
    assert dst.next_utc(cron.parse("30 2 * 3 SUN#2"), new_york, from_iso("2027-01-01T00:00:00"), "skip") is None
    assert dst.next_utc(cron.parse("*/30 2 * 3 SUN#2"), new_york, from_iso("2027-01-01T00:00:00")) is None


def test_the_clock_changes_of_the_next_year_are_told():
    new_york, now = zone.load("America/New_York"), from_iso("2027-01-01T00:00:00")
    assert oddities.clock_changes(cron.parse("30 1,2 * * *"), new_york, now) == [
        "02:30 does not exist in America/New_York on 2027-03-14; runs 03:00",
        "01:30 happens twice in America/New_York on 2027-11-07; runs the first time",
    ]
    assert oddities.clock_changes(cron.parse("30 2 * * *"), new_york, now, "skip") == [
        "02:30 does not exist in America/New_York on 2027-03-14; it is skipped (dst_gap: skip)"
    ]
    assert oddities.clock_changes(cron.parse("*/5 * * * *"), new_york, now) == []
    assert oddities.clock_changes(cron.parse("30 2 * * *"), zone.load("Asia/Tokyo"), now) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("*/7 * * * *", "begins anew every hour, at minute 0, 7, 14 …"),
        ("*/45 * * * *", "at minute 0, 45;"),
        ("0 */5 * * *", "for every 5 hours use a trigger of type `interval`"),
        ("0 0 13 * FRI", "it fires on days that fit either of them"),
        ("0 0 31 * *", "write `L` for the last day of the month"),
    ],
)
def test_spellings_that_often_surprise_are_told(text: str, words: str):
    assert words in " ".join(oddities.pitfalls(cron.parse(text)))


@pytest.mark.parametrize("text", ["*/15 * * * *", "0 2 * * *", "0 0 L * *", "0 9 * * MON-FRI", "0 */6 1 * *"])
def test_plain_spellings_need_no_warning(text: str):
    assert oddities.pitfalls(cron.parse(text)) == []


def test_a_fire_late_in_its_second_is_not_repeated():
    compiled, utc = cron.parse("0 2 * * *"), zone.load("UTC")
    two = from_iso("2027-01-01T02:00:00")
    assert dst.next_utc(compiled, utc, two - 1) == two
    assert dst.next_utc(compiled, utc, two) == two + DAY_US
    assert dst.next_utc(compiled, utc, two + SECOND_US - 1) == two + DAY_US

"""Zone tables agree with zoneinfo, and come from the tzdata package only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wall_oracle import zone_info

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import zone
from workflow_scheduler.core.time.clock import SECOND_US, from_iso, to_iso

SAMPLE = (
    "UTC", "America/New_York", "Europe/Dublin", "Asia/Gaza", "America/Nuuk", "Africa/Casablanca", "Australia/Lord_Howe",
    "Asia/Tehran", "America/Asuncion", "Pacific/Apia", "Antarctica/Troll", "Asia/Kathmandu", "EST5EDT", "Etc/GMT+12",
)  # fmt: skip
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def offset_by_zoneinfo(name: str, utc: int) -> int:
    moment = EPOCH + timedelta(seconds=utc)
    return int(moment.astimezone(zone_info(name)).utcoffset().total_seconds())


@pytest.mark.parametrize("name", SAMPLE)
def test_offsets_on_both_sides_of_every_change_are_those_of_zoneinfo(name: str):
    loaded = zone.load(name)
    for segment in loaded.table.segments[1:]:
        for utc in (segment.start - 1, segment.start, segment.start + 1):
            assert loaded.offset(utc) == offset_by_zoneinfo(name, utc)


@given(st.sampled_from(SAMPLE), st.integers(zone.EARLIEST, zone.LATEST))
def test_offsets_at_any_instant_are_those_of_zoneinfo(name: str, utc: int):
    assert zone.load(name).offset(utc) == offset_by_zoneinfo(name, utc)


def test_a_zone_with_a_rule_goes_on_beyond_its_table():
    loaded = zone.load("America/Los_Angeles")
    for text in ("2150-07-01T00:00:00", "2399-12-31T00:00:00", "2450-07-04T00:00:00"):
        utc = from_iso(text) // SECOND_US
        assert loaded.offset(utc) == offset_by_zoneinfo("America/Los_Angeles", utc)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("New York", "America/New_York"),
        ("america/new_york", "America/New_York"),
        ("Europe/Berln", "Europe/Berlin"),
        ("Berlin", "Europe/Berlin"),
        ("PST", "America/Los_Angeles"),
        ("Z", "UTC"),
        ("utc", "UTC"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_name(wrong: str, right: str):
    with pytest.raises(ValidationFailed) as caught:
        zone.load(wrong)
    assert caught.value.errors[0].field == "timezone"
    assert caught.value.errors[0].suggestion == right
    assert f"did you mean `{right}`?" in caught.value.detail


@pytest.mark.parametrize("wrong", ["", "xyzzy", "../../etc/passwd", "/etc/localtime", "America/", "a" * 5000, "\0"])
def test_a_name_that_is_no_zone_is_refused_with_a_short_message(wrong: str):
    with pytest.raises(ValidationFailed) as caught:
        zone.load(wrong)
    assert len(caught.value.detail) < 200


def test_the_version_of_the_zone_data_is_that_of_the_package():
    assert zone.tzdata_version().startswith("20")


def test_every_zone_of_the_package_can_be_read():
    assert len(zone.names()) > 500
    assert zone.load("Europe/Berlin") is zone.load("Europe/Berlin")


@pytest.mark.parametrize(
    ("name", "text", "instant", "kind"),
    [
        ("America/New_York", "2027-03-14T02:30:00", "2027-03-14T07:00:00Z", "gap"),
        ("America/New_York", "2027-03-14T03:00:00", "2027-03-14T07:00:00Z", "plain"),
        ("America/New_York", "2027-03-14T01:59:59", "2027-03-14T06:59:59Z", "plain"),
        ("America/New_York", "2027-11-07T01:30:00", "2027-11-07T05:30:00Z", "fold"),
        ("America/New_York", "2027-11-07T02:00:00", "2027-11-07T07:00:00Z", "plain"),
        ("America/New_York", "2027-11-07T01:30:00-05:00", "2027-11-07T06:30:00Z", "plain"),
        ("Asia/Kathmandu", "2027-01-01T00:00", "2026-12-31T18:15:00Z", "plain"),
        ("Pacific/Apia", "2011-12-30T12:00:00", "2011-12-30T10:00:00Z", "gap"),
        ("UTC", "2027-01-01T00:00:00.25", "2027-01-01T00:00:00.250000Z", "plain"),
        ("America/New_York", "2301-07-01T12:00:00", "2301-07-01T16:00:00Z", "plain"),
    ],
)
def test_wall_times_become_instants(name: str, text: str, instant: str, kind: str):
    found, found_kind = zone.instant(text, zone.load(name))
    assert (to_iso(found), found_kind) == (instant, kind)


def test_the_second_copy_of_a_wall_time_has_fold_1():
    new_york = zone.load("America/New_York")
    first, second = from_iso("2027-11-07T05:30:00"), from_iso("2027-11-07T06:30:00")
    assert new_york.local(first) == new_york.local(second) == "2027-11-07T01:30:00"
    assert (new_york.fold(first), new_york.fold(second)) == (0, 1)

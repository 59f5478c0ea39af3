"""The trigger type `rrule`: its fields, bounds, refusals and warnings."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from workflow_scheduler.core.time.clock import DAY_US, from_iso, to_iso
from workflow_scheduler.triggers import rrule

NOW = from_iso("2027-01-01T00:00:00")
NEW_YORK = {"timezone": "America/New_York"}


def fires(since: str = "2027-01-01T00:00:00", many: int = 3, **fields: Any) -> list[str]:
    config = rrule.Config.model_validate(fields)
    found, after = [], from_iso(since) - 1
    for _ in range(many):
        fire = rrule.next_fire(config, after, NOW)
        if fire is None:
            break
        found.append(to_iso(fire.utc))
        after = fire.utc
    return found


def test_the_beginning_gives_the_time_of_day_in_the_zone():
    found = fires(rrule="FREQ=MONTHLY;BYDAY=-1FR", dtstart="2027-01-01T17:00:00", timezone="Europe/Berlin")
    assert found == ["2027-01-29T16:00:00Z", "2027-02-26T16:00:00Z", "2027-03-26T16:00:00Z"]
    with_offset = fires(rrule="FREQ=DAILY", dtstart="2027-01-01T17:00:00Z", many=1, **NEW_YORK)
    assert with_offset == ["2027-01-01T17:00:00Z"]
    summer = fires("2027-07-01T00:00:00", rrule="FREQ=DAILY", dtstart="2027-01-01T17:00:00Z", many=1, **NEW_YORK)
    assert summer == ["2027-07-01T16:00:00Z"]


def test_times_and_whole_days_are_left_out():
    daily = {"rrule": "FREQ=DAILY;BYHOUR=9,15", "dtstart": "2027-01-01T09:00:00"}
    one = fires(exdate=["2027-01-01T15:00:00"], **daily)
    assert one == ["2027-01-01T09:00:00Z", "2027-01-02T09:00:00Z", "2027-01-02T15:00:00Z"]
    whole = fires(exdate=["2027-01-01", "20270102"], many=1, **daily)
    assert whole == ["2027-01-03T09:00:00Z"]
    in_utc = fires(exdate=["2027-01-01T14:00:00Z"], many=2, **(daily | NEW_YORK))
    assert in_utc == ["2027-01-01T20:00:00Z", "2027-01-02T14:00:00Z"]


def test_a_rule_copied_from_a_calendar_is_taken_as_it_is():
    text = """DTSTART;TZID=America/New_York:20270104T090000
    RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=3
    EXDATE;TZID=America/New_York:20270111T090000
    """
    config = rrule.Config.model_validate({"rrule": text})
    assert (config.timezone, config.dtstart) == ("America/New_York", "2027-01-04T09:00:00")
    assert config.exdate == ("2027-01-11T09:00:00",)
    assert fires(rrule=text) == ["2027-01-04T14:00:00Z", "2027-01-18T14:00:00Z"]
    again = rrule.Config.model_validate(config.model_dump(mode="json"))
    assert again == config


def test_the_end_is_the_last_time_whichever_way_it_is_written():
    daily = {"dtstart": "2027-01-01T20:00:00", **NEW_YORK}
    assert len(fires(rrule="FREQ=DAILY;UNTIL=20270103", many=9, **daily)) == 3
    assert len(fires(rrule="FREQ=DAILY;UNTIL=20270104T010000Z", many=9, **daily)) == 3
    assert len(fires(rrule="FREQ=DAILY;UNTIL=20270104T005959Z", many=9, **daily)) == 2
    assert len(fires(rrule="FREQ=DAILY;COUNT=4", many=9, **daily)) == 4
    assert len(fires(rrule="FREQ=DAILY", end_at="2027-01-02T20:00:00", many=9, **daily)) == 2


def test_the_count_agrees_with_the_times():
    config = rrule.Config.model_validate(
        {"rrule": "FREQ=DAILY", "dtstart": "2027-03-01T02:30:00", "start_at": "2027-03-03", **NEW_YORK}
    )
    until = NOW + 400 * DAY_US
    walked, after = 0, NOW
    while (fire := rrule.next_fire(config, after, NOW)) is not None and fire.utc <= until:
        walked, after = walked + 1, fire.utc
    assert rrule.count(config, NOW, until, NOW) == walked


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"rrule": "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30"}, "rrule", "never fires"),
        ({"rrule": "FREQ=DAILY;UNTIL=20261231", "dtstart": "2026-01-01T09:00"}, "rrule", "has ended"),
        ({"rrule": "FREQ=DAILY;COUNT=2", "dtstart": "2026-01-01T09:00"}, "rrule", "has ended"),
        ({"rrule": "FREQ=YEARLY", "end_at": "2027-01-02", "start_at": "2027-01-01T12:00"}, "end_at", "later time"),
    ],
)
def test_what_would_never_fire_is_refused(fields, field, said):
    config = rrule.Config.model_validate({"dtstart": "2027-01-01T09:00:00", **fields})
    (error,) = rrule.check(config, NOW)
    assert error.field == field
    assert said in error.message


def test_a_rule_with_all_its_times_left_out_is_refused():
    config = rrule.Config.model_validate(
        {
            "rrule": "FREQ=YEARLY",
            "dtstart": "2027-06-01T09:00",
            "exdate": [f"{year}-06-01" for year in range(2027, 2500)],
        }
    )
    assert [error.field for error in rrule.check(config, NOW)] == ["exdate"]


@pytest.mark.parametrize(
    "fields",
    [
        {"rrule": "FREQ=DAILY"},
        {"rrule": "FREQ=NEVER", "dtstart": "2027-01-01"},
        {"rrule": "FREQ=DAILY;UNTIL=soon", "dtstart": "2027-01-01"},
        {"rrule": "FREQ=DAILY", "dtstart": "soon"},
        {"rrule": "FREQ=DAILY", "dtstart": "2027-01-01", "exdate": ["soon"]},
        {"rrule": "FREQ=DAILY", "dtstart": "2027-01-01", "timezone": "Mars/Base"},
        {"rrule": "DTSTART:20270101T090000\nRDATE:20270101", "dtstart": "2027-01-01"},
        {"rrule": "DTSTART:20270101T090000\nRRULE:FREQ=DAILY", "dtstart": "2027-01-01"},
        {"rrule": "DTSTART;TZID=Asia/Tokyo:20270101T090000\nRRULE:FREQ=DAILY", **NEW_YORK},
        {"rrule": 7, "dtstart": "2027-01-01"},
    ],
)
def test_what_cannot_be_read_is_refused(fields):
    with pytest.raises(ValidationError):
        rrule.Config.model_validate(fields)


def test_surprises_are_told():
    moved = rrule.Config.model_validate({"rrule": "FREQ=DAILY", "dtstart": "2027-01-01T02:30:00", **NEW_YORK})
    assert any("02:30 does not exist in America/New_York on 2027-03-14" in text for text in rrule.warnings(moved, NOW))
    short = rrule.Config.model_validate({"rrule": "FREQ=MONTHLY", "dtstart": "2027-01-31T09:00:00"})
    assert any("BYMONTHDAY=-1" in text for text in rrule.warnings(short, NOW))
    hourly = rrule.Config.model_validate({"rrule": "FREQ=HOURLY", "dtstart": "2027-01-31T09:00:00", "dst_gap": "skip"})
    assert any("real time" in text for text in rrule.warnings(hourly, NOW))
    assert rrule.describe(short) == "Every month, from 2027-01-31T09:00:00 on (UTC)"

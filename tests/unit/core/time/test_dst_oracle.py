"""Every fire near clock changes is compared with a minute-by-minute oracle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import wall_oracle

from workflow_scheduler.core.time import cron, dst, zone
from workflow_scheduler.core.time.clock import SECOND_US, from_datetime, to_datetime

CHANGES = [
    ("America/New_York", "2027-03-14T07:00"),
    ("America/New_York", "2027-11-07T06:00"),
    ("Europe/Berlin", "2026-03-29T01:00"),
    ("Europe/Berlin", "2026-10-25T01:00"),
    ("Europe/Dublin", "2026-10-25T01:00"),
    ("Australia/Lord_Howe", "2026-10-03T15:30"),
    ("Australia/Lord_Howe", "2027-04-03T15:00"),
    ("America/St_Johns", "2026-11-01T04:30"),
    ("Africa/Cairo", "2026-04-23T22:00"),
    ("Asia/Beirut", "2027-03-27T22:00"),
    ("America/Santiago", "2026-09-06T04:00"),
    ("Africa/Casablanca", "2026-02-15T02:00"),
    ("America/Nuuk", "2027-03-28T01:00"),
    ("Pacific/Apia", "2011-12-30T10:00"),
]
FIXED = [
    "30 2 * * *",
    "0 2 * * *",
    "0,30 1,2,3 * * *",
    "15 0 * * *",
    "0-59/7 0-3 * * *",
    "0 0 1 * *",
    "59 23 * * 0-6",
]
REAL_TIME = ["*/5 * * * *", "* * * * *", "30 * * * *", "*/20 2 * * *", "15 */2 * * *", "5 1-3,* * * *"]


def computed(text: str, name: str, start: datetime, stop: datetime, gap: str, overlap: str) -> list[datetime]:
    compiled, there = cron.parse(text), zone.load(name)
    found, after = [], from_datetime(start) - 1
    while (fire := dst.next_fire(compiled, there, after, gap, overlap)) and fire.utc < from_datetime(stop):
        assert fire.utc > after
        assert fire.utc == dst.next_utc(compiled, there, after, gap, overlap)
        after = fire.utc
        found.append(to_datetime(fire.utc))
    return found


def inner(fires: list[datetime], start: datetime, stop: datetime) -> list[datetime]:
    return [moment for moment in fires if start <= moment < stop]


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_the_samples_are_real_clock_changes(name: str, change: str):
    at = from_datetime(datetime.fromisoformat(change).replace(tzinfo=UTC)) // SECOND_US
    assert zone.load(name).segment(at).start == at


@pytest.mark.parametrize(("name", "change"), CHANGES)
def test_fires_near_a_clock_change_agree_with_the_oracle(name: str, change: str):
    at = datetime.fromisoformat(change).replace(tzinfo=UTC)
    start, stop = at - timedelta(hours=14), at + timedelta(hours=14)
    # The oracle sees more than is compared, so that wall times at its edges are complete.
    minutes = wall_oracle.wall_minutes(name, start - timedelta(hours=26), stop + timedelta(hours=26))
    for text in FIXED:
        for gap in ("after", "shift", "skip"):
            for overlap in ("first", "last", "both"):
                wanted = wall_oracle.fires(wall_oracle.Expression(text), name, minutes, gap, overlap)
                got = computed(text, name, start, stop, gap, overlap)
                assert got == inner(wanted, start, stop), (text, gap, overlap)
                between = (from_datetime(start) - 1, from_datetime(stop) - 1)
                assert dst.count(cron.parse(text), zone.load(name), between, gap, overlap) == len(got)
    for text in REAL_TIME:
        wanted = wall_oracle.fires(wall_oracle.Expression(text), name, minutes, "after", "first")
        assert computed(text, name, start, stop, "after", "first") == inner(wanted, start, stop), text

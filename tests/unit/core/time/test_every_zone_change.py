"""Every zone change from 2020 to 2037, forty expressions, every policy: fires are those of an oracle with a bit for
each minute, which shares no code with the product."""  # fmt: skip

from __future__ import annotations

from functools import cache

import mask_oracle
import pytest
from mask_oracle import Change, Expression, Window

from workflow_scheduler.core.time import cron, dst, zone

MINUTE_US = 60_000_000
WIDTH = 300
GAPS = ("after", "shift", "skip")
OVERLAPS = ("first", "last", "both")
COUNTED = tuple(zip(GAPS, OVERLAPS, strict=True))
FIXED = (
    "30 2 * * *", "0 2 * * *", "0 0 * * *", "15 0 * * *", "59 23 * * *", "30 1 * * *", "0 1 * * *", "45 3 * * *",
    "0,30 1,2,3 * * *", "0-59/7 0-3 * * *", "10-20 2 * * *", "50-10 1,2 * * *", "5/25 22-4 * * *", "0 23-3/2 * * *",
    "30 2 * * 0", "30 2 * * SUN", "0 1 * * FRI-MON", "0 2 * * 6-7", "59 23 * * 0-6", "30 0 * * MON,THU,SAT",
    "0 3 * MAR,OCT SUN", "15 2 * 3-11/2 *", "20 1 1-31/2 * *", "0 2 25-31 3,10 0", "30 2 8-14 * SUN", "30 1 L * *",
    "0 2 L-2 * *", "30 0 LW * *", "10 2 15W,29W * *", "30 2 * * SUNL", "45 1 * * 0#1", "0 2 * * SUN#2,SUN#5", "@daily",
    "@weekly",
)  # fmt: skip
REAL_TIME = ("*/30 * * * *", "30 * * * *", "*/20 2 * * *", "15 */2 * * *", "@hourly", "*/7 0-3 * * SUN")


@cache
def changes() -> list[Change]:
    return mask_oracle.changes(2020, 2037)


def test_the_distinct_zone_changes_of_the_pinned_package_are_all_there() -> None:
    tables = set()
    first, stop = mask_oracle.minute(mask_oracle.EPOCH.replace(year=2020)), mask_oracle.minute(
        mask_oracle.EPOCH.replace(year=2038))  # fmt: skip
    for name in zone.names():
        for segment in zone.load(name).table.segments[1:]:
            if first <= segment.start // 60 < stop:
                tables.add((segment.start // 60, segment.before // 60, segment.offset // 60))
    assert {(one.at, one.before, one.after) for one in changes()} == tables
    assert len(tables) == 1_070, f"tzdata {zone.tzdata_version()}: count anew"
    assert len(FIXED) + len(REAL_TIME) == 40


@pytest.mark.parametrize("part", range(8))
def test_fires_around_every_zone_change_are_those_of_the_oracle(part: int) -> None:
    fixed = [(cron.parse(text), Expression(text)) for text in FIXED]
    real_time = [(cron.parse(text), Expression(text)) for text in REAL_TIME]
    near = 0
    for change in changes()[part::8]:
        window, place = Window(change, WIDTH), zone.load(change.zone)
        span = window.start * MINUTE_US - 1, (change.at + WIDTH) * MINUTE_US - 1
        for parsed, expression in fixed:
            for gap in GAPS:
                for overlap in OVERLAPS:
                    bits = window.fires(expression, gap, overlap)
                    found = walk(parsed, place, span, gap, overlap)
                    assert found == bits, (change, parsed, gap, overlap)
                    if (gap, overlap) in COUNTED:
                        assert dst.count(parsed, place, span, gap, overlap) == bits.bit_count(), (change, parsed)
                    near += (bits >> WIDTH - 60 & (1 << 120) - 1).bit_count()
        for parsed, expression in real_time:
            bits = window.fires(expression, "after", "first")
            assert walk(parsed, place, span, "after", "first") == bits, (change, parsed)
            assert dst.count(parsed, place, span) == bits.bit_count(), (change, parsed)
            first = dst.next_utc(parsed, place, change.at * MINUTE_US - 1)
            for gap in GAPS:
                for overlap in OVERLAPS:
                    assert dst.next_utc(parsed, place, change.at * MINUTE_US - 1, gap, overlap) == first
    assert near > 10_000  # the changes concern many of the expressions


def walk(parsed: cron.Cron, place: zone.Zone, span: tuple[int, int], gap: zone.Gap, overlap: zone.Overlap) -> int:
    """The fires in a span as bits, from one to the next."""
    found, utc = 0, span[0]
    while (later := dst.next_utc(parsed, place, utc, gap, overlap)) is not None and later <= span[1]:
        assert later > utc
        minutes, rest = divmod(later - span[0] - 1, MINUTE_US)
        assert rest == 0
        found |= 1 << minutes
        utc = later
    return found


@pytest.mark.parametrize(
    ("name", "at", "before", "after"),
    [
        ("Australia/Lord_Howe", "2027-10-02T15:30", 630, 660),  # half an hour
        ("Australia/Lord_Howe", "2027-04-03T15:00", 660, 630),
        ("Pacific/Apia", "2011-12-30T10:00", -600, 840),  # a day that was left out
        ("Pacific/Kwajalein", "1993-08-21T12:00", -720, 720),
        ("Africa/Casablanca", "2026-02-15T02:00", 60, 0),  # Ramadan
        ("Africa/El_Aaiun", "2026-03-22T02:00", 0, 60),
        ("Antarctica/Troll", "2027-03-28T01:00", 0, 120),  # two hours
        ("Europe/Dublin", "2027-10-31T01:00", 60, 0),  # winter time is the exception there
        ("America/New_York", "2099-03-08T07:00", -300, -240),
        ("America/New_York", "2400-11-05T06:00", -240, -300),  # by the rule, beyond every table
    ],
)
def test_the_odd_ones_among_zone_changes_agree_as_well(name: str, at: str, before: int, after: int) -> None:
    moment = mask_oracle.minute(mask_oracle.datetime.fromisoformat(at).replace(tzinfo=mask_oracle.UTC))
    window, place = Window(Change(moment, before, after, name), 1_600), zone.load(name)
    span = window.start * MINUTE_US - 1, (moment + 1_600) * MINUTE_US - 1
    for text in FIXED + REAL_TIME:
        parsed, expression = cron.parse(text), Expression(text)
        for gap in GAPS:
            for overlap in OVERLAPS:
                bits = window.fires(expression, gap, overlap)
                assert walk(parsed, place, span, gap, overlap) == bits, (text, gap, overlap)

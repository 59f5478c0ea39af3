"""cronsim (Debian cron) is right where the dialects agree; where they do not, each difference has its example here.

The same list is in docs/explanation/other-schedulers.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from cronsim import CronSim, CronSimError
from mask_oracle import by_name, changes
from test_every_zone_change import FIXED, REAL_TIME

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import cron, dst, zone
from workflow_scheduler.core.time.clock import from_datetime, from_iso, to_iso

NEW_YORK = "America/New_York"
SHARED = [
    text
    for text in FIXED + REAL_TIME
    if not (text.startswith("@") or "W" in text or "L-" in text or "SUNL" in text)
    and text not in {"50-10 1,2 * * *", "5/25 22-4 * * *", "0 23-3/2 * * *", "0 1 * * FRI-MON"}
]


def ours(text: str, name: str, after: str, number: int) -> list[str]:
    parsed, place, utc, found = cron.parse(text), zone.load(name), from_iso(after), []
    for _ in range(number):
        later = dst.next_utc(parsed, place, utc)
        assert later is not None
        found.append(to_iso(later))
        utc = later
    return found


def theirs(text: str, name: str, after: str, number: int) -> list[str]:
    start = datetime.fromisoformat(after).astimezone(by_name(name) if name != "UTC" else UTC)
    return [to_iso(from_datetime(moment)) for moment in islice(CronSim(text, start), number)]


def test_both_agree_around_zone_changes() -> None:
    for change in changes(2020, 2037)[::25]:
        start = to_iso((change.at - 1500) * 60_000_000)
        half = (change.after - change.before) % 60 != 0
        for text in SHARED:
            if half and text == "*/20 2 * * *":
                continue  # the example below
            wanted = list(dict.fromkeys(theirs(text, change.zone, start, 12)))
            assert ours(text, change.zone, start, len(wanted)) == wanted, (change, text)


def test_hours_after_a_change_by_half_an_hour_begin_on_time_here_and_late_in_cronsim() -> None:
    terms = ("*/20 2 * * *", "Australia/Lord_Howe", "2022-04-02T14:00:00Z")
    assert ours(*terms, 3) == ["2022-04-02T15:30:00Z", "2022-04-02T15:50:00Z", "2022-04-02T16:10:00Z"]
    assert theirs(*terms, 1) == ["2022-04-02T16:10:00Z"]


def test_a_step_from_a_weekday_ends_with_saturday_here_and_with_a_second_sunday_in_cronsim() -> None:
    terms = ("0 0 * * 1/2", "UTC", "2027-01-03T00:00:00Z")
    assert ours(*terms, 4) == [f"2027-01-{day}T00:00:00Z" for day in ("04", "06", "08", "11")]
    assert theirs(*terms, 4) == [f"2027-01-{day}T00:00:00Z" for day in ("04", "06", "08", "10")]


@pytest.mark.parametrize(
    "text",
    ["0 1 * * FRI-MON", "0 22-2 * * *", "0 0 L-3 * *", "0 0 15W * *", "0 0 * * FRIL", "@daily"],
    ids=["wrap-around weekdays", "wrap-around hours", "L-n", "nW", "name and L", "nickname"],
)
def test_what_only_this_program_reads(text: str) -> None:
    assert cron.parse(text)
    with pytest.raises(CronSimError):
        CronSim(text, datetime(2027, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("text", ["0 0 1 * * *", "0 0 L/2 * *"], ids=["seconds", "a step of L"])
def test_what_only_cronsim_reads(text: str) -> None:
    assert CronSim(text, datetime(2027, 1, 1, tzinfo=UTC))
    with pytest.raises(ValidationFailed):
        cron.parse(text)


def test_leap_days_on_a_sunday_are_found_across_the_year_2100() -> None:
    text = "0 0 29 2 */7"
    assert ours(text, "UTC", "2080-01-01T00:00:00Z", 3) == theirs(text, "UTC", "2080-01-01T00:00:00Z", 3)
    assert ours("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", 1) == ["2104-02-29T00:00:00Z"]


@pytest.mark.parametrize("text", ["* * * * *", "14 3 19 1 *", "0 0 * * *", "30 2 29 2 *", "0 12 LW 12 *"])
@pytest.mark.parametrize(
    "after",
    [
        "2038-01-19T03:13:59Z",
        "2038-01-19T03:14:07Z",
        "2028-02-28T23:59:00Z",
        "2099-12-31T23:59:00Z",
        "2106-02-07T06:28:15Z",
    ],
)
@pytest.mark.parametrize("name", ["UTC", NEW_YORK, "Australia/Lord_Howe", "Africa/Casablanca", "Antarctica/Troll"])
def test_the_ends_of_clocks_and_leap_days_are_days_like_others(text: str, after: str, name: str) -> None:
    assert ours(text, name, after, 3) == list(dict.fromkeys(theirs(text, name, after, 6)))[:3]


def test_times_beyond_the_year_2499_have_no_fire_and_raise_nothing() -> None:
    for text in FIXED + REAL_TIME:
        parsed = cron.parse(text)
        for moment in (datetime(2499, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)):
            assert (
                dst.next_utc(parsed, zone.load(NEW_YORK), from_datetime(moment + timedelta(0)) + 86_400_000_000) is None
            )

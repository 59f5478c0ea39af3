"""iCalendar texts: what is read of them, and how broken and hostile ones are refused."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from calendar_oracle import calendar
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time.calendars import ics
from workflow_scheduler.core.time.calendars.ics_lines import ICS_BYTES_MAX
from workflow_scheduler.core.time.calendars.ics_times import date_of, day_of
from workflow_scheduler.core.time.clock import from_iso
from workflow_scheduler.core.time.zone import load

UTC = load("UTC")
NEW_YORK = load("America/New_York")


def text(*events: str) -> str:
    body = "".join(f"BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n" for event in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{body}END:VCALENDAR\r\n"


def days(*events: str, year: int = 2027) -> dict[str, str]:
    held = calendar("c", ics=text(*events))
    first, last = day_of(date(year, 1, 1)), day_of(date(year, 12, 31))
    found = {day: held.day(day) for day in range(first, last + 1)}
    return {date_of(day).isoformat(): why.removesuffix(" (c v1)") for day, why in found.items() if why is not None}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ("DTSTART;VALUE=DATE:20271224\r\nSUMMARY:Eve", {"2027-12-24": "Eve"}),
        ("DTSTART:20271224", {"2027-12-24": "Event"}),
        ("DTSTART;VALUE=DATE:20271224\r\nDTEND;VALUE=DATE:20271226", {"2027-12-24": "Event", "2027-12-25": "Event"}),
        ("DTSTART;VALUE=DATE:20271224\r\nDTEND;VALUE=DATE:20271224", {"2027-12-24": "Event"}),
        ("DTSTART;VALUE=DATE:20271224\r\nDURATION:P2D", {"2027-12-24": "Event", "2027-12-25": "Event"}),
        ("DTSTART;VALUE=DATE:20271231\r\nDURATION:P1W", {"2027-12-31": "Event"}),
        ("DTSTART;VALUE=DATE:20261231\r\nDURATION:P2D", {"2027-01-01": "Event"}),
        ("DTSTART;VALUE=DATE:20200501\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:May", {"2027-05-01": "May"}),
        ("DTSTART;VALUE=DATE:20200501\r\nRRULE:FREQ=YEARLY;COUNT=7", {}),
        ("DTSTART;VALUE=DATE:20200501\r\nRRULE:FREQ=YEARLY;COUNT=8", {"2027-05-01": "Event"}),
        ("DTSTART;VALUE=DATE:20200501\r\nRRULE:FREQ=YEARLY;UNTIL=20261231", {}),
        ("DTSTART;VALUE=DATE:20200501\r\nRRULE:FREQ=YEARLY;UNTIL=20270501", {"2027-05-01": "Event"}),
        (
            "DTSTART;VALUE=DATE:20270104\r\nRRULE:FREQ=WEEKLY;COUNT=3\r\nEXDATE;VALUE=DATE:20270111",
            {"2027-01-04": "Event", "2027-01-18": "Event"},
        ),
        (
            "DTSTART;VALUE=DATE:20270104\r\nRDATE;VALUE=DATE:20270201,20270301",
            {"2027-01-04": "Event", "2027-02-01": "Event", "2027-03-01": "Event"},
        ),
        ("DTSTART;VALUE=DATE:20270104\r\nSTATUS:CANCELLED", {}),
        ("DTSTART;VALUE=DATE:20270104\r\nSUMMARY:A\\, b\\; c\\nd\r\n e", {"2027-01-04": "A, b; c de"}),
        ('DTSTART;X-A="b:c;d";VALUE=DATE:20270104', {"2027-01-04": "Event"}),
        ("DTSTART;VALUE=DATE:20270104\r\nBEGIN:VALARM\r\nDTSTART:x\r\nEND:VALARM", {"2027-01-04": "Event"}),
    ],
)  # fmt: skip
def test_whole_days_are_read_as_the_standard_says(event: str, expected: dict[str, str]):
    assert days(event) == expected


def test_an_instance_that_was_moved_takes_the_place_of_the_one_of_the_rule():
    weekly = "UID:a\r\nDTSTART;VALUE=DATE:20270104\r\nRRULE:FREQ=WEEKLY;COUNT=3"
    moved = "UID:a\r\nRECURRENCE-ID;VALUE=DATE:20270111\r\nDTSTART;VALUE=DATE:20270112\r\nSUMMARY:Moved"
    cancelled = "UID:a\r\nRECURRENCE-ID;VALUE=DATE:20270118\r\nDTSTART;VALUE=DATE:20270118\r\nSTATUS:CANCELLED"
    assert days(weekly, moved, cancelled) == {"2027-01-04": "Event", "2027-01-12": "Moved"}


@pytest.mark.parametrize(
    ("event", "zone", "inside", "outside"),
    [
        (
            "DTSTART:20270104T090000Z\r\nDTEND:20270104T110000Z", UTC,
            ["2027-01-04T09:00:00", "2027-01-04T10:59:59"], ["2027-01-04T08:59:59", "2027-01-04T11:00:00"],
        ),
        (
            "DTSTART;TZID=America/New_York:20270704T020000\r\nDURATION:PT1H30M", UTC,
            ["2027-07-04T06:00:00", "2027-07-04T07:29:59"], ["2027-07-04T05:59:59", "2027-07-04T07:30:00"],
        ),
        ("DTSTART:20270104T090000\r\nDURATION:PT1H", NEW_YORK, ["2027-01-04T14:00:00"], ["2027-01-04T09:00:00"]),
        ("DTSTART:20270104T090000Z", UTC, ["2027-01-04T09:00:00"], ["2027-01-04T09:00:01"]),
        (
            "DTSTART;TZID=America/New_York:20270101T030000\r\nDURATION:PT1H\r\nRRULE:FREQ=DAILY", UTC,
            ["2027-03-13T08:30:00", "2027-03-14T07:30:00", "2028-01-01T08:00:00"],
            ["2027-03-14T08:30:00", "2026-12-31T08:30:00"],
        ),
        (
            "DTSTART:20270101T230000Z\r\nDURATION:PT2H\r\nRRULE:FREQ=DAILY", UTC,
            ["2027-12-31T23:30:00", "2028-01-01T00:30:00"], ["2028-01-01T01:00:00"],
        ),
        (
            "DTSTART;TZID=/softwarestudio.org/Tzfile/Europe/Berlin:20270104T090000\r\nDURATION:PT1H", UTC,
            ["2027-01-04T08:00:00"], ["2027-01-04T09:00:00"],
        ),
    ],
)  # fmt: skip
def test_events_with_a_time_hold_that_stretch_only(event: str, zone: Any, inside: list[str], outside: list[str]):
    held = calendar("c", ics=text(event))

    def holds(moment: str) -> bool:
        instant = from_iso(moment)
        day = (instant // 1_000_000 + zone.offset(instant // 1_000_000)) // 86_400
        return held.at(instant, day, zone) is not None

    assert ([holds(moment) for moment in inside], [holds(moment) for moment in outside]) == (
        [True] * len(inside),
        [False] * len(outside),
    )
    assert days(event) == {}


FREQUENCIES = st.sampled_from(
    [
        "FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;BYDAY=TU,TH", "FREQ=MONTHLY;BYDAY=-1FR", "FREQ=MONTHLY;BYMONTHDAY=31",
        "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "FREQ=WEEKLY;INTERVAL=2", "FREQ=YEARLY",
    ]
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(FREQUENCIES, st.dates(date(2020, 1, 1), date(2027, 6, 1)), st.sampled_from(["", ";COUNT=20", ";UNTIL=20270901"]))
def test_recurring_days_are_those_of_dateutil(rule: str, start: date, end: str):
    found = days(f"DTSTART;VALUE=DATE:{start:%Y%m%d}\r\nRRULE:{rule}{end}")
    expected = rrulestr(f"DTSTART:{start:%Y%m%d}T000000\nRRULE:{rule}{end}")
    wanted = [one.date().isoformat() for one in expected.between(*_year(), inc=True)]
    assert sorted(found) == wanted


def _year() -> Any:
    from datetime import datetime

    return datetime(2027, 1, 1), datetime(2027, 12, 31)  # noqa: DTZ001 -- wall times have no zone on purpose


@pytest.mark.parametrize(
    ("broken", "line", "says"),
    [
        ("", 1, "empty"),
        ("hello", 1, "write NAME:VALUE"),
        ("BEGIN:VEVENT\nEND:VEVENT", 1, "BEGIN:VCALENDAR"),
        ("BEGIN:VCALENDAR\n", 1, "no END"),
        ("BEGIN:VCALENDAR\nEND:VEVENT", 2, "does not close"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VEVENT\nEND:VCALENDAR", 2, "no DTSTART"),
        (text("DTSTART;VALUE=DATE:20270230"), 4, "no such day"),
        (text("DTSTART:tomorrow"), 4, "write a date as 20271224"),
        (text("DTSTART;VALUE=DATE:20270101T090000"), 4, "VALUE=DATE"),
        (text("DTSTART;TZID=Europe/Berln:20270101T090000"), 4, "did you mean `Europe/Berlin`"),
        (text("DTSTART:18000101"), 4, "1901"),
        (text("DTSTART:20270102\r\nDTEND:20270101"), 5, "before DTSTART"),
        (text("DTSTART:20270102\r\nDTEND:20270101T090000"), 5, "write both alike"),
        (text("DTSTART:20270102\r\nDTSTART:20270102"), 5, "twice"),
        (text("DTSTART:20270102\r\nDURATION:-P1D"), 5, "P1D"),
        (text("DTSTART:20270102\r\nDURATION:P9999W"), 5, "longer than 3660 days"),
        (text("DTSTART:20270102\r\nRRULE:FREQ=FORTNIGHTLY"), 5, "FREQ must be one of"),
        (text("DTSTART:20270102T000000Z\r\nRRULE:FREQ=MINUTELY"), 5, "DAILY or longer"),
        (text("DTSTART:20270102T000000Z\r\nRRULE:FREQ=DAILY;BYHOUR=1,2"), 5, "an event for each time"),
        (text("DTSTART:20270102\r\nEXDATE:20270103,x"), 5, "EXDATE"),
        (text("DTSTART:20270102\r\nRDATE;VALUE=PERIOD:20270103T000000Z/PT1H"), 5, "PERIOD"),
        ("BEGIN:VCALENDAR\n" * 11, 11, "nested"),
        ("BEGIN:VCALENDAR\nX:" + "a" * 20_000, 2, "longer than 10000"),
        ("BEGIN:VCALENDAR\n" + "\n" * 70_000, 60_000, "lines"),
        ("a" * (ICS_BYTES_MAX + 1), 1, "larger than 512 KiB"),
        ("\N{EURO SIGN}" * (ICS_BYTES_MAX // 2), 1, "larger than 512 KiB"),
        (text(*["DTSTART:20270102"] * 5_001), 15_003, "more than 5000 events"),
        (text(*["DTSTART:20270102\r\nRRULE:FREQ=YEARLY"] * 201), 803, "more than 200 events recur"),
        (text("DTSTART:20270102\r\n" + "\r\n".join(["EXDATE:" + ",".join(["20270103"] * 1_000)] * 11)), 15, "10000"),
    ],
)
def test_what_is_broken_or_huge_is_refused_with_its_line_and_what_to_write(broken: str, line: int, says: str):
    with pytest.raises(ValidationFailed) as refused:
        ics.parse(broken)
    error = refused.value.errors[0]
    assert (error.field, error.line) == ("ics", line)
    assert error.message.startswith(f"line {line}: ")
    assert says in error.message


@settings(deadline=None, max_examples=150)
@given(
    st.text(max_size=200)
    | st.lists(
        st.sampled_from(
            ["BEGIN:VCALENDAR", "END:VCALENDAR", "BEGIN:VEVENT", "END:VEVENT", "DTSTART:20270101", " folded", "RRULE:",
             "RRULE:FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=2;COUNT=10", "DTEND;TZID=:", "DURATION:P", ";:;", "EXDATE:,"]
        )
    ).map("\r\n".join)
)  # fmt: skip
def test_whatever_comes_is_read_or_refused_by_line(given_text: str):
    refused = None
    try:
        ics.parse(given_text)
    except ValidationFailed as error:
        refused = error.errors[0]
    assert refused is None or (refused.field == "ics" and refused.line is not None)


def test_a_rule_that_never_comes_true_costs_bounded_steps():
    event = "DTSTART:20270101\r\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"
    assert days(*[event] * 20) == {}
    assert days(event + ";COUNT=5") in ({}, {"2027-01-01": "Event"})

"""Recurrence rules: python-dateutil as the oracle, and what it does not say: bounds, clock changes, refusals."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.time import dst, ical, rrule_text
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.core.time.rrule import Rule
from workflow_scheduler.core.time.zone import load

EPOCH = datetime.fromisoformat("1970-01-01")
FIRST, LAST = datetime.fromisoformat("1999-01-01"), datetime.fromisoformat("2030-01-01")
DAYS = rrule_text.WEEKDAYS


def wall(text: str) -> int:
    return int((datetime.fromisoformat(text) - EPOCH).total_seconds())


def times(text: str, start: str, many: int) -> list[str]:
    rule = Rule(rrule_text.parse(text), wall(start))
    found, place = [], wall(start)
    for _ in range(many):
        following = rule.next_local(place)
        if following is None:
            break
        found.append((EPOCH + timedelta(seconds=following)).isoformat())
        place = following + 1
    return found


def by_dateutil(text: str, start: str, many: int) -> list[str]:
    rule = rrulestr(text, dtstart=datetime.fromisoformat(start))
    return [moment.isoformat() for moment in islice(rule, many)]


RFC_5545 = [
    "FREQ=DAILY;COUNT=10",
    "FREQ=DAILY;INTERVAL=2",
    "FREQ=DAILY;INTERVAL=10;COUNT=5",
    "FREQ=YEARLY;BYMONTH=1;BYDAY=SU,MO,TU,WE,TH,FR,SA",
    "FREQ=DAILY;BYMONTH=1",
    "FREQ=WEEKLY;COUNT=10",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
    "FREQ=WEEKLY;COUNT=10;WKST=SU;BYDAY=TU,TH",
    "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=MO,WE,FR",
    "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
    "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
    "FREQ=MONTHLY;COUNT=10;BYDAY=1FR",
    "FREQ=MONTHLY;INTERVAL=2;COUNT=10;BYDAY=1SU,-1SU",
    "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
    "FREQ=MONTHLY;BYMONTHDAY=-3",
    "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=2,15",
    "FREQ=MONTHLY;COUNT=10;BYMONTHDAY=1,-1",
    "FREQ=MONTHLY;INTERVAL=18;COUNT=10;BYMONTHDAY=10,11,12,13,14,15",
    "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU",
    "FREQ=YEARLY;COUNT=10;BYMONTH=6,7",
    "FREQ=YEARLY;INTERVAL=3;COUNT=10;BYYEARDAY=1,100,200",
    "FREQ=YEARLY;BYDAY=20MO",
    "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO",
    "FREQ=YEARLY;BYMONTH=3;BYDAY=TH",
    "FREQ=YEARLY;BYDAY=TH;BYMONTH=6,7,8",
    "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
    "FREQ=MONTHLY;BYDAY=SA;BYMONTHDAY=7,8,9,10,11,12,13",
    "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
    "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
    "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
    "FREQ=HOURLY;INTERVAL=3",
    "FREQ=MINUTELY;INTERVAL=15;COUNT=6",
    "FREQ=MINUTELY;INTERVAL=90;COUNT=4",
    "FREQ=DAILY;BYHOUR=9,10,11,12,13,14,15,16;BYMINUTE=0,20,40",
    "FREQ=MINUTELY;INTERVAL=20;BYHOUR=9,10,11,12,13,14,15,16",
    "FREQ=MONTHLY;BYMONTHDAY=15,30;COUNT=5",
    "FREQ=YEARLY;BYWEEKNO=1,-1,53;WKST=SU",
    "FREQ=YEARLY;BYYEARDAY=-1,366",
    "FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=29;INTERVAL=5",
]


@pytest.mark.parametrize("text", RFC_5545)
@pytest.mark.parametrize("start", ["1997-09-02T09:00:00", "2024-02-29T23:30:10"])
def test_the_examples_of_the_standard_fire_as_dateutil_says(text, start):
    assert times(text, start, 40) == by_dateutil(text, start, 40)


def listed(values: st.SearchStrategy[object], most: int = 3) -> st.SearchStrategy[str]:
    return st.lists(values, min_size=1, max_size=most, unique=True).map(lambda found: ",".join(map(str, found)))


OPTIONAL = {
    "BYMONTH": listed(st.integers(1, 12), 6),
    "BYHOUR": listed(st.integers(0, 23)),
    "BYMINUTE": listed(st.integers(0, 59)),
    "WKST": st.sampled_from(DAYS),
}
BY_DAY = {
    "YEARLY": {"BYYEARDAY": listed(st.integers(-366, 366).filter(bool), 9), "BYDAY": listed(st.sampled_from(DAYS))},
    "MONTHLY": {
        "BYMONTHDAY": listed(st.integers(-31, 31).filter(bool), 9),
        "BYDAY": listed(st.sampled_from([f"{n or ''}{day}" for day in DAYS for n in (-1, 1, 2, 4)])),
    },
    "WEEKLY": {"BYDAY": listed(st.sampled_from(DAYS))},
    "DAILY": {"BYMONTHDAY": listed(st.integers(1, 28), 9), "BYDAY": listed(st.sampled_from(DAYS))},
}


@st.composite
def rules(draw: st.DrawFn) -> str:
    freq = draw(st.sampled_from(sorted(BY_DAY)))
    parts = [f"FREQ={freq}", f"INTERVAL={draw(st.integers(1, 4))}"]
    for name, values in (OPTIONAL | BY_DAY[freq]).items():
        if draw(st.booleans()):
            parts.append(f"{name}={draw(values)}")
    return ";".join(parts)


@settings(max_examples=150, deadline=None)
@given(rules(), st.datetimes(FIRST, LAST).map(lambda one: one.replace(microsecond=0)))
def test_any_rule_fires_as_dateutil_says(text, start):
    end = start + timedelta(days=1500)
    expected = [
        moment.isoformat() for moment in islice(rrulestr(f"{text};UNTIL={end:%Y%m%dT%H%M%S}", dtstart=start), 20)
    ]
    assert times(text, start.isoformat(), len(expected)) == expected


@pytest.mark.parametrize("text", ["FREQ=DAILY;BYDAY=MO,WE", "FREQ=HOURLY;INTERVAL=5", "FREQ=MONTHLY;BYMONTHDAY=31"])
def test_the_count_of_a_range_is_the_number_of_its_times(text):
    rule = Rule(rrule_text.parse(text), wall("2027-01-01T09:30:00"))
    found = [wall(one) for one in times(text, "2027-01-01T09:30:00", 60)]
    for first, last in ((0, 59), (3, 40), (10, 10)):
        assert rule.count_local(found[first], found[last]) == last - first
        assert rule.count_local(found[first] + 1, found[last] + 1) == last - first
    assert rule.count_local(0, wall("2027-01-01T00:00:00")) == 0


def test_a_rule_that_never_fires_ends_its_search():
    for text in ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
                 "FREQ=HOURLY;INTERVAL=168;BYDAY=TU", "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=31"):  # fmt: skip
        assert Rule(rrule_text.parse(text), wall("2027-01-04T09:00:00")).next_local(0) is None


def test_exceptions_count_towards_count():
    left_out = frozenset({wall("2027-01-02T09:00:00")})
    rule = Rule(rrule_text.parse("FREQ=DAILY;COUNT=3"), wall("2027-01-01T09:00:00"), excluded=left_out)
    assert rule.next_local(wall("2027-01-01T09:00:01")) == wall("2027-01-03T09:00:00")
    assert rule.next_local(wall("2027-01-03T09:00:01")) is None


def fires(text: str, start: str, zone: str, since: str, many: int, **policy: str) -> list[str]:
    rule, place = Rule(rrule_text.parse(text), wall(start)), load(zone)
    found, after = [], (wall(since) - 1) * 1_000_000
    for _ in range(many):
        fire = dst.next_fire(rule, place, after, **policy)
        assert fire is not None
        found.append(to_iso(fire.utc))
        after = fire.utc
    return found


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, ["2027-03-13T07:30:00Z", "2027-03-14T07:00:00Z", "2027-03-15T06:30:00Z"]),
        ({"gap": "shift"}, ["2027-03-13T07:30:00Z", "2027-03-14T07:30:00Z", "2027-03-15T06:30:00Z"]),
        ({"gap": "skip"}, ["2027-03-13T07:30:00Z", "2027-03-15T06:30:00Z", "2027-03-16T06:30:00Z"]),
    ],
)
def test_a_missing_time_of_day_follows_the_rule_of_the_schedule(policy, expected):
    begun = "2027-03-01T02:30:00"
    assert fires("FREQ=DAILY", begun, "America/New_York", "2027-03-13T00:00:00", 3, **policy) == expected


def test_a_doubled_time_of_day_fires_once_and_an_hourly_rule_follows_real_time():
    once = fires("FREQ=DAILY", "2027-11-01T01:30:00", "America/New_York", "2027-11-07T00:00:00", 2)
    assert once == ["2027-11-07T05:30:00Z", "2027-11-08T06:30:00Z"]
    hourly = fires("FREQ=HOURLY", "2027-11-01T00:30:00", "America/New_York", "2027-11-07T04:00:00", 4)
    assert hourly == [f"2027-11-07T0{hour}:30:00Z" for hour in (4, 5, 6, 7)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no part of a rule"),
        ("INTERVAL=2", "FREQ must be one of"),
        ("FREQ=SECONDLY", "finest is MINUTELY"),
        ("FREQ=DAYLY", "FREQ must be one of"),
        ("FREQ=DAILY;FREQ=DAILY", "given twice"),
        ("FREQ=DAILY;BYDAYS=MO", "did you mean BYDAY"),
        ("FREQ=DAILY;INTERVAL=0", "must be 1 to"),
        ("FREQ=DAILY;INTERVAL=" + "9" * 4000, "longer than"),
        ("FREQ=DAILY;INTERVAL=" + "9" * 400, "must be 1 to"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "both given"),
        ("FREQ=DAILY;COUNT=1000000", "must be 1 to 10000"),
        ("FREQ=WEEKLY;BYDAY=1MO", "numbered day"),
        ("FREQ=MONTHLY;BYDAY=MON", "BYDAY is `M`"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "must be 1 to 31 or the same below zero"),
        ("FREQ=MONTHLY;BYMONTHDAY=٣", "must be 1 to 31"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "does not go with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYWEEKNO=3", "YEARLY only"),
        ("FREQ=MONTHLY;BYYEARDAY=3", "does not go with FREQ=MONTHLY"),
        ("FREQ=HOURLY;BYMINUTE=1,2;BYSETPOS=1", "BYMINUTE"),
        ("FREQ=DAILY;BYSETPOS=1", "add one"),
        ("FREQ=DAILY;EXDATE=20270101", "beside the rule"),
    ],
)
def test_a_wrong_rule_is_refused_with_the_remedy(text, said):
    with pytest.raises(ValidationFailed) as refusal:
        rrule_text.parse(text)
    assert said in refusal.value.detail
    assert refusal.value.errors[0].field == "rrule"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60) | st.text(alphabet="FREQ=DAILY;BYMONTHCU,-0123 ", max_size=60))
def test_any_text_is_a_rule_or_refused(text):
    with suppress(ValidationFailed):
        assert rrule_text.sentence(rrule_text.parse(text)).startswith("Every ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FREQ=DAILY", "Every day"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TH", "Every 2 weeks on Monday and Thursday"),
        ("FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", "Every month on the last Friday, 3 times"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,15", "Every month, on day 1 and 15"),
    ],
)
def test_a_rule_is_said_in_english(text, said):
    assert rrule_text.sentence(rrule_text.parse(text)) == said


def test_the_end_may_be_written_in_utc_on_the_wall_or_as_a_day():
    assert ical.until("20270101T000000Z") == (wall("2027-01-01T00:00:00") * 1_000_000, None)
    assert ical.until("20270101T120000") == (None, wall("2027-01-01T12:00:00"))
    assert ical.until("20270101") == (None, wall("2027-01-01T23:59:59"))
    for wrong in ("tomorrow", "20270101T", "99990101"):
        with pytest.raises(ValidationFailed):
            ical.until(wrong)

"""The differences that an import lists are those between this program and the old system, written from its source."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Any

import old_systems
import pytest
import wall_oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.time import cron, dst, zone
from workflow_scheduler.core.time.clock import from_datetime, to_datetime, to_iso
from workflow_scheduler.core.time.dialects import airflow, compare, entry, eventbridge, kestra, kubernetes, quartz

EXPRESSIONS = ["30 2 * * *", "0 2 * * *", "30 1,2 * * *", "0,30 1-3 * * *", "*/20 * * * *", "0 * * * *", "15 */2 * * *",
               "*/30 2 * * *", "0 0 * * *", "30 1 1 * *", "45 0-4 * * 0",
               "30 5 * * 5", "30 5 * * 4"]  # fmt: skip
CHANGES = [
    ("America/New_York", "2027-03-14T07:00"),
    ("America/New_York", "2027-11-07T06:00"),
    ("Europe/Berlin", "2027-03-28T01:00"),
    ("Europe/Berlin", "2027-10-31T01:00"),
    ("Australia/Lord_Howe", "2027-10-02T15:30"),
    ("Australia/Lord_Howe", "2027-04-03T15:00"),
    ("Africa/Cairo", "2027-04-29T22:00"),
    ("America/Santiago", "2027-09-05T04:00"),
]


def six(text: str) -> str:
    """An expression of five fields as Quartz has it: seconds, and `?` in one day field; its weekdays count from 1."""
    minute, hour, day, month, weekday = text.split()
    return f"0 {minute} {hour} {day} {month} ?" if weekday == "*" else f"0 {minute} {hour} ? {month} {int(weekday) + 1}"


def of_quartz(text: str, name: str) -> Any:
    return quartz.entries(six(text), name)


def of_spring(text: str, name: str) -> Any:
    return quartz.entries(f'@Scheduled(cron = "0 {text}", zone = "{name}")\nvoid run() {{}}', "UTC")


def of_airflow(text: str, name: str) -> Any:
    return airflow.entries(
        f'DAG("d", schedule="{text}", start_date=pendulum.datetime(2020, 1, 1, tz="{name}"))\n'.replace(
            "DAG", "d = DAG"
        ),
        "UTC",
    )


def of_kestra(text: str, name: str) -> Any:
    trigger = {"id": "s", "type": "io.kestra.plugin.core.trigger.Schedule", "cron": text, "timezone": name}
    return kestra.entries([({"id": "f", "triggers": [trigger]}, lambda _: 1)], "UTC")


def of_kubernetes(text: str, name: str) -> Any:
    return kubernetes.entries([{"kind": "CronJob", "spec": {"schedule": text, "timeZone": name or None}}], "UTC")


SYSTEMS = {
    "quartz": (of_quartz, old_systems.quartz),
    "spring": (of_spring, old_systems.spring),
    "airflow": (of_airflow, old_systems.airflow),
    "kestra": (of_kestra, old_systems.cron_utils),
    "kubernetes": (of_kubernetes, old_systems.robfig),
}


def ours(one: entry.Imported, span: tuple[datetime, datetime]) -> set[str]:
    parsed, place = cron.parse(one.trigger["cron"]), zone.load(one.trigger["timezone"])
    policy = one.trigger.get("dst_gap", "after"), one.trigger.get("dst_overlap", "first")
    found = set()
    utc = dst.next_utc(parsed, place, from_datetime(span[0]), *policy)
    while utc is not None and utc <= from_datetime(span[1]):
        found.add(to_iso(utc))
        utc = dst.next_utc(parsed, place, utc, *policy)
    return found


@pytest.mark.parametrize("system", SYSTEMS)
@pytest.mark.parametrize(("name", "change"), CHANGES)
@pytest.mark.parametrize("kept", [False, True], ids=["plain", "as before"])
def test_the_list_of_differences_is_the_difference(system: str, name: str, change: str, kept: bool) -> None:
    read, following = SYSTEMS[system]
    at = datetime.fromisoformat(change).replace(tzinfo=UTC)
    span = at - timedelta(hours=23), at + timedelta(hours=23)
    for text in EXPRESSIONS:
        (one,) = entry.every_entry(read(text, name))[0]
        one = compare.as_before(one) if kept else one
        before = {to_iso(from_datetime(utc)) for utc in old_systems.fires(
            following, wall_oracle.Expression(text), name, span)}  # fmt: skip
        now = ours(one, span)
        listed = {
            (item.utc, item.fires)
            for item in compare.differences(one, from_datetime(span[0] - timedelta(days=30))).items
            if from_datetime(span[0]) < from_datetime(datetime.fromisoformat(item.utc)) <= from_datetime(span[1])
        }
        wanted = {(utc, "before") for utc in before - now} | {(utc, "now") for utc in now - before}
        assert listed == wanted, text


def test_far_from_clock_changes_old_and_new_agree() -> None:
    start = datetime(2027, 6, 1, tzinfo=UTC)
    span = start, start + timedelta(days=14)
    for read, following in SYSTEMS.values():
        for text in EXPRESSIONS:
            (one,) = entry.every_entry(read(text, "Europe/Berlin"))[0]
            expression = wall_oracle.Expression(text)
            before = {
                to_iso(from_datetime(utc)) for utc in old_systems.fires(following, expression, "Europe/Berlin", span)
            }
            assert before == ours(one, span), text


def test_robfig_leaves_out_a_day_that_begins_at_one_and_takes_it_for_the_day_before() -> None:
    (friday,) = entry.every_entry(of_kubernetes("30 5 * * 5", "Africa/Cairo"))[0]
    start = from_datetime(datetime(2027, 4, 1, tzinfo=UTC))
    found = [(item.local, item.fires) for item in compare.differences(friday, start, 1).items]
    assert ("2027-04-30T05:30:00", "now") in found
    (thursday,) = entry.every_entry(of_kubernetes("CRON_TZ=Africa/Cairo 30 5 * * 4", ""))[0]
    assert ("2027-04-30T05:30:00", "before") in [
        (item.local, item.fires) for item in compare.differences(thursday, start, 1).items
    ]


def weekday_numbers(piece: str) -> set[int]:
    """Days of the week of EventBridge and Quartz, 1 for Sunday; the k-th and last ones aside."""
    head, _, step = piece.partition("/")
    if head == "*":
        return set(range(1, 8, int(step or 1)))
    low, _, high = head.partition("-")
    first, last = int(low), int(high or (7 if step else low))
    return set(range(first, last + 1, int(step or 1)))


@pytest.mark.parametrize("field", ["1", "7", "2-6", "1,7", "*/2", "2/2", "3-7/2", "1-7", "1,3-5"])
def test_days_of_the_week_that_count_from_one_keep_their_days(field: str) -> None:
    wanted = set().union(*(weekday_numbers(piece) for piece in field.split(",")))
    for translated in (
        eventbridge.translated(f"0 8 ? * {field} *")[0],
        quartz.translated(f"0 0 8 ? * {field}")[0],
    ):
        parsed = cron.parse(translated)
        wall, found = 0, set()
        while (wall := parsed.next_local(wall + 1) or 0) < 8 * 86_400:
            found.add(to_datetime(wall * 1_000_000).isoweekday() % 7 + 1)
        assert found == wanted, translated


DATES = st.one_of(
    st.just("*"), st.integers(1, 31).map(str), st.just("L"), st.integers(1, 28).map("{}W".format), st.just("LW"),
    st.integers(0, 5).map("L-{}".format), st.tuples(st.integers(1, 31), st.integers(1, 9)).map("{0[0]}/{0[1]}".format),
    st.lists(st.integers(1, 28), min_size=2, max_size=3).map(lambda days: ",".join(map(str, days))),
)  # fmt: skip
NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
DAYS = st.one_of(
    st.just("L"), st.integers(1, 7).map(str), st.sampled_from(NAMES), st.integers(1, 7).map("{}L".format),
    st.tuples(st.integers(1, 7), st.integers(1, 5)).map("{0[0]}#{0[1]}".format),
    st.tuples(st.integers(1, 4), st.integers(4, 7)).map("{0[0]}-{0[1]}".format),
    st.lists(st.integers(1, 7), min_size=2, max_size=3).map(lambda days: ",".join(map(str, days))),
)  # fmt: skip


def fits_date(term: str, day: date) -> bool:
    """Days of the month as the EventBridge user guide and Quartz's tutorial explain them."""
    last = monthrange(day.year, day.month)[1]
    workdays = [number for number in range(1, last + 1) if day.replace(day=number).isoweekday() < 6]
    if term == "LW":
        return day.day == workdays[-1]
    if term[0] == "L":
        return day.day == last - int(term[2:] or 0)
    if term[-1] == "W":
        return day.day == min(workdays, key=lambda number: abs(number - int(term[:-1])))
    head, _, step = term.partition("/")
    first = 1 if head == "*" else int(head)
    return (
        day.day == first if head != "*" and not step else day.day >= first and (day.day - first) % int(step or 1) == 0
    )


def fits_day(term: str, day: date) -> bool:
    """Days of the week counted from 1 (Sunday) to 7, `L` alone being 7."""
    today = day.isoweekday() % 7 + 1
    if term in NAMES:
        return today == NAMES.index(term) + 1
    if term == "L":
        return today == 7
    if term[-1] == "L":
        return today == int(term[:-1]) and (day + timedelta(days=7)).month != day.month
    number, mark, week = term.partition("#")
    if mark:
        return today == int(number) and (day.day + 6) // 7 == int(week)
    low, _, high = term.partition("-")
    return int(low) <= today <= int(high or low)


@given(
    st.one_of(st.tuples(DATES, st.just("?")), st.tuples(st.just("?"), DAYS)),
    st.integers(2020, 2040),
    st.integers(1, 12),
)
@settings(max_examples=300, deadline=None)
def test_days_of_eventbridge_and_quartz_are_those_of_their_manuals(
    days: tuple[str, str], year: int, month: int
) -> None:
    text, weekday = days
    expressions = (
        eventbridge.translated(f"0 8 {text} * {weekday} *")[0],
        quartz.translated(f"0 0 8 {text} * {weekday}")[0],
    )
    assert expressions[0] == expressions[1]
    parsed = cron.parse(expressions[0])
    for number in range(1, monthrange(year, month)[1] + 1):
        day = date(year, month, number)
        wall = (day - date(1970, 1, 1)).days * 86_400 + 8 * 3_600
        fits = fits_day if text == "?" else fits_date
        term = weekday if text == "?" else text
        assert (parsed.next_local(wall) == wall) == any(fits(one, day) for one in term.split(",")), (expressions, day)

"""The differences that an import lists are those between this program and the old system, written from its source."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import old_systems
import pytest
import wall_oracle

from workflow_scheduler.core.time import cron, dst, zone
from workflow_scheduler.core.time.clock import from_datetime, to_datetime, to_iso
from workflow_scheduler.core.time.dialects import airflow, compare, entry, eventbridge, kestra, kubernetes, quartz

EXPRESSIONS = ["30 2 * * *", "0 2 * * *", "30 1,2 * * *", "0,30 1-3 * * *", "*/20 * * * *", "0 * * * *", "15 */2 * * *",
               "*/30 2 * * *", "0 0 * * *", "30 1 1 * *", "45 0-4 * * 0"]  # fmt: skip
CHANGES = [
    ("America/New_York", "2027-03-14T07:00"),
    ("America/New_York", "2027-11-07T06:00"),
    ("Europe/Berlin", "2027-03-28T01:00"),
    ("Europe/Berlin", "2027-10-31T01:00"),
    ("Australia/Lord_Howe", "2027-10-02T15:30"),
    ("Australia/Lord_Howe", "2027-04-03T15:00"),
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
    return kubernetes.entries([{"kind": "CronJob", "spec": {"schedule": text, "timeZone": name}}], "UTC")


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

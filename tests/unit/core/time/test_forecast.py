"""The forecast: totals, collisions and spreading, exact where it says so and bounded everywhere."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from workflow_scheduler.core.time import forecast
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, from_iso
from workflow_scheduler.core.time.forecast import Collision, Group, collisions, look_ahead, spreading
from workflow_scheduler.triggers import cron, interval

NOW = from_iso("2027-01-05T12:00:00Z")


def by_cron(text: str, *members: str, begin: int = NOW, spread: bool = False) -> Group:
    return Group(cron, cron.Config(cron=text), NOW, begin, spread, list(members))


def by_interval(every: str, *members: str) -> Group:
    config = interval.Config.model_validate({"every": every})
    return Group(interval, config, NOW, NOW, spread=False, members=list(members))


def walked(groups: list[Group], stop: int) -> Counter[int]:
    found: Counter[int] = Counter()
    for group in groups:
        fire: Any = group.type.next_fire(group.config, max(NOW, group.begin), group.anchor)
        while fire is not None and fire.utc <= stop:
            found[fire.utc] += len(group.members)
            fire = group.type.next_fire(group.config, fire.utc, group.anchor)
    return found


def test_totals_are_those_of_walking_through_every_fire():
    groups = [by_cron("*/15 * * * *", "a", "b"), by_cron("0 9 * * *", "c"), by_interval("7s", "d"),
              by_cron("30 18 * * *", "e", begin=NOW + 8 * HOUR_US)]  # fmt: skip
    found = look_ahead(groups, NOW, NOW + DAY_US)
    expected = walked(groups, NOW + DAY_US)
    assert found.total == expected.total()
    minutes: Counter[int] = Counter()
    for at, fires in expected.items():
        minutes[at - at % MINUTE_US] += fires
    assert {at: fires for at, fires in found.minutes.items() if fires} == dict(minutes)
    assert sum(found.hours.values()) == found.total
    assert found.stride == 1


def test_collisions_name_all_members_the_worst_first():
    groups = [by_cron("0 9 * * *", "b", "a"), by_cron("0 9,10 * * *", "c"), by_cron("0 10 * * *", "d"),
              by_cron("0 9 * * *", "jittered", spread=True), by_cron("0 11 * * *", "alone")]  # fmt: skip
    found = collisions(groups, look_ahead(groups, NOW, NOW + DAY_US), 10)
    nine = from_iso("2027-01-06T09:00:00Z")
    assert found == [Collision(nine, ["a", "b", "c"]), Collision(nine + HOUR_US, ["c", "d"])]
    assert collisions(groups, look_ahead(groups, NOW, NOW + DAY_US), 1) == found[:1]


def test_too_many_rules_are_sampled_and_said(monkeypatch):
    monkeypatch.setattr(forecast, "WALKED_MAX", 100)
    groups = [by_cron(f"{minute} * * * *", f"t{minute}") for minute in range(60)]
    found = look_ahead(groups, NOW, NOW + DAY_US)
    assert found.stride == 15
    assert found.total == 60 * 24


def test_a_type_that_cannot_count_is_walked_through():
    class Plain:
        next_fire = staticmethod(interval.next_fire)
        timezone = staticmethod(interval.timezone)

    counted, plain = by_interval("90s", "a"), by_interval("90s", "a")
    plain = plain._replace(type=Plain())
    assert look_ahead([plain], NOW, NOW + DAY_US) == look_ahead([counted], NOW, NOW + DAY_US)


def test_spreading_uses_the_jitter_that_the_schedules_would_get():
    members = [f"trigger-{number}" for number in range(412)]
    advice = spreading(Collision(NOW, members), HOUR_US)
    assert (advice.peak_before, advice.jitter_seconds) == (412, 83)
    assert advice.peak_after < 20
    assert advice == spreading(Collision(NOW, members), HOUR_US)
    assert spreading(Collision(NOW, members), 10 * SECOND_US).jitter_seconds == 10


@pytest.mark.parametrize("hours", [1, 24, 744])
def test_nothing_lies_ahead_of_no_schedules(hours):
    found = look_ahead([], NOW, NOW + hours * HOUR_US)
    assert (found.total, found.hours, found.instants) == (0, {}, {})

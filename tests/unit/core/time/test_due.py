"""Due rows: what runs, what is recorded without a run, and what is due next."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time import interval as intervals
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US, from_iso, to_iso
from workflow_scheduler.core.time.due import Settlement, Timer, next_due, resume, settle
from workflow_scheduler.core.time.jitter import jitter
from workflow_scheduler.core.time.payload import CLOCK_SCHEMA, clock_payload, occurrence_id
from workflow_scheduler.triggers import cron, interval, once

NOON = from_iso("2027-05-05T12:00:00")
TRIGGER = "trigger-1"


def hourly(**fields: Any) -> cron.Config:
    return cron.Config.model_validate({"cron": "0 * * * *", **fields})


def minutely(**fields: Any) -> cron.Config:
    return cron.Config.model_validate({"cron": "* * * * *", **fields})


def settled(config: cron.Config, nominal: int, now: int) -> Settlement:
    return settle(cron, config, TRIGGER, 0, nominal, now)


def total(result: Settlement) -> int:
    return len(result.fire) + len(result.outcomes) + sum(stretch.count for stretch in result.stretches)


def times(result: Settlement) -> list[str]:
    return [start.fire.local[11:16] for start in result.fire]


def reasons(result: Settlement) -> dict[Reason, int]:
    found: dict[Reason, int] = {}
    for item in result.outcomes:
        found[item.reason] = found.get(item.reason, 0) + 1
    for stretch in result.stretches:
        found[stretch.reason] = found.get(stretch.reason, 0) + stretch.count
    return found


@pytest.mark.parametrize("lateness", [0, 1, SECOND_US, 60 * SECOND_US])
def test_a_fire_within_the_grace_runs_and_the_next_one_follows(lateness: int):
    result = settled(hourly(catchup="none"), NOON, NOON + lateness)
    assert times(result) == ["12:00"]
    assert (result.outcomes, result.stretches) == ((), ())
    assert result.next is not None
    assert result.next.nominal == result.next.fire_at == NOON + HOUR_US


def test_a_fire_beyond_the_grace_is_missed_under_none():
    result = settled(hourly(catchup="none"), NOON, NOON + 61 * SECOND_US)
    assert result.fire == ()
    [missed] = result.outcomes
    assert (missed.fire.utc, missed.outcome, missed.reason) == (NOON, Outcome.SKIPPED, Reason.MISSED_DOWN)


def test_latest_runs_the_newest_missed_fire_once_for_all():
    result = settled(hourly(), NOON, NOON + 5 * HOUR_US + 10 * MINUTE_US)
    assert times(result) == ["17:00"]
    assert result.fire[0].coalesced == 5
    assert [item.fire.local[11:13] for item in result.outcomes] == ["12", "13", "14", "15", "16"]
    assert {(item.outcome, item.reason) for item in result.outcomes} == {(Outcome.ABSORBED, Reason.COALESCED)}
    assert result.next is not None
    assert result.next.nominal == NOON + 6 * HOUR_US


def test_under_latest_a_fire_on_time_covers_the_missed_ones():
    result = settled(hourly(), NOON, NOON + 3 * HOUR_US + SECOND_US)
    assert times(result) == ["15:00"]
    assert result.fire[0].coalesced == 3


def test_all_runs_every_missed_fire_in_order():
    result = settled(hourly(catchup="all"), NOON, NOON + 3 * HOUR_US + SECOND_US)
    assert times(result) == ["12:00", "13:00", "14:00", "15:00"]
    assert result.outcomes == ()


def test_all_runs_at_most_catchup_max_and_only_inside_the_window():
    result = settled(hourly(catchup="all", catchup_max=3), NOON, NOON + 10 * HOUR_US + 5 * MINUTE_US)
    assert times(result) == ["20:00", "21:00", "22:00"]
    assert reasons(result) == {Reason.MISSED_WINDOW: 8}
    result = settled(hourly(catchup="all", catchup_window="2h"), NOON, NOON + 10 * HOUR_US + 5 * MINUTE_US)
    assert times(result) == ["21:00", "22:00"]
    assert reasons(result) == {Reason.MISSED_WINDOW: 9}


def test_nothing_older_than_the_window_is_run_by_latest():
    config = cron.Config.model_validate({"cron": "0 0 1 * *", "catchup_window": "24h"})
    first_of_may = from_iso("2027-05-01T00:00:00")
    result = settled(config, first_of_may, first_of_may + 2 * DAY_US)
    assert result.fire == ()
    assert reasons(result) == {Reason.MISSED_WINDOW: 1}
    assert result.next is not None
    assert to_iso(result.next.nominal) == "2027-06-01T00:00:00Z"


def test_several_fires_within_the_grace_each_run():
    config = interval.Config.model_validate({"every": "10s", "catchup": "none"})
    result = settle(interval, config, TRIGGER, NOON, NOON + 10 * SECOND_US, NOON + 45 * SECOND_US)
    assert [start.fire.utc - NOON for start in result.fire] == [10**7, 2 * 10**7, 3 * 10**7, 4 * 10**7]


@pytest.mark.parametrize("catchup", ["none", "latest", "all"])
def test_a_year_of_missed_minutes_is_accounted_for_to_the_last(catchup: str):
    now = NOON + 365 * DAY_US + 30 * SECOND_US
    result = settled(minutely(catchup=catchup, misfire_grace=0), NOON, now)
    assert total(result) == 365 * 1440 + 1
    assert len(result.outcomes) <= 101
    assert result.next is not None
    assert result.next.nominal == NOON + 365 * DAY_US + MINUTE_US
    expected = {
        "none": {Reason.MISSED_DOWN: 525_601},
        "latest": {Reason.MISSED_WINDOW: 364 * 1440 + 1, Reason.COALESCED: 1439},
        "all": {Reason.MISSED_WINDOW: 525_501},
    }
    assert reasons(result) == expected[catchup]
    assert [len(result.fire), result.fire[0].coalesced if result.fire else 0] == {
        "none": [0, 0], "latest": [1, 1439], "all": [100, 0],
    }[catchup]  # fmt: skip


def test_stretches_lie_in_order_and_end_before_the_listed_fires():
    result = settled(minutely(), NOON, NOON + 3 * DAY_US)
    before, inside = result.stretches
    assert before.first == NOON
    assert before.last + MINUTE_US == inside.first == NOON + 2 * DAY_US
    assert inside.last + MINUTE_US == result.outcomes[0].fire.utc


def test_a_type_that_cannot_count_settles_a_long_downtime_in_portions():
    plain = SimpleNamespace(next_fire=cron.next_fire, timezone=cron.timezone)
    now, nominal, seen, rounds = NOON + 5 * DAY_US + SECOND_US, NOON, 0, 0
    while nominal <= now:
        result = settle(plain, minutely(), TRIGGER, 0, nominal, now)
        seen += total(result)
        assert result.next is not None
        nominal, rounds = result.next.nominal, rounds + 1
    assert seen == 5 * 1440 + 1
    assert rounds > 1
    assert len(result.fire) == 1


@given(
    st.sampled_from(["*/5 * * * *", "30 2 * * *", "0 * * * *", "0 0 1 * *", "15 1,2 * * SUN"]),
    st.sampled_from(["UTC", "America/New_York", "Australia/Lord_Howe"]),
    st.sampled_from(["none", "latest", "all"]),
    st.integers(0, 30 * DAY_US),
    st.tuples(st.integers(0, 3600), st.integers(1, 200), st.integers(1, 20)),
)
@settings(deadline=None, max_examples=150)
def test_every_planned_fire_is_accounted_for_once(
    text: str, name: str, catchup: str, downtime: int, numbers: tuple[int, int, int]
):
    spread, window, most = numbers
    config = cron.Config.model_validate(
        {"cron": text, "timezone": name, "catchup": catchup, "jitter": spread, "catchup_window": f"{window}h",
         "catchup_max": most}
    )  # fmt: skip
    first = next_due(cron, config, TRIGGER, from_iso("2027-03-01T00:00:00"), 0)
    assert first is not None
    now = first.fire_at + downtime
    result = settled(config, first.nominal, now)
    assert result.next is not None
    assert result.next.fire_at > now
    assert total(result) == cron.count(config, first.nominal - 1, result.next.nominal - 1, 0)
    listed = [start.fire.utc for start in result.fire] + [item.fire.utc for item in result.outcomes]
    assert len(set(listed)) == len(listed)
    assert all(start.fire_at <= now for start in result.fire)
    covered = reasons(result).get(Reason.COALESCED, 0)
    assert covered == sum(start.coalesced for start in result.fire)


def test_a_one_time_schedule_fires_late_once_and_then_never_again():
    config = once.Config.model_validate({"run_at": "2027-05-05T12:00:00"})
    result = settle(once, config, TRIGGER, 0, NOON, NOON + 400 * DAY_US)
    assert times(result) == ["12:00"]
    assert result.next is None
    assert next_due(once, config, TRIGGER, NOON, 0) is None


def test_the_last_fire_before_the_end_completes_the_schedule():
    config = hourly(end_at="2027-05-05T12:30:00Z")
    result = settled(config, NOON, NOON)
    assert times(result) == ["12:00"]
    assert result.next is None


def test_a_row_that_the_calendar_no_longer_holds_still_fires_at_its_time():
    result = settled(hourly(timezone="Asia/Kolkata"), NOON, NOON)
    assert result.fire[0].fire.utc == NOON
    assert result.fire[0].fire.local == "2027-05-05T17:30:00"


def test_resuming_never_fires_the_past_and_never_skips_the_next_slot():
    timer = Timer(cron, hourly(), TRIGGER, 0)
    result = resume(timer, NOON, NOON + 3 * HOUR_US + SECOND_US)
    assert result.fire == ()
    assert reasons(result) == {Reason.MISSED_PAUSED: 4}
    assert result.next is not None
    assert result.next.nominal == NOON + 4 * HOUR_US
    early = resume(timer, NOON, NOON - SECOND_US)
    assert (early.fire, early.outcomes) == ((), ())
    assert early.next is not None
    assert early.next.nominal == NOON


def test_resuming_may_run_the_latest_or_all_missed_fires():
    timer = Timer(cron, hourly(catchup="none"), TRIGGER, 0)
    assert times(resume(timer, NOON, NOON + 3 * HOUR_US, "latest")) == ["15:00"]
    assert times(resume(timer, NOON, NOON + 3 * HOUR_US, "all")) == ["12:00", "13:00", "14:00", "15:00"]


@given(st.integers(0, 2**50), st.integers(0, 10 * MINUTE_US))
def test_jitter_is_repeatable_and_within_its_room(nominal: int, room: int):
    delay = jitter(TRIGGER, nominal, room)
    assert delay == jitter(TRIGGER, nominal, room)
    assert 0 <= delay < max(room, 1)


def test_jitter_spreads_triggers_evenly():
    delays = [jitter(f"trigger-{number}", NOON, 1000) for number in range(2000)]
    for low in range(0, 1000, 250):
        assert 400 < sum(low <= delay < low + 250 for delay in delays) < 600


def test_jitter_never_reaches_the_next_nominal_time():
    config = minutely(jitter="1h")
    due = next_due(cron, config, TRIGGER, NOON, 0)
    for _ in range(200):
        assert due is not None
        assert due.nominal <= due.fire_at < due.nominal + MINUTE_US
        due = next_due(cron, config, TRIGGER, due.nominal, 0)


@given(st.integers(1, 10 * DAY_US), st.integers(-(2**40), 2**50), st.integers(-(2**40), 2**50), st.integers(0, 100))
def test_intervals_are_multiples_from_their_anchor(every: int, anchor: int, after: int, steps: int):
    first = intervals.next_instant(every, anchor, after)
    assert first > after
    assert first >= anchor
    assert (first - anchor) % every == 0
    assert first == anchor or first - every <= after
    assert intervals.count(every, anchor, after, first + steps * every) == steps + 1
    assert intervals.count(every, anchor, after, first - 1) == 0


def test_the_clock_payload_has_the_facts_of_the_fire_and_fits_its_schema():
    trigger = Trigger(
        id=TRIGGER,
        tenant_id="t",
        workflow_id="w",
        workflow="nightly",
        workflow_version=7,
        name="n",
        type="cron",
        config={},
    )
    config = hourly(timezone="Europe/Berlin")
    result = settled(config, NOON, NOON + 5 * HOUR_US + 90 * SECOND_US)
    payload = msgspec.json.decode(
        clock_payload(cron, config, trigger, result.fire[0], NOON + 5 * HOUR_US + 90 * SECOND_US)
    )
    assert payload == {
        "triggerType": "recurring",
        "scheduleId": TRIGGER,
        "scheduledFor": "2027-05-05T17:00:00Z",
        "firedAt": "2027-05-05T17:01:30Z",
        "timezone": "Europe/Berlin",
        "workflowId": "w",
        "workflowVersion": 7,
        "latenessMs": 90_000,
        "occurrenceId": occurrence_id(TRIGGER, NOON + 5 * HOUR_US),
        "coalescedCount": 5,
        "cron": "0 * * * *",
    }
    assert set(payload) == set(CLOCK_SCHEMA["properties"])
    single = once.Config.model_validate({"run_at": "2027-05-05T12:00:00Z"})
    start = settle(once, single, TRIGGER, 0, NOON, NOON).fire[0]
    payload = msgspec.json.decode(clock_payload(once, single, trigger, start, NOON))
    assert payload["triggerType"] == "schedule"
    assert set(payload) == set(CLOCK_SCHEMA["required"])

"""The edges of pauses and windows: times that wait for their jitter there, and what is said of the time after."""

import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.time.clock import HOUR_US, MINUTE_US, to_iso
from workflow_scheduler.services.blackouts import Blackouts
from workflow_scheduler.services.pauses import Pauses
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
SPREAD = {"type": "cron", "cron": "0 * * * *", "jitter": "50m", "catchup": "latest"}


async def settle(house):
    while await house.timer.tick():
        pass


async def told(house, name, hours):
    schedule = await house.trigger_id(name)
    found = await house.schedules.occurrences(LOCAL, schedule, since=NOON, until=NOON + hours * HOUR_US)
    return [(item["outcome"], item["reason"]) for item in found["items"]]


async def scheduled_runs(house):
    rows = await house.store.read("SELECT scheduled_for FROM runs ORDER BY scheduled_for")
    return [(row[0] - NOON) // HOUR_US for row in rows]


async def jittered(house):
    """Go to a minute after the next hour whose time still waits for its jitter."""
    for hour in range(1, 9):
        at = NOON + hour * HOUR_US + MINUTE_US
        house.clock.jump((at - house.clock.now()) / 1_000_000)
        await settle(house)
        rows = await house.store.read("SELECT next_nominal, next_fire_at FROM schedules")
        if rows[0][0] < at < rows[0][1]:
            return hour
    raise AssertionError("no time waits for its jitter")


async def test_a_time_within_a_pause_is_missed_even_if_its_jitter_ends_later(house):
    await house.deploy("report", tick=SPREAD)
    schedule = await house.trigger_id("tick")
    hour = await jittered(house)
    await house.schedules.pause(LOCAL, schedule)
    before = await told(house, "tick", hour + 1)
    await house.schedules.resume(LOCAL, schedule)
    assert await told(house, "tick", hour + 1) == before
    assert before[-1] == ("skipped", "missed_paused")
    await house.clock.advance(3_500)
    await settle(house)
    assert hour not in await scheduled_runs(house)


async def test_a_time_waits_for_its_jitter_when_a_window_is_taken_away(house):
    await house.deploy("report", tick=SPREAD)
    blackouts = Blackouts(house.store, house.clock, house.types)
    later = {"from": to_iso(NOON + 100 * HOUR_US), "to": to_iso(NOON + 101 * HOUR_US)}
    await blackouts.create(LOCAL, "freeze", later)
    await house.cache.refresh()
    hour = await jittered(house)
    await blackouts.delete(LOCAL, "freeze")
    await house.cache.refresh()
    await settle(house)
    assert hour not in await scheduled_runs(house)
    await house.clock.advance(3_000)
    await settle(house)
    assert hour in await scheduled_runs(house)


async def test_the_pause_of_a_workflow_ends_in_the_ledger_where_it_ends(house):
    await house.deploy("report", tick={"type": "cron", "cron": "0 * * * *"})
    await house.workflows.pause(LOCAL, "report", until=NOON + 5 * HOUR_US // 2)
    assert await told(house, "tick", 5) == [("planned", "missed_paused")] * 2 + [("planned", None)] * 2


async def test_a_single_time_is_late_and_not_lost_when_the_pause_of_its_workflow_runs_out(house):
    await house.deploy("report", single={"type": "once", "run_at": to_iso(NOON + HOUR_US)})
    await house.workflows.pause(LOCAL, "report", until=NOON + 2 * HOUR_US)
    await house.clock.advance(3 * 3600)
    assert await told(house, "single", 2) == [("pending", "missed_paused")]
    await Pauses(house.store, house.clock, house.types).resume_expired()
    await house.cache.refresh()
    await settle(house)
    assert await scheduled_runs(house) == [1]


async def test_the_ledger_of_a_range_before_the_end_of_a_pause_has_no_later_times(house):
    await house.deploy("report", tick={"type": "cron", "cron": "0 * * * *", "max_fires": 5})
    schedule = await house.trigger_id("tick")
    await house.schedules.pause(LOCAL, schedule, until=NOON + 4 * HOUR_US)
    found = await house.schedules.occurrences(LOCAL, schedule, since=NOON, until=NOON + 3 * HOUR_US)
    assert found["sums"]["planned"] == len(found["items"]) == 2

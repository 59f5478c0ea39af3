"""The timer: each nominal time becomes one run, whoever looks, whatever the clock does, and nothing broken stops it."""

import asyncio

import pytest

from workflow_scheduler.core.errors import BadRequest, StoreUnavailable
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.time.clock import HOUR_US, MINUTE_US, to_iso
from workflow_scheduler.pipeline.sources import timer as timers
from workflow_scheduler.testing.factories import NOON

HOURLY = {"type": "cron", "cron": "0 * * * *"}


async def nominal(instance, workflow=None):
    text = "SELECT scheduled_for FROM runs WHERE (:name IS NULL OR workflow = :name) ORDER BY scheduled_for, id"
    return [(row[0] - NOON) / HOUR_US for row in await instance.all(text, name=workflow)]


async def ledger(instance):
    return await instance.all("SELECT outcome, reason, note FROM occurrences ORDER BY nominal")


async def pass_hours(instance, hours, *others):
    for _ in range(hours):
        await instance.clock.advance(3600)
        for each in (instance, *others):
            await each.timer.tick()


async def test_each_nominal_time_is_one_run_with_its_event_and_occurrence(one):
    await one.deploy("report", {"hourly": HOURLY})
    assert await nominal(one) == []
    await pass_hours(one, 3)
    assert await nominal(one) == [1, 2, 3]
    assert [row[0] for row in await ledger(one)] == ["run_started"] * 3
    rows = await one.all("SELECT provider, type, event_key, time FROM events ORDER BY time")
    assert {row[:2] for row in rows} == {("cron", "trigger.clock.v1")}
    assert len({row[2] for row in rows}) == 3
    await one.until(lambda: len(one.engine.started) == 3)


async def test_looking_again_at_the_same_instant_fires_nothing(one):
    await one.deploy("report", {"hourly": HOURLY})
    await pass_hours(one, 1)
    assert await one.timer.tick() is False
    assert await nominal(one) == [1]


async def test_two_timers_on_one_database_fire_each_time_once(one, two):
    for number in range(30):
        await one.deploy(f"report{number}", {"hourly": HOURLY})
    for _ in range(4):
        await one.clock.advance(3600)
        await asyncio.gather(one.timer.tick(), two.timer.tick())
    assert sorted(await nominal(one)) == sorted([1, 2, 3, 4] * 30)
    assert await one.count("occurrences") == 120
    await one.settle()
    await two.settle()
    started = one.engine.started + two.engine.started
    assert len(started) == len(set(started)) == 120


async def test_once_fires_once_and_is_completed(one, two):
    await one.deploy("report", {"at": {"type": "once", "run_at": to_iso(NOON + HOUR_US)}})
    await one.clock.advance(3600)
    await asyncio.gather(one.timer.tick(), two.timer.tick())
    await pass_hours(one, 3, two)
    assert await nominal(one) == [1]
    assert await one.all("SELECT completed, next_fire_at FROM schedules") == [(1, None)]


async def test_once_that_was_missed_fires_late(one):
    await one.deploy("report", {"at": {"type": "once", "run_at": to_iso(NOON + HOUR_US)}})
    await one.clock.advance(5 * 3600)
    await one.timer.tick()
    assert await nominal(one) == [1]


@pytest.mark.parametrize(
    ("catchup", "fired", "reasons"),
    [
        ("none", [], {"missed_down"}),
        ("latest", [5], {"coalesced", "matched"}),
        ("all", [1, 2, 3, 4, 5], {"matched"}),
    ],
)
async def test_what_was_missed_is_caught_up_as_asked(one, catchup, fired, reasons):
    await one.deploy("report", {"hourly": {**HOURLY, "catchup": catchup}})
    await one.clock.advance(5 * 3600 + 1800)
    await one.timer.tick()
    assert await nominal(one) == fired
    assert {row[1] for row in await ledger(one)} == reasons
    await one.clock.advance(1800)
    await one.timer.tick()
    assert await nominal(one) == [*fired, 6]


async def test_a_long_pause_of_the_machine_is_no_storm_of_ticks(one):
    """A month asleep: what is within the grace is on time, a hundred more are listed, and the rest is one line."""
    await one.deploy("report", {"often": {"type": "cron", "cron": "* * * * *"}})
    one.clock.jump(30 * 24 * 3600)
    await one.timer.tick()
    assert len(await nominal(one)) <= 2
    assert await one.count("occurrences") < 110
    counted = sum(int(note.split()[0]) if note else 1 for _, _, note in await ledger(one))
    assert counted == 30 * 24 * 60


async def test_a_clock_that_is_set_back_fires_nothing_twice(one):
    await one.deploy("report", {"hourly": HOURLY})
    await pass_hours(one, 2)
    one.clock.jump(-2 * 3600)
    await pass_hours(one, 2)
    assert await nominal(one) == [1, 2]
    await pass_hours(one, 1)
    assert await nominal(one) == [1, 2, 3]


async def test_an_edit_between_reading_and_writing_drops_the_fire(one):
    """The row that was read belongs to the old expression; the new one has its own next time."""
    await one.deploy("report", {"hourly": HOURLY})
    await one.clock.advance(3600)
    due = one.catalog.due

    async def due_then_edit(*args):
        rows = await due(*args)
        one.catalog.due = due
        text = {"version": 1, "name": "report", "jobs": {"w": {"uses": "noop"}},
                "triggers": {"hourly": {"type": "cron", "cron": "30 * * * *"}}}  # fmt: skip
        await one.deployments.deploy(LOCAL, "report", text)
        return rows

    one.catalog.due = due_then_edit
    await one.timer.tick()
    await one.settle()
    assert await nominal(one) == []
    assert await one.count("events") == 0
    await one.clock.advance(1800)
    await one.timer.tick()
    assert await nominal(one) == [1.5]


async def test_a_row_that_somebody_else_moved_on_is_left_alone(one, two):
    await one.deploy("report", {"hourly": HOURLY})
    await one.clock.advance(3600)
    due = one.catalog.due

    async def due_then_other(*args):
        rows = await due(*args)
        one.catalog.due = due
        await two.timer.tick()
        return rows

    one.catalog.due = due_then_other
    await one.timer.tick()
    assert await nominal(one) == [1]
    assert one.engine.started == []


async def test_a_paused_workflow_and_a_disabled_trigger_say_why_they_did_not_run(one):
    await one.deploy("report", {"hourly": HOURLY})
    await one.write("UPDATE trigger_index SET mode = 'disabled'")
    await pass_hours(one, 1)
    await one.write("UPDATE trigger_index SET mode = 'enabled'")
    await one.write("UPDATE workflows SET paused = 1")
    await pass_hours(one, 1)
    assert await nominal(one) == []
    assert [row[:2] for row in await ledger(one)] == [("skipped", "trigger_disabled"), ("skipped", "workflow_paused")]


async def test_broken_rows_are_parked_and_their_neighbours_fire(one):
    for number in range(3):
        await one.deploy(f"report{number}", {"hourly": HOURLY})
    broken = (await one.all("SELECT id FROM trigger_index ORDER BY id LIMIT 1"))[0][0]
    await one.write("UPDATE trigger_index SET trigger_config = :text WHERE id = :id", text='{"cron": 7}', id=broken)
    await pass_hours(one, 2)
    assert await nominal(one) == [1, 1, 2, 2]
    assert [row[0] for row in await one.all("SELECT id FROM quarantine")] == [broken]
    assert await one.all("SELECT next_fire_at FROM schedules WHERE trigger_id = :id", id=broken) == [(None,)]


async def test_a_row_that_the_store_refuses_is_parked_alone(one, monkeypatch):
    for number in range(3):
        await one.deploy(f"report{number}", {"hourly": HOURLY})
    poison = (await one.all("SELECT id FROM trigger_index ORDER BY id LIMIT 1"))[0][0]
    commit = one.store.commit

    async def refuse(batch):
        if any(advance.trigger_id == poison for advance in batch.advances):
            raise BadRequest("this cannot be stored")
        return await commit(batch)

    monkeypatch.setattr(one.store, "commit", refuse, raising=False)
    await pass_hours(one, 2)
    assert await nominal(one) == [1, 1, 2, 2]
    assert await one.all("SELECT id, detail FROM quarantine") == [(poison, "this cannot be stored")]


async def test_more_due_rows_than_one_portion(one, monkeypatch):
    monkeypatch.setattr(timers, "DUE_ROWS", 3)
    for number in range(10):
        await one.deploy(f"report{number}", {"hourly": HOURLY})
    await pass_hours(one, 2)
    assert await nominal(one) == [1] * 10 + [2] * 10


async def test_an_outage_delays_fires_and_loses_none(one):
    await one.deploy("report", {"hourly": HOURLY})
    await one.clock.advance(3600)
    one.store.fail = 1
    with pytest.raises(StoreUnavailable):
        await one.timer.tick()
    assert await nominal(one) == []
    await one.clock.advance(1)
    await one.timer.tick()
    assert await nominal(one) == [1]
    one.store.lose = 1
    await one.clock.advance(3599)
    with pytest.raises(StoreUnavailable):
        await one.timer.tick()
    await one.timer.tick()
    assert await nominal(one) == [1, 2]
    for _ in range(30):
        await one.clock.advance(1)
        await one.settle()
    assert len(one.engine.started) == len(set(one.engine.started)) == 2


async def test_the_loop_sleeps_until_the_next_time_and_hears_of_changes(one):
    loop = asyncio.create_task(one.timer.loop())
    await one.settle()
    await one.deploy("report", {"soon": {"type": "once", "run_at": to_iso(NOON + MINUTE_US)}})
    one.timer.wake()
    for _ in range(70):
        await one.clock.advance(1)
        await one.settle()
    assert await nominal(one) == [1 / 60]
    loop.cancel()


async def test_jitter_delays_the_fire_and_keeps_its_nominal_time(one):
    await one.deploy("report", {"hourly": {**HOURLY, "jitter": "10m"}})
    due = (await one.all("SELECT next_fire_at, next_nominal FROM schedules"))[0]
    assert NOON + HOUR_US == due[1] <= due[0] < due[1] + 10 * MINUTE_US
    await one.clock.advance((due[0] - NOON) / 1_000_000)
    await one.timer.tick()
    assert await nominal(one) == [1]

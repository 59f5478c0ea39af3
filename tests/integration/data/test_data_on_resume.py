"""`on_resume`: what runs of the times that passed during a pause, when nobody says otherwise, on both databases."""

import pytest

from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.time.clock import HOUR_US
from workflow_scheduler.services.pauses import Pauses
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
POLICIES = pytest.mark.parametrize(("policy", "hours"), [("none", []), ("latest", [3]), ("all", [1, 2, 3])])
PARTS = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")


def hourly(policy, **more):
    return {"type": "cron", "cron": "0 * * * *", "on_resume": policy, "catchup": "none", **more}


async def settle(house):
    while await house.timer.tick():
        pass


async def runs_of(house):
    rows = await house.store.read("SELECT scheduled_for FROM runs ORDER BY scheduled_for, id")
    return [(row[0] - NOON) / HOUR_US for row in rows]


async def sums(house, hours=6):
    schedule = await house.trigger_id("hourly")
    found = await house.schedules.occurrences(LOCAL, schedule, since=NOON, until=NOON + hours * HOUR_US)
    counted = found["sums"]
    assert counted["planned"] == sum(counted[part] for part in PARTS) == len(found["items"]) == hours - 1
    return counted


@POLICIES
async def test_a_schedule_that_is_resumed_without_a_word_does_what_its_definition_says(house, policy, hours):
    await house.deploy("report", hourly=hourly(policy))
    schedule = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule)
    await house.clock.advance(3.5 * 3600)
    resumed = await house.schedules.resume(LOCAL, schedule)
    await settle(house)
    assert await runs_of(house) == hours
    assert len(resumed["run_ids"]) == len(hours)
    counted = await sums(house)
    assert counted["fired"] == len(hours)
    assert counted["missed"] + counted["coalesced"] == 3 - len(hours)


@POLICIES
async def test_a_pause_that_runs_out_by_itself_does_what_the_definition_says(house, policy, hours):
    await house.deploy("report", hourly=hourly(policy))
    schedule = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule, until=NOON + 7 * HOUR_US // 2)
    await house.clock.advance(3.5 * 3600)
    await sums(house)
    await settle(house)
    assert await runs_of(house) == hours
    await house.clock.advance(1800)
    await settle(house)
    assert await runs_of(house) == [*hours, 4]
    counted = await sums(house)
    assert counted["missed"] + counted["coalesced"] == 3 - len(hours)


@POLICIES
@pytest.mark.parametrize("until", [None, NOON + 7 * HOUR_US // 2])
async def test_a_workflow_that_is_resumed_or_whose_pause_runs_out_asks_each_schedule(house, policy, hours, until):
    await house.deploy("report", hourly=hourly(policy))
    await house.workflows.pause(LOCAL, "report", until=until)
    await house.clock.advance(3.5 * 3600)
    if until is None:
        await house.workflows.resume(LOCAL, "report")
    else:
        await Pauses(house.store, house.clock, house.types).resume_expired()
    await house.cache.refresh()
    await settle(house)
    assert await runs_of(house) == hours
    counted = await sums(house)
    assert counted["missed"] + counted["coalesced"] == 3 - len(hours)
    rows = await house.store.read("SELECT reason FROM occurrences WHERE outcome = 'skipped'")
    assert {row[0] for row in rows} <= {"missed_paused"}


async def test_a_word_at_the_resumption_outranks_the_definition(house):
    await house.deploy("report", hourly=hourly("all"))
    await house.workflows.pause(LOCAL, "report")
    await house.clock.advance(3.5 * 3600)
    await house.workflows.resume(LOCAL, "report", missed="latest")
    await house.cache.refresh()
    await settle(house)
    assert await runs_of(house) == [3]


async def test_the_pause_of_a_schedule_outlasts_that_of_its_workflow(house):
    await house.deploy("report", hourly=hourly("all"))
    schedule = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule, reason="audit", until=NOON + 9 * HOUR_US // 2)
    await house.workflows.pause(LOCAL, "report")
    await house.clock.advance(2.5 * 3600)
    await house.workflows.resume(LOCAL, "report", missed="latest")
    await house.cache.refresh()
    await settle(house)
    assert await runs_of(house) == []
    shown = await house.schedules.show(LOCAL, schedule)
    assert (shown["paused"], shown["paused_reason"]) == (True, "audit")
    await house.clock.advance(2 * 3600)
    await settle(house)
    assert await runs_of(house) == [1, 2, 3, 4]


async def test_a_pause_with_an_end_that_begins_within_that_of_the_workflow_goes_on_after_it(house):
    await house.deploy("report", hourly=hourly("none"))
    schedule = await house.trigger_id("hourly")
    await house.workflows.pause(LOCAL, "report", reason="freeze")
    ann = Principal(tenant_id="local", user_id="ann")
    await house.schedules.pause(ann, schedule, reason="audit", until=NOON + 9 * HOUR_US // 2)
    await house.cache.refresh()
    await house.clock.advance(1.5 * 3600)
    await settle(house)
    assert await house.store.read("SELECT reason FROM occurrences") == []
    await house.workflows.resume(LOCAL, "report")
    await house.cache.refresh()
    shown = await house.schedules.show(LOCAL, schedule)
    assert (shown["paused"], shown["paused_by"], shown["paused_reason"]) == (True, "ann", "audit")
    await house.clock.advance(3.25 * 3600)
    await settle(house)
    assert await runs_of(house) == []
    assert (await sums(house))["reasons"]["missed"] == {"missed_paused": 4}
    await house.clock.advance(900)
    await settle(house)
    assert await runs_of(house) == [5]


async def test_who_paused_a_schedule_is_remembered_through_a_pause_of_its_workflow(house):
    await house.deploy("report", hourly=hourly("none"))
    schedule = await house.trigger_id("hourly")
    ann = Principal(tenant_id="local", user_id="ann")
    await house.schedules.pause(ann, schedule, reason="audit", until=NOON + 9 * HOUR_US // 2)
    await house.workflows.pause(LOCAL, "report")
    await house.workflows.resume(LOCAL, "report")
    assert (await house.schedules.show(LOCAL, schedule))["paused_by"] == "ann"


async def test_times_after_the_end_of_a_workflow_pause_that_was_seen_late_are_late_and_not_paused(house):
    await house.deploy("report", hourly=hourly("none"))
    await house.workflows.pause(LOCAL, "report", until=NOON + 5 * HOUR_US // 2)
    await house.clock.advance(4 * 3600)
    await Pauses(house.store, house.clock, house.types).resume_expired()
    await house.cache.refresh()
    await settle(house)
    assert await runs_of(house) == [4]
    counted = await sums(house)
    assert (counted["reasons"]["missed"], counted["fired"]) == ({"missed_paused": 2, "missed_down": 1}, 1)

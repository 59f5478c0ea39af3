"""Edits, undeployments and limits: nothing of the past fires, no slot is skipped, every time has its reason."""

import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.time.clock import HOUR_US
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
HOURLY = {"type": "cron", "cron": "0 * * * *"}
HALF = {"type": "cron", "cron": "30 * * * *"}


async def settle(house):
    await house.cache.refresh()
    while await house.timer.tick():
        pass


async def runs_of(house):
    rows = await house.store.read("SELECT scheduled_for FROM runs ORDER BY scheduled_for, id")
    return [(row[0] - NOON) / HOUR_US for row in rows]


async def told(house, hours, name="tick"):
    """Return (hour, outcome, reason) of every time of the first hours, and check that the sums say the same."""
    schedule = await house.trigger_id(name)
    found = await house.schedules.occurrences(LOCAL, schedule, since=NOON, until=NOON + hours * HOUR_US)
    parts = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
    assert found["sums"]["planned"] == sum(found["sums"][part] for part in parts) == len(found["items"])
    return [(one["utc"][11:16], one["outcome"], one["reason"]) for one in found["items"]]


async def test_an_edit_supersedes_the_next_time_of_the_old_rule(house):
    await house.deploy("report", tick=HOURLY)
    await house.clock.advance(3600)
    await settle(house)
    await house.deploy("report", tick=HALF)
    for _ in range(3):
        await house.clock.advance(1800)
        await settle(house)
    assert await runs_of(house) == [1, 1.5, 2.5]
    assert await told(house, 3) == [
        ("13:00", "run_started", "matched"), ("13:30", "run_started", "matched"), ("14:00", "skipped", "superseded"),
        ("14:30", "run_started", "matched"),
    ]  # fmt: skip


async def test_an_edit_that_is_taken_back_leaves_the_time_as_it_was(house):
    await house.deploy("report", tick=HOURLY)
    await house.deploy("report", tick=HALF)
    await house.deploy("report", tick=HOURLY)
    await house.clock.advance(3600)
    await settle(house)
    assert await runs_of(house) == [1]
    assert await told(house, 2) == [("12:30", "skipped", "superseded"), ("13:00", "run_started", "matched")]


async def test_an_edit_while_fires_are_overdue_fires_none_of_them(house):
    await house.deploy("report", tick=HOURLY)
    await house.clock.advance(2.25 * 3600)
    await house.deploy("report", tick=HALF)
    await settle(house)
    assert await runs_of(house) == []
    assert (await told(house, 3))[:3] == [
        ("13:00", "skipped", "superseded"), ("14:00", "skipped", "superseded"), ("14:30", "planned", None),
    ]  # fmt: skip


async def test_the_times_of_an_undeployed_stretch_say_so_during_it_and_after(house):
    await house.deploy("report", tick=HOURLY)
    await house.deployments.undeploy(LOCAL, "report")
    await house.clock.advance(2.5 * 3600)
    left_out = [("13:00", "skipped", "undeployed"), ("14:00", "skipped", "undeployed")]
    assert await told(house, 4) == left_out
    why = await house.explain.trigger(LOCAL, await house.trigger_id("tick"), NOON + HOUR_US)
    assert "not deployed" in why["summary"]
    await house.deployments.deploy(LOCAL, "report")
    await settle(house)
    assert await runs_of(house) == []
    assert await told(house, 4) == [*left_out, ("15:00", "planned", None)]
    await house.clock.advance(1800)
    await settle(house)
    assert await runs_of(house) == [3]


async def test_a_pause_and_its_end_do_not_arm_what_is_not_deployed(house):
    await house.deploy("report", tick=HOURLY)
    schedule = await house.trigger_id("tick")
    await house.deployments.undeploy(LOCAL, "report")
    await house.schedules.pause(LOCAL, schedule)
    await house.clock.advance(1.5 * 3600)
    await house.schedules.resume(LOCAL, schedule, missed="all")
    await house.workflows.pause(LOCAL, "report")
    await house.workflows.resume(LOCAL, "report", missed="all")
    await house.clock.advance(3600)
    await settle(house)
    assert await runs_of(house) == []


async def test_the_times_of_a_disabled_trigger_say_so(house):
    await house.deploy("report", tick=HOURLY)
    schedule = await house.trigger_id("tick")
    await house.triggers.set_mode(LOCAL, schedule, "disabled")
    for _ in range(2):
        await house.clock.advance(3600)
        await settle(house)
    await house.triggers.set_mode(LOCAL, schedule, "enabled")
    await house.clock.advance(3600)
    await settle(house)
    assert await runs_of(house) == [3]
    assert [line[1:] for line in await told(house, 3)] == [("skipped", "trigger_disabled")] * 2
    off = {"type": "cron", "cron": "0 * * * *", "enabled": False}
    await house.deploy("other", idle=off)
    await house.clock.advance(3600)
    await settle(house)
    assert ("16:00", "skipped", "trigger_disabled") in await told(house, 5, "idle")


@pytest.mark.parametrize("catchup", ["latest", "all"])
async def test_a_schedule_is_completed_with_the_last_of_its_fires(house, catchup):
    await house.deploy("report", tick={**HOURLY, "max_fires": 3, "catchup": catchup})
    schedule = await house.trigger_id("tick")
    await house.clock.advance(3600)
    await settle(house)
    await house.clock.advance(5 * 3600)
    await settle(house)
    await house.clock.advance(3600)
    await settle(house)
    started = await runs_of(house)
    assert started == ([1, 6, 7] if catchup == "latest" else [1, 2, 3])
    shown = await house.schedules.show(LOCAL, schedule)
    assert (shown["completed"], shown["fires"], shown["next_fire_at"]) == (True, 3, None)
    beyond = [hour for hour, _, reason in await told(house, 9) if reason == "max_fires"]
    assert beyond == ([] if catchup == "latest" else ["16:00", "17:00", "18:00"])
    await house.deploy("report", tick={**HOURLY, "max_fires": 4})
    await house.clock.advance(2 * 3600)
    await settle(house)
    assert len(await runs_of(house)) == 4


async def test_fires_that_start_no_run_are_not_counted(house):
    await house.deploy("report", tick={**HOURLY, "max_fires": 1, "condition": "event.data.latenessMs > 600000"})
    await house.clock.advance(3600)
    await settle(house)
    assert (await house.schedules.show(LOCAL, await house.trigger_id("tick")))["fires"] == 0
    await house.clock.advance(3600 + 1800)
    await settle(house)
    assert await runs_of(house) == [2]
    assert (await house.schedules.show(LOCAL, await house.trigger_id("tick")))["completed"]


async def test_a_version_saved_while_nothing_is_deployed_does_not_lose_the_undeployed_stretch(house):
    await house.deploy("report", tick=HOURLY)
    await house.deployments.undeploy(LOCAL, "report")
    await house.clock.advance(2.25 * 3600)
    text = {"version": 1, "name": "report", "triggers": {"tick": HALF}, "jobs": {"work": {"uses": "noop"}}}
    await house.workflows.update(LOCAL, "report", text)
    left_out = [("13:00", "skipped", "undeployed"), ("14:00", "skipped", "undeployed")]
    assert await told(house, 4) == left_out
    await house.deployments.deploy(LOCAL, "report")
    await settle(house)
    assert (await told(house, 4))[:3] == [*left_out, ("14:30", "planned", None)]
    await house.clock.advance(1800)
    await settle(house)
    assert await runs_of(house) == [2.5]


async def test_what_comes_ends_where_max_fires_is_reached(house):
    body = {**HOURLY, "max_fires": 3, "skip": ["2027-01-05T14:00:00"]}
    await house.deploy("report", tick=body)
    await house.clock.advance(3600)
    await settle(house)
    expected = [
        ("13:00", "run_started", "matched"), ("14:00", "skipped", "skipped_by_hand"), ("15:00", "planned", None),
        ("16:00", "planned", None),
    ]  # fmt: skip
    assert await told(house, 9) == expected
    schedule = await house.trigger_id("tick")
    later = await house.schedules.occurrences(LOCAL, schedule, since=NOON + 4 * HOUR_US, until=NOON + 9 * HOUR_US)
    assert [one["utc"][11:16] for one in later["items"]] == ["16:00"]
    why = await house.explain.trigger(LOCAL, schedule, NOON + 5 * HOUR_US)
    assert (why["outcome"], why["reason"]) == ("not_scheduled", "max_fires")
    found = await house.schedules.preview({"cron": "0 * * * *", "max_fires": 2, "skip": body["skip"]}, LOCAL)
    assert [one["utc"][11:13] for one in found["fires"]] == ["14", "15", "16"]


def ended():
    yield Sql("UPDATE runs SET status = 'SUCCEEDED', ended_at = 1 WHERE tenant_id = :tenant", {"tenant": "local"})


@pytest.mark.parametrize("catchup", ["latest", "all"])
async def test_a_fire_that_overlap_skips_does_not_use_up_one_of_max_fires(house, catchup):
    await house.deploy("report", tick={**HOURLY, "max_fires": 2, "overlap": "skip", "catchup": catchup})
    for _ in range(2):
        await house.clock.advance(3600)
        await settle(house)
    shown = await house.schedules.show(LOCAL, await house.trigger_id("tick"))
    assert (shown["fires"], shown["completed"]) == (1, False)
    await house.store.transact(ended())
    await house.clock.advance(3600)
    await settle(house)
    shown = await house.schedules.show(LOCAL, await house.trigger_id("tick"))
    assert (shown["fires"], shown["completed"], shown["next_fire_at"]) == (2, True, None)
    assert await runs_of(house) == [1, 3]
    assert [reason for _, _, reason in await told(house, 9)] == ["matched", "overlap_skipped", "matched"]

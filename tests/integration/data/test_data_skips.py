"""Skipping one time to come and taking it back, honoured by the timer, on both databases."""

import pytest

from workflow_scheduler.core.errors import Conflict, NotFound, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.time.clock import HOUR_US, MINUTE_US
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
HOURLY = {"type": "cron", "cron": "0 * * * *"}
STRANGER = Principal(tenant_id="other", user_id="eve")


async def settle(house):
    while await house.timer.tick():
        pass


async def runs_of(house):
    rows = await house.store.read("SELECT scheduled_for FROM runs ORDER BY scheduled_for")
    return [(row[0] - NOON) // HOUR_US for row in rows]


@pytest.fixture
async def hourly(house):
    await house.deploy("report", hourly=HOURLY)
    return await house.trigger_id("hourly")


async def fates(house, schedule_id, hours=5):
    found = await house.schedules.occurrences(LOCAL, schedule_id, since=NOON, until=NOON + hours * HOUR_US)
    sums = found["sums"]
    assert sums["planned"] == sum(
        sums[name] for name in ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
    )
    return [(item["outcome"], item["reason"]) for item in found["items"]], sums


async def test_a_skipped_time_does_not_run_and_is_recorded(house, hourly):
    at = NOON + 2 * HOUR_US
    assert await house.schedules.skips.skip(LOCAL, hourly, at) == at
    assert (await house.schedules.show(LOCAL, hourly))["skips"] == ["2027-01-05T14:00:00Z"]
    planned, sums = await fates(house, hourly, 4)
    assert planned == [("planned", None), ("skipped", "skipped_by_hand"), ("planned", None)]
    assert (sums["skipped"], sums["upcoming"]) == (1, 2)
    for _ in range(3):
        await house.clock.advance(3600)
        await settle(house)
    assert await runs_of(house) == [1, 3]
    settled, sums = await fates(house, hourly, 4)
    assert [outcome for outcome, _ in settled] == ["run_started", "skipped", "run_started"]
    assert (sums["fired"], sums["skipped"], sums["reasons"]["skipped"]) == (2, 1, {"skipped_by_hand": 1})
    said = await house.explain.trigger(LOCAL, hourly, at=at)
    assert (said["outcome"], said["reason"]) == ("skipped", "skipped_by_hand")
    assert "somebody skipped" in said["summary"]


async def test_the_next_time_is_skipped_by_default_and_taken_back(house, hourly):
    skips = house.schedules.skips
    assert await skips.skip(LOCAL, hourly) == NOON + HOUR_US
    assert await skips.skip(LOCAL, hourly) == NOON + 2 * HOUR_US
    assert await skips.skip(LOCAL, hourly, NOON + 2 * HOUR_US + 59 * 1_000_000) == NOON + 2 * HOUR_US
    assert "somebody skipped" in (await house.explain.trigger(LOCAL, hourly, at=NOON + HOUR_US))["summary"]
    assert await skips.unskip(LOCAL, hourly, NOON + HOUR_US) == NOON + HOUR_US
    await house.clock.advance(3600)
    await settle(house)
    await house.clock.advance(3600)
    await settle(house)
    assert await runs_of(house) == [1]


async def test_a_deployment_does_not_undo_a_skip(house, hourly):
    await house.schedules.skips.skip(LOCAL, hourly, NOON + HOUR_US)
    await house.deploy("report", hourly={**HOURLY, "catchup": "all"}, other={"type": "manual"})
    await house.clock.advance(3600)
    await settle(house)
    assert await runs_of(house) == []


async def test_skips_hold_after_downtime_and_after_a_pause(house, hourly):
    await house.deploy("report", hourly={**HOURLY, "catchup": "all"})
    await house.schedules.skips.skip(LOCAL, hourly, NOON + 2 * HOUR_US)
    await house.schedules.skips.skip(LOCAL, hourly, NOON + 4 * HOUR_US)
    await house.clock.advance(3.5 * 3600)
    await settle(house)
    assert await runs_of(house) == [1, 3]
    await house.schedules.pause(LOCAL, hourly)
    await house.clock.advance(2 * 3600)
    await house.schedules.resume(LOCAL, hourly, missed="all")
    assert await runs_of(house) == [1, 3, 5]
    settled, _ = await fates(house, hourly, 5)
    assert [outcome for outcome, _ in settled] == ["run_started", "skipped", "run_started", "skipped"]


async def test_a_fire_that_was_read_before_the_skip_is_read_again(house, hourly):
    await house.clock.advance(3600)
    rows = await house.catalog.due(house.clock.now(), 10)
    await house.store.transact(_skip_now(hourly, NOON + HOUR_US))
    entry = house.timer._submit(rows, house.cache.epoch)
    await house.timer._written(entry, rows)
    assert await runs_of(house) == []
    await settle(house)
    assert await runs_of(house) == []


def _skip_now(schedule_id, nominal):
    yield Sql(
        "UPDATE schedules SET skips = :skips, revision = revision + 1 WHERE trigger_id = :id",
        {"skips": f"[{nominal}]", "id": schedule_id},
    )


async def test_what_cannot_be_skipped_is_refused(house, hourly):
    skips = house.schedules.skips
    with pytest.raises(ValidationFailed, match="not a time"):
        await skips.skip(LOCAL, hourly, NOON + 90 * MINUTE_US)
    with pytest.raises(ValidationFailed, match="has passed"):
        await skips.skip(LOCAL, hourly, NOON - HOUR_US)
    with pytest.raises(ValidationFailed, match="is not skipped"):
        await skips.unskip(LOCAL, hourly, NOON + HOUR_US)
    with pytest.raises(NotFound):
        await skips.skip(STRANGER, hourly)
    once = {"workflow": "report", "name": "once", "run_at": "2027-01-05T12:30:00Z"}
    made = await house.schedules.create(LOCAL, once)
    await house.clock.advance(3600)
    await settle(house)
    with pytest.raises(Conflict, match="completed"):
        await skips.skip(LOCAL, made["id"])


async def test_a_definition_may_name_the_times_as_well(house):
    await house.deploy("report", hourly={**HOURLY, "skip": ["2027-01-05T13:00:00"]})
    planned, sums = await fates(house, await house.trigger_id("hourly"), 2)
    assert (planned, sums["skipped"]) == ([("skipped", "skipped_by_hand")], 1)
    await house.clock.advance(3600)
    await settle(house)
    assert await runs_of(house) == []
    settled, _ = await fates(house, await house.trigger_id("hourly"), 2)
    assert settled == [("skipped", "skipped_by_hand")]


async def test_skips_that_cannot_be_read_stop_nobody_else(house, hourly):
    await house.deploy("other", other=HOURLY)
    await house.store.transact(_broken(hourly))
    await house.clock.advance(3600)
    await settle(house)
    assert await runs_of(house) == [1]


def _broken(schedule_id):
    yield Sql("UPDATE schedules SET skips = 'x' WHERE trigger_id = :id", {"id": schedule_id})


async def test_a_skipped_time_of_a_long_downtime_keeps_its_reason(house):
    await house.deploy("report", minutely={"type": "cron", "cron": "* * * * *", "catchup": "none"})
    schedule_id = await house.trigger_id("minutely")
    await house.schedules.skips.skip(LOCAL, schedule_id, NOON + 10 * MINUTE_US)
    await house.clock.advance(86_400)
    await settle(house)
    _, sums = await fates(house, schedule_id, 24)
    assert (sums["skipped"], sums["fired"]) == (1, 1)
    assert sums["reasons"] == {"skipped": {"skipped_by_hand": 1}, "missed": {"missed_down": 1437}}

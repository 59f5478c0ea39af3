"""The ledger: every nominal time of a range has one fate, and the sums say so, on both databases."""

import pytest

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, MINUTE_US, from_iso
from workflow_scheduler.stores.portable.occurrences import OccurrenceRepository
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
HOURLY = {"type": "cron", "cron": "0 * * * *"}
MINUTELY = {"type": "cron", "cron": "* * * * *"}
PARTS = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")


async def ledger(house, name, since=NOON, until=NOON + DAY_US, **more):
    schedule_id = await house.trigger_id(name)
    return await house.schedules.occurrences(LOCAL, schedule_id, since=since, until=until, **more)


async def every_item(house, name, since=NOON, until=NOON + DAY_US, limit=100):
    place, items = None, []
    while True:
        page = await ledger(house, name, since, until, place=place, limit=limit)
        items += page["items"]
        if page["next"] is None:
            return items, page["sums"]
        place = from_iso(page["next"])


async def settle(house):
    """Tick until nothing is due: a tick that meets an index on the move leaves its rows to the next one."""
    while await house.timer.tick():
        pass


def balanced(sums):
    return sums["planned"] == sum(sums[part] for part in PARTS)


async def test_fired_and_upcoming_times_add_up(house):
    await house.deploy("report", hourly=HOURLY)
    await house.clock.advance(3600)
    await settle(house)
    found = await ledger(house, "hourly")
    assert (found["sums"]["fired"], found["sums"]["upcoming"], found["sums"]["planned"]) == (1, 22, 23)
    assert balanced(found["sums"])
    assert found["items"][0]["run_id"]


@pytest.mark.parametrize(
    ("catchup", "expected"),
    [
        ("none", {"fired": 0, "missed": 12, "coalesced": 0}),
        ("latest", {"fired": 1, "missed": 0, "coalesced": 11}),
        ("all", {"fired": 12, "missed": 0, "coalesced": 0}),
    ],
)
async def test_downtime_is_booked_by_its_policy(house, catchup, expected):
    await house.deploy("report", hourly={**HOURLY, "catchup": catchup})
    await house.clock.advance(12.5 * 3600)
    await settle(house)
    sums = (await ledger(house, "hourly"))["sums"]
    assert {name: sums[name] for name in expected} == expected
    assert (sums["planned"], sums["upcoming"]) == (23, 11)
    if catchup == "none":
        assert sums["reasons"]["missed"] == {"missed_down": 12}


async def test_a_long_downtime_is_expanded_and_paged(house):
    await house.deploy("report", often=MINUTELY)
    await house.clock.advance(10 * 3600 + 30)
    await settle(house)
    items, sums = await every_item(house, "often", until=NOON + 12 * HOUR_US, limit=77)
    assert [from_iso(item["utc"]) for item in items] == [NOON + n * MINUTE_US for n in range(1, 720)]
    assert (sums["planned"], sums["fired"], sums["coalesced"], sums["upcoming"]) == (719, 1, 599, 119)
    assert all(item["nominal_local"] == item["utc"][:19] for item in items)
    inner, part = await every_item(house, "often", since=NOON + 2 * HOUR_US, until=NOON + 3 * HOUR_US)
    assert len(inner) == part["planned"] == part["coalesced"] == 60


async def test_a_stretch_of_another_rule_stays_one_item_with_its_count(house):
    await house.deploy("report", often=MINUTELY)
    await house.clock.advance(10 * 3600)
    await settle(house)
    await house.deploy("report", often=HOURLY)
    items, sums = await every_item(house, "often", until=NOON + 10 * HOUR_US)
    counted = [item for item in items if item.get("count", 1) > 1]
    assert len(counted) == 1
    assert counted[0]["count"] + len(items) - 1 == 599
    assert sums["planned"] == 599


async def test_times_within_a_pause_are_missed_while_it_lasts_and_after(house):
    await house.deploy("report", hourly=HOURLY)
    schedule_id = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule_id, reason="stocktaking")
    await house.clock.advance(2.5 * 3600)
    during = await ledger(house, "hourly", until=NOON + 5 * HOUR_US)
    assert [(item["outcome"], item["reason"]) for item in during["items"]] == [
        ("skipped", "missed_paused"), ("skipped", "missed_paused"),
        ("planned", "missed_paused"), ("planned", "missed_paused"),
    ]  # fmt: skip
    assert (during["sums"]["missed"], during["sums"]["upcoming"]) == (2, 2)
    await house.schedules.resume(LOCAL, schedule_id)
    after = await ledger(house, "hourly", until=NOON + 5 * HOUR_US)
    assert (after["sums"]["missed"], after["sums"]["upcoming"], after["sums"]["planned"]) == (2, 2, 4)
    assert after["sums"]["reasons"]["missed"] == {"missed_paused": 2}


async def test_a_pause_with_an_end_is_in_the_books(house):
    await house.deploy("report", hourly=HOURLY)
    schedule_id = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule_id, until=NOON + 3 * HOUR_US)
    begun = (await ledger(house, "hourly", until=NOON + 5 * HOUR_US))["items"]
    assert [(item["outcome"], item["reason"]) for item in begun] == [
        ("planned", "missed_paused"), ("planned", "missed_paused"), ("planned", None), ("planned", None),
    ]  # fmt: skip
    await house.clock.advance(3 * 3600)
    await settle(house)
    found = await ledger(house, "hourly", until=NOON + 5 * HOUR_US)
    assert [(item["utc"][11:13], item["outcome"]) for item in found["items"]] == [
        ("13", "skipped"), ("14", "skipped"), ("15", "run_started"), ("16", "planned"),
    ]  # fmt: skip
    assert balanced(found["sums"])
    assert (found["sums"]["missed"], found["sums"]["fired"], found["sums"]["upcoming"]) == (2, 1, 1)


async def test_what_is_due_but_not_settled_is_pending(house):
    await house.deploy("report", hourly=HOURLY)
    await house.clock.advance(3600)
    found = await ledger(house, "hourly", until=NOON + 3 * HOUR_US)
    assert [item["outcome"] for item in found["items"]] == ["pending", "planned"]
    assert (found["sums"]["pending"], found["sums"]["upcoming"]) == (1, 1)


async def test_records_of_an_older_rule_stay_and_explain_finds_them(house):
    await house.deploy("report", hourly=HOURLY)
    await house.clock.advance(3600)
    await settle(house)
    await house.deploy("report", hourly={"type": "cron", "cron": "30 * * * *"})
    found = await ledger(house, "hourly", until=NOON + 3 * HOUR_US)
    assert [(item["utc"][11:16], item["outcome"]) for item in found["items"]] == [
        ("13:00", "run_started"), ("13:30", "planned"), ("14:00", "skipped"), ("14:30", "planned"),
    ]  # fmt: skip
    said = await house.explain.trigger(LOCAL, await house.trigger_id("hourly"), at=NOON + HOUR_US)
    assert (said["outcome"], said["run_id"]) == ("run_started", found["items"][0]["run_id"])


async def test_explain_and_the_ledger_agree_on_every_time(house):
    await house.deploy("report", hourly={**HOURLY, "timezone": "America/New_York"})
    schedule_id = await house.trigger_id("hourly")
    await house.clock.advance(5.5 * 3600)
    await settle(house)
    await house.schedules.pause(LOCAL, schedule_id)
    await house.clock.advance(2 * 3600)
    items, sums = await every_item(house, "hourly", until=NOON + 10 * HOUR_US)
    assert len(items) == sums["planned"] == 9
    for item in items:
        said = await house.explain.trigger(LOCAL, schedule_id, at=from_iso(item["utc"]))
        assert (said["outcome"], said["run_id"]) == (item["outcome"], item["run_id"])


async def test_the_range_is_bounded(house):
    await house.deploy("report", hourly=HOURLY)
    for since, until in ((NOON, NOON), (NOON, NOON - 1), (NOON, NOON + 4_000 * DAY_US)):
        with pytest.raises(ValidationFailed):
            await ledger(house, "hourly", since, until)


async def test_a_note_about_a_clock_change_is_no_stretch(house):
    await house.deploy("report", night={"type": "cron", "cron": "30 2 * * *", "timezone": "America/New_York"})
    schedule_id = await house.trigger_id("night")
    found = await ledger(house, "night", from_iso("2027-03-13T12:00:00Z"), from_iso("2027-03-15T00:00:00Z"))
    assert "does not exist" in found["items"][0]["note"]
    assert found["sums"]["upcoming"] == 1
    assert await OccurrenceRepository(house.store).stretches(LOCAL.tenant_id, schedule_id, 0, NOON, NOON) == []


async def test_times_that_ran_before_the_clock_was_set_back_are_counted_once(house):
    await house.deploy("report", hourly=HOURLY)
    for _ in range(5):
        await house.clock.advance(3600)
        await settle(house)
    house.clock.jump(-4 * 3600)
    await house.deploy("report", hourly={**HOURLY, "catchup": "none"})
    sums = (await ledger(house, "hourly"))["sums"]
    assert (sums["planned"], sums["fired"], sums["upcoming"]) == (23, 5, 18)
    for _ in range(5):
        await house.clock.advance(3600)
        await settle(house)
    sums = (await ledger(house, "hourly"))["sums"]
    assert (sums["planned"], sums["fired"], sums["upcoming"]) == (23, 6, 17)
    assert len(await house.store.read("SELECT id FROM runs")) == 6


async def test_what_an_earlier_resumption_ran_says_nothing_of_the_next_pause(house):
    await house.deploy("report", hourly=HOURLY)
    schedule_id = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule_id)
    await house.clock.advance(2.5 * 3600)
    await house.schedules.resume(LOCAL, schedule_id, missed="all")
    await house.schedules.pause(LOCAL, schedule_id)
    await house.clock.advance(3600)
    sums = (await ledger(house, "hourly"))["sums"]
    assert (sums["fired"], sums["missed"], sums["pending"]) == (2, 1, 0)

"""Blackout windows are shown wherever times to come are shown, and keep their reason in what is settled later."""

import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.time.clock import HOUR_US
from workflow_scheduler.services.backfill_rule import BackfillRequest
from workflow_scheduler.services.blackouts import Blackouts
from workflow_scheduler.stores.portable.quarantine import QuarantineRepository
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
HOURLY = {"type": "cron", "cron": "0 * * * *"}
FREEZE = {"from": "2027-01-05T12:30:00Z", "to": "2027-01-05T15:30:00Z"}
PARTS = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")


@pytest.fixture
def windows(house):
    return Blackouts(house.store, house.clock, house.types)


async def pass_hours(house, hours):
    """Let time go by in half hours, and the timer look at each."""
    await house.cache.refresh()
    for _ in range(int(hours * 2)):
        await house.clock.advance(1800)
        while await house.timer.tick():
            pass


async def ledger(house, hours=5):
    schedule = await house.trigger_id("hourly")
    found = await house.schedules.occurrences(LOCAL, schedule, since=NOON, until=NOON + hours * HOUR_US)
    assert found["sums"]["planned"] == sum(found["sums"][part] for part in PARTS) == len(found["items"])
    return found


SHOWN = {
    "skip": ("skipped", "blackout", "blackout freeze"),
    "defer": ("planned", "blackout", "blackout freeze (defer)"),
}


@pytest.mark.parametrize("mode", ["skip", "defer"])
async def test_previews_plans_explanations_and_the_ledger_agree_on_a_time_in_a_window(house, windows, mode):
    await house.deploy("report", hourly=HOURLY)
    await windows.create(LOCAL, "freeze", {"mode": mode, "workflows": ["rep*"], **FREEZE})
    outcome, reason, note = SHOWN[mode]
    found = await house.schedules.preview({"cron": "0 * * * *", "workflow": "report", "count": 4}, LOCAL)
    assert [one.get("reason") for one in found["fires"]] == ["blackout"] * 3 + [None]
    assert (found["fires"][0]["outcome"], found["fires"][0]["note"]) == (outcome, note)
    text = {"version": 1, "name": "report", "triggers": {"hourly": {**HOURLY, "jitter": "5s"}},
            "jobs": {"work": {"uses": "noop"}}}  # fmt: skip
    plan = await house.deployments.plan(LOCAL, text)
    fires = plan["triggers"]["changed"][0]["next_fires"]
    assert [one.get("reason") for one in fires] == ["blackout"] * 3 + [None] * 2
    assert (fires[0]["outcome"], fires[0]["note"]) == (outcome, note)
    item = (await ledger(house))["items"][0]
    assert (item["outcome"], item["reason"], item["note"]) == (outcome, reason, note)
    why = await house.explain.trigger(LOCAL, await house.trigger_id("hourly"), NOON + HOUR_US)
    assert (why["outcome"], why["reason"]) == (outcome, reason)
    assert note in why["summary"]


async def test_a_preview_without_a_workflow_shows_only_the_windows_of_all(house, windows):
    await windows.create(LOCAL, "freeze", {"mode": "skip", "workflows": ["etl-*"], **FREEZE})
    await windows.create(LOCAL, "dinner", {"mode": "skip", "cron": "30 16 * * *", "duration": "1h"})
    for named, hours in (({}, [17]), ({"workflow": "etl-orders"}, [13, 14, 15, 17])):
        found = await house.schedules.preview({"cron": "0 * * * *", "count": 6, **named}, LOCAL)
        assert [int(one["utc"][11:13]) for one in found["fires"] if one.get("outcome")] == hours


@pytest.mark.parametrize(
    ("window", "catchup", "expected"),
    [
        ({"mode": "skip"}, "latest", {16: 1}),
        ({"mode": "defer"}, "latest", {15: 1, 16: 1}),
        ({"mode": "defer"}, "all", {15: 3, 16: 1}),
        ({"mode": "defer"}, "none", {16: 1}),
    ],
)
async def test_the_forecast_counts_what_really_starts(house, windows, window, catchup, expected):
    await house.deploy("report", hourly={**HOURLY, "catchup": catchup})
    await windows.create(LOCAL, "freeze", {**window, **FREEZE})
    found = await house.schedules.forecast.ahead(LOCAL, hours=4)
    assert {int(one["start"][11:13]): one["fires"] for one in found["items"] if one["fires"]} == expected
    assert found["total"] == sum(expected.values())
    await pass_hours(house, 4)
    assert await house.store.read("SELECT count(*) FROM runs") == [(found["total"],)]


async def test_a_backfill_leaves_the_times_of_a_window_out(house, windows):
    await windows.create(
        LOCAL, "freeze", {"mode": "skip", "from": "2027-01-05T03:30:00Z", "to": "2027-01-05T05:30:00Z"}
    )
    await house.deploy("report", hourly=HOURLY)
    wanted = {"workflow": "report", "since": NOON - 10 * HOUR_US, "until": NOON}
    planned = await house.backfills.plan(LOCAL, BackfillRequest(**wanted))
    assert (planned["planned"], planned["to_run"], planned["reasons"]["left_out"]) == (10, 8, {"blackout": 2})
    assert [one["note"] for one in planned["items"] if not one["runs"]] == ["blackout freeze"] * 2
    again = await house.backfills.plan(LOCAL, BackfillRequest(**wanted, ignore_skips=True))
    assert again["to_run"] == 10


@pytest.mark.parametrize("pauses", ["workflow", "schedule"])
async def test_times_in_a_window_inside_a_pause_keep_the_reason_of_the_window(house, windows, pauses):
    await house.deploy("report", hourly=HOURLY)
    await windows.create(LOCAL, "freeze", {"mode": "skip", "from": FREEZE["from"], "to": "2027-01-05T13:30:00Z"})
    who = await house.trigger_id("hourly")
    service, name = (house.workflows, "report") if pauses == "workflow" else (house.schedules, who)
    await service.pause(LOCAL, name)
    await pass_hours(house, 2.5)
    expected = [("skipped", "blackout"), ("skipped", "missed_paused"), ("planned", None), ("planned", None)]
    during = [(one["outcome"], one["reason"]) for one in (await ledger(house))["items"]]
    assert during[:2] == expected[:2]
    await service.resume(LOCAL, name)
    assert [(one["outcome"], one["reason"]) for one in (await ledger(house))["items"]] == expected


async def test_what_waits_for_a_window_inside_a_pause_does_not_run_when_the_pause_ends(house, windows):
    await house.deploy("report", hourly=HOURLY)
    await windows.create(LOCAL, "freeze", {"mode": "defer", **FREEZE})
    schedule = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule)
    await pass_hours(house, 4.5)
    await house.schedules.resume(LOCAL, schedule)
    await pass_hours(house, 0)
    assert await house.store.read("SELECT count(*) FROM runs") == [(0,)]
    assert (await ledger(house))["sums"]["reasons"]["missed"] == {"missed_paused": 4}


async def test_a_stored_window_that_cannot_be_read_is_listed_and_holds_nothing_back(house, windows):
    await house.deploy("report", hourly=HOURLY)
    await windows.create(LOCAL, "freeze", {"mode": "skip", **FREEZE})

    def harm():
        yield Sql("UPDATE blackouts SET definition = '{\"cron\": \"61 * * * *\"}' WHERE tenant_id = 'local'")
        yield Sql("UPDATE index_epoch SET epoch = epoch + 1")

    await house.store.transact(harm())
    await pass_hours(house, 1)
    assert await house.store.read("SELECT count(*) FROM runs") == [(1,)]
    listed = (await QuarantineRepository(house.store).list("local")).items
    assert [(one.kind, one.id) for one in listed] == [("blackouts", "freeze")]
    assert "holds nothing back" in listed[0].detail
    (shown,) = (await windows.page(LOCAL)).items
    assert (shown["name"], shown["mode"], shown["error"]["code"]) == ("freeze", None, "malformed")
    await windows.replace(LOCAL, "freeze", FREEZE, shown["revision"])
    assert (await QuarantineRepository(house.store).list("local")).items == []

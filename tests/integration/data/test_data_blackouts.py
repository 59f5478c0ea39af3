"""Blackout windows: nothing starts within one, each time has its fate and says why, on both databases."""

import pytest

from workflow_scheduler.core.errors import Conflict, NotFound, PreconditionFailed, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.time.clock import HOUR_US
from workflow_scheduler.services.blackouts import Blackouts
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="other", user_id="eve")
HOURLY = {"type": "cron", "cron": "0 * * * *"}
ONCE = {"from": "2027-01-05T12:30:00Z", "to": "2027-01-05T15:30:00Z"}
DAILY = {"cron": "30 12 * * *", "duration": "3h"}


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


async def runs_of(house):
    rows = await house.store.read("SELECT scheduled_for, created_at FROM runs ORDER BY scheduled_for, id")
    return [((row[0] - NOON) / HOUR_US, (row[1] - NOON) / HOUR_US) for row in rows]


async def told(house, hours=5):
    schedule = await house.trigger_id("hourly")
    found = await house.schedules.occurrences(LOCAL, schedule, since=NOON, until=NOON + hours * HOUR_US)
    parts = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
    assert found["sums"]["planned"] == sum(found["sums"][part] for part in parts) == len(found["items"])
    return [(one["outcome"], one["reason"], one["note"]) for one in found["items"]]


@pytest.mark.parametrize("form", [ONCE, DAILY])
async def test_times_in_a_window_that_skips_are_left_out_with_its_name(house, windows, form):
    await house.deploy("report", hourly=HOURLY)
    await windows.create(LOCAL, "freeze", {"mode": "skip", **form})
    assert (await told(house))[0] == ("skipped", "blackout", "blackout freeze")
    await pass_hours(house, 4)
    assert await runs_of(house) == [(4, 4)]
    assert await told(house) == [("skipped", "blackout", "blackout freeze")] * 3 + [("run_started", "matched", None)]
    why = await house.explain.trigger(LOCAL, await house.trigger_id("hourly"), NOON + HOUR_US)
    assert "blackout window" in why["summary"]


@pytest.mark.parametrize("form", [ONCE, DAILY])
@pytest.mark.parametrize(
    ("catchup", "started"), [("none", []), ("latest", [(3, 3.5)]), ("all", [(1, 3.5), (2, 3.5), (3, 3.5)])]
)
async def test_times_in_a_window_that_defers_wait_for_its_end(house, windows, form, catchup, started):
    await house.deploy("report", hourly={**HOURLY, "catchup": catchup})
    await windows.create(LOCAL, "freeze", {"mode": "defer", **form})
    await pass_hours(house, 3)
    assert await runs_of(house) == []
    await pass_hours(house, 1)
    assert await runs_of(house) == [*started, (4, 4)]
    reasons = [reason for _, reason, _ in await told(house)]
    expected = {"none": ["blackout"] * 3, "latest": ["coalesced"] * 2 + ["matched"], "all": ["matched"] * 3}
    assert reasons == [*expected[catchup], "matched"]


async def test_only_the_named_workflows_rest(house, windows):
    await house.deploy("etl-orders", hourly=HOURLY)
    await house.deploy("report", other=HOURLY)
    await windows.create(LOCAL, "freeze", {"mode": "skip", "workflows": ["etl-*"], **ONCE})
    await windows.create(STRANGER, "freeze", {"mode": "skip", **ONCE})
    await pass_hours(house, 1)
    rows = await house.store.read("SELECT workflow FROM runs")
    assert rows == [("report",)]


async def test_what_was_missed_before_a_window_does_not_start_within_it(house, windows):
    await house.deploy("report", hourly=HOURLY)
    await windows.create(
        LOCAL, "freeze", {"mode": "skip", "from": "2027-01-05T13:30:00Z", "to": "2027-01-05T16:30:00Z"}
    )
    await house.cache.refresh()
    await house.clock.advance(2 * 3600)
    await pass_hours(house, 2)
    assert await runs_of(house) == []
    await pass_hours(house, 1)
    assert [at for at, _ in await runs_of(house)] == [1, 5]
    assert [reason for _, reason, _ in await told(house)] == ["matched", "blackout", "blackout", "blackout"]


async def test_a_window_that_is_taken_away_lets_go_of_what_waits(house, windows):
    await house.deploy("report", hourly=HOURLY)
    await windows.create(LOCAL, "freeze", ONCE)
    await pass_hours(house, 1)
    assert await runs_of(house) == []
    await windows.delete(LOCAL, "freeze")
    await pass_hours(house, 0.5)
    assert [at for at, _ in await runs_of(house)] == [1]


async def test_windows_are_listed_changed_and_deleted_by_their_tenant(house, windows):
    made = await windows.create(LOCAL, "freeze", {**DAILY, "reason": "month end"})
    assert (made["mode"], made["workflows"], made["reason"], made["revision"]) == ("defer", ["*"], "month end", 1)
    assert (made["active"], made["next_start"]) == (False, "2027-01-05T12:30:00Z")
    with pytest.raises(Conflict):
        await windows.create(LOCAL, "freeze", DAILY)
    changed = await windows.replace(LOCAL, "freeze", {**ONCE, "mode": "skip"}, 1)
    assert (changed["mode"], changed["revision"], changed["cron"]) == ("skip", 2, None)
    with pytest.raises(PreconditionFailed):
        await windows.replace(LOCAL, "freeze", DAILY, 1)
    assert [one["name"] for one in (await windows.page(LOCAL)).items] == ["freeze"]
    for ask in (windows.show, windows.delete):
        with pytest.raises(NotFound):
            await ask(STRANGER, "freeze")
    await windows.delete(LOCAL, "freeze")
    assert (await windows.page(LOCAL)).items == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"from": "2027-01-05T12:30:00Z", "to": "2027-01-05T12:30:00Z"}, "to"),
        ({"from": "2027-01-05T12:30:00Z", "to": "2027-01-05T11:30:00Z"}, "to"),
        ({"cron": "0 22 * * *", "duration": "0s"}, "duration"),
        ({"cron": "0 22 * * *"}, "duration"),
        ({"cron": "0 0 22 * * *", "duration": "1h"}, "cron"),
        ({"cron": "0 0 31 2 *", "duration": "1h"}, "cron"),
        ({"rrule": "FREQ=NEVER", "dtstart": "2027-01-01T00:00:00", "duration": "1h"}, "rrule"),
        ({"from": "2027-01-05T12:30:00Z"}, "to"),
        ({"from": "yesterday", "to": "2027-01-05T12:30:00Z"}, "from"),
        ({**ONCE, "timezone": "Mars/Base"}, "timezone"),
        ({**ONCE, "mode": "sometimes"}, "mode"),
        ({**ONCE, "cron": "0 22 * * *"}, "cron"),
        ({}, "from"),
        ({**ONCE, "workflows": []}, "workflows"),
    ],
)
async def test_wrong_windows_are_refused_by_field(windows, body, field):
    with pytest.raises(ValidationFailed) as refusal:
        await windows.create(LOCAL, "freeze", body)
    assert [line.field for line in refusal.value.errors] == [field]
    assert (await windows.page(LOCAL)).items == []

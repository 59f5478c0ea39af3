import pytest

from workflow_scheduler.core.errors import Conflict, NotFound, PreconditionFailed, StoreUnavailable, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.time.clock import HOUR_US, from_iso
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="other", user_id="eve")
HOURLY = {"type": "cron", "cron": "0 * * * *"}


async def settle(house):
    """Tick until nothing is due: a tick that meets an index on the move leaves its rows to the next one."""
    while await house.timer.tick():
        pass


async def runs_of(house):
    rows = await house.store.read("SELECT scheduled_for FROM runs ORDER BY scheduled_for, id")
    return [row[0] for row in rows]


async def test_a_schedule_is_created_without_a_file(house):
    await house.deploy("report")
    made = await house.schedules.create(
        LOCAL,
        {
            "workflow": "report",
            "name": "nightly",
            "cron": "0 2 * * *",
            "timezone": "America/New_York",
            "input": {"a": 1},
        },
    )
    assert made["name"] == "nightly"
    assert made["type"] == "cron"
    assert made["cron"] == "0 2 * * *"
    assert made["timezone"] == "America/New_York"
    assert made["input"] == {"a": 1}
    assert made["next_fire_at"] == "2027-01-06T07:00:00Z"
    assert made["paused"] is False
    listed = await house.schedules.page(LOCAL, workflow="report")
    assert [item["id"] for item in listed.items] == [made["id"]]
    assert (await house.schedules.page(LOCAL, workflow="another")).items == []
    await house.clock.advance(24 * 3600)
    await settle(house)
    assert await runs_of(house) == [from_iso("2027-01-06T07:00:00Z")]
    rows = await house.store.read("SELECT input FROM runs")
    assert bytes(rows[0][0]) == b'{"a":1}'


async def test_intervals_and_one_time_schedules_as_well(house):
    await house.deploy("report")
    every = await house.schedules.create(LOCAL, {"workflow": "report", "name": "often", "every": "15m"})
    once = await house.schedules.create(
        LOCAL, {"workflow": "report", "name": "once", "run_at": "2027-02-01T09:00:00", "timezone": "Europe/Berlin"}
    )
    assert every["type"] == "interval"
    assert every["next_fire_at"] == "2027-01-05T12:15:00Z"
    rule = await house.schedules.create(
        LOCAL,
        {
            "workflow": "report",
            "name": "fridays",
            "rrule": "FREQ=MONTHLY;BYDAY=-1FR",
            "dtstart": "2027-01-01T17:00:00",
            "exdate": ["2027-01-29"],
            "timezone": "Europe/Berlin",
        },
    )
    assert (rule["type"], rule["rrule"]) == ("rrule", "FREQ=MONTHLY;BYDAY=-1FR")
    assert rule["next_fire_at"] == "2027-02-26T16:00:00Z"
    assert once["type"] == "once"
    assert once["next_fire_at"] == "2027-02-01T08:00:00Z"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x", "cron": "0 2 * * *"}, "workflow"),
        ({"workflow": "report", "cron": "0 2 * * *"}, "name"),
        ({"workflow": "report", "name": "x"}, "cron"),
        ({"workflow": "report", "name": "x", "cron": "0 2 * * *", "every": "1h"}, "cron"),
        ({"workflow": "report", "name": "x", "cron": "0 0 31 2 *"}, "cron"),
        ({"workflow": "report", "name": "x", "cron": "0 2 * * *", "timezone": "Mars/Base"}, "timezone"),
        ({"workflow": "report", "name": "x", "cron": "0 2 * * *", "timezon": "UTC"}, "timezon"),
        ({"workflow": "report", "name": "x", "run_at": "2020-01-01T00:00:00Z"}, "run_at"),
    ],
)
async def test_wrong_schedules_are_refused_by_field(house, body, field):
    await house.deploy("report")
    with pytest.raises(ValidationFailed) as refusal:
        await house.schedules.create(LOCAL, body)
    assert field in refusal.value.detail or field in {line.field for line in refusal.value.errors}


async def test_change_takes_effect_from_now_and_delete_ends_it(house):
    await house.deploy("report")
    made = await house.schedules.create(LOCAL, {"workflow": "report", "name": "nightly", "cron": "0 2 * * *"})
    changed = await house.schedules.update(LOCAL, made["id"], {"cron": "30 12 * * *"}, made["revision"])
    assert changed["id"] == made["id"]
    assert changed["next_fire_at"] == "2027-01-05T12:30:00Z"
    with pytest.raises(PreconditionFailed):
        await house.schedules.update(LOCAL, made["id"], {"cron": "0 3 * * *"}, made["revision"] + 77)
    await house.schedules.delete(LOCAL, made["id"])
    with pytest.raises(NotFound):
        await house.schedules.show(LOCAL, made["id"])
    await house.clock.advance(2 * 24 * 3600)
    await settle(house)
    assert await runs_of(house) == []


async def test_a_strangers_schedule_is_not_there(house):
    await house.deploy("report", nightly=HOURLY)
    schedule_id = await house.trigger_id("nightly")
    for ask in (house.schedules.show, house.schedules.pause, house.schedules.resume, house.schedules.trigger):
        with pytest.raises(NotFound):
            await ask(STRANGER, schedule_id)
    assert (await house.schedules.page(STRANGER)).items == []


async def test_a_paused_schedule_fires_nothing_and_resuming_fires_nothing_of_the_past(house):
    await house.deploy("report", hourly=HOURLY)
    schedule_id = await house.trigger_id("hourly")
    paused = await house.schedules.pause(LOCAL, schedule_id, reason="stocktaking")
    assert (paused["paused"], paused["paused_reason"], paused["paused_by"]) == (True, "stocktaking", "local")
    assert paused["next_fire_at"] is None
    await house.clock.advance(3.5 * 3600)
    assert await house.timer.tick() == 0
    resumed = await house.schedules.resume(LOCAL, schedule_id)
    assert resumed["paused"] is False
    assert resumed["run_ids"] == []
    assert resumed["next_fire_at"] == "2027-01-05T16:00:00Z"
    assert await runs_of(house) == []
    ledger = await house.schedules.occurrences(LOCAL, schedule_id, since=NOON, until=NOON + 4 * HOUR_US)
    assert [(item["utc"][11:16], item["outcome"], item["reason"]) for item in ledger["items"]] == [
        ("13:00", "skipped", "missed_paused"),
        ("14:00", "skipped", "missed_paused"),
        ("15:00", "skipped", "missed_paused"),
    ]
    await house.clock.advance(3600)
    await settle(house)
    assert await runs_of(house) == [NOON + 4 * HOUR_US]


@pytest.mark.parametrize(("missed", "hours"), [("latest", [3]), ("all", [1, 2, 3])])
async def test_resume_can_run_what_was_missed_exactly_once(house, missed, hours):
    await house.deploy("report", hourly={**HOURLY, "catchup": "none"})
    schedule_id = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule_id)
    await house.clock.advance(3.5 * 3600)
    resumed = await house.schedules.resume(LOCAL, schedule_id, missed=missed)
    assert len(resumed["run_ids"]) == len(hours)
    await house.schedules.resume(LOCAL, schedule_id, missed=missed)
    await settle(house)
    assert await runs_of(house) == [NOON + hour * HOUR_US for hour in hours]


async def test_a_crash_in_the_middle_of_a_resumption_doubles_nothing(house, monkeypatch):
    await house.deploy("report", hourly=HOURLY)
    schedule_id = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule_id)
    await house.clock.advance(2.5 * 3600)

    async def power_cut(batch):
        raise StoreUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(house.store, "commit", power_cut)
        with pytest.raises(StoreUnavailable):
            await house.schedules.resume(LOCAL, schedule_id, missed="all")
    assert await runs_of(house) == []
    await settle(house)
    assert await runs_of(house) == [NOON + HOUR_US, NOON + 2 * HOUR_US]
    again = await house.schedules.resume(LOCAL, schedule_id, missed="all")
    assert again["run_ids"] == []
    rows = await house.store.read("SELECT outcome, run_id IS NOT NULL FROM occurrences ORDER BY nominal")
    assert [(outcome, bool(has_run)) for outcome, has_run in rows] == [("run_started", True)] * 2


async def test_a_pause_with_an_end_goes_on_by_itself(house):
    await house.deploy("report", hourly=HOURLY)
    schedule_id = await house.trigger_id("hourly")
    paused = await house.schedules.pause(LOCAL, schedule_id, until=NOON + 5 * HOUR_US // 2)
    assert paused["paused"] is True
    assert paused["paused_until"] == "2027-01-05T14:30:00Z"
    assert paused["next_fire_at"] == "2027-01-05T15:00:00Z"
    await house.clock.advance(2.6 * 3600)
    assert await house.timer.tick() == 0
    assert (await house.schedules.show(LOCAL, schedule_id))["paused"] is False
    await house.clock.advance(3600)
    await settle(house)
    assert await runs_of(house) == [NOON + 3 * HOUR_US]


async def test_a_pause_with_an_end_can_be_ended_sooner(house):
    await house.deploy("report", hourly=HOURLY)
    schedule_id = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule_id, until=NOON + 24 * HOUR_US)
    await house.clock.advance(1.5 * 3600)
    resumed = await house.schedules.resume(LOCAL, schedule_id, missed="latest")
    assert resumed["next_fire_at"] == "2027-01-05T14:00:00Z"
    assert await runs_of(house) == [NOON + HOUR_US]


async def test_a_change_during_a_pause_with_an_end_does_not_end_it(house):
    await house.deploy("report", hourly=HOURLY)
    schedule_id = await house.trigger_id("hourly")
    await house.schedules.pause(LOCAL, schedule_id, until=NOON + 5 * HOUR_US // 2)
    changed = await house.schedules.update(LOCAL, schedule_id, {"cron": "30 * * * *"})
    assert changed["paused"] is True
    assert changed["next_fire_at"] == "2027-01-05T14:30:00Z"


async def test_a_one_time_schedule_is_late_not_lost_when_paused_over_its_time(house):
    await house.deploy("report", once={"type": "once", "run_at": "2027-01-05T13:00:00Z"})
    schedule_id = await house.trigger_id("once")
    await house.schedules.pause(LOCAL, schedule_id, until=NOON + 2 * HOUR_US)
    await house.clock.advance(3 * 3600)
    await settle(house)
    assert await runs_of(house) == [NOON + HOUR_US]
    assert (await house.schedules.show(LOCAL, schedule_id))["completed"] is True
    with pytest.raises(Conflict, match="completed"):
        await house.schedules.pause(LOCAL, schedule_id)


async def test_a_pause_cannot_end_in_the_past(house):
    await house.deploy("report", hourly=HOURLY)
    with pytest.raises(ValidationFailed, match="has passed"):
        await house.schedules.pause(LOCAL, await house.trigger_id("hourly"), until=NOON - 1)


async def test_trigger_now_runs_beside_the_times_with_another_input(house):
    await house.deploy("report", hourly={**HOURLY, "input": {"full": True}})
    schedule_id = await house.trigger_id("hourly")
    own = await house.schedules.trigger(LOCAL, schedule_id)
    other = await house.schedules.trigger(LOCAL, schedule_id, given={"full": False}, key="once-please")
    again = await house.schedules.trigger(LOCAL, schedule_id, given={"full": False}, key="once-please")
    assert again["run_id"] == other["run_id"] != own["run_id"]
    with pytest.raises(ValidationFailed, match="another input"):
        await house.schedules.trigger(LOCAL, schedule_id, given={"full": 3}, key="once-please")
    rows = await house.store.read("SELECT input FROM runs ORDER BY id")
    assert [bytes(row[0]) for row in rows] == [b'{"full":true}', b'{"full":false}']
    why = await house.explain.run(LOCAL, own["run_id"])
    assert why["summary"].startswith("Started by hand by local through *hourly*")
    await house.clock.advance(3600)
    await settle(house)
    assert [at for at in await runs_of(house) if at] == [NOON + HOUR_US]


async def test_occurrences_hold_the_past_and_the_plan(house):
    await house.deploy("report", hourly=HOURLY)
    schedule_id = await house.trigger_id("hourly")
    await house.clock.advance(3600)
    await settle(house)
    ledger = await house.schedules.occurrences(LOCAL, schedule_id, since=NOON, until=NOON + 4 * HOUR_US)
    assert [(item["nominal_local"], item["outcome"]) for item in ledger["items"]] == [
        ("2027-01-05T13:00:00", "run_started"),
        ("2027-01-05T14:00:00", "planned"),
        ("2027-01-05T15:00:00", "planned"),
    ]
    assert ledger["items"][0]["run_id"]
    assert ledger["items"][0]["timezone"] == "UTC"
    part = await house.schedules.occurrences(LOCAL, schedule_id, since=NOON, until=NOON + 4 * HOUR_US, limit=2)
    assert part["next"] == "2027-01-05T15:00:00Z"
    assert len(part["items"]) == 2
    with pytest.raises(ValidationFailed):
        await house.schedules.occurrences(LOCAL, schedule_id, since=NOON, until=NOON)


async def test_a_schedule_whose_stored_configuration_is_broken_is_listed_with_an_error(house):
    await house.deploy("report", hourly=HOURLY, nightly={"type": "cron", "cron": "0 2 * * *"})
    broken = await house.trigger_id("hourly")

    def spoil():
        yield Sql("UPDATE trigger_index SET trigger_config = 'nonsense' WHERE id = :id", {"id": broken})

    await house.store.transact(spoil())
    items = {item["id"]: item for item in (await house.schedules.page(LOCAL)).items}
    assert len(items) == 2
    assert items[broken]["error"]["code"] == "malformed"


async def test_preview_notes_the_clock_change(house):
    found = await house.schedules.preview(
        {"cron": "30 2 * * *", "timezone": "America/New_York", "from": "2027-03-13T00:00:00Z", "count": 3}
    )
    assert [(fire["utc"], fire["local"]) for fire in found["fires"]] == [
        ("2027-03-13T07:30:00Z", "2027-03-13T02:30:00"),
        ("2027-03-14T07:00:00Z", "2027-03-14T03:00:00"),
        ("2027-03-15T06:30:00Z", "2027-03-15T02:30:00"),
    ]
    assert found["fires"][0]["note"] is None
    assert "does not exist" in found["fires"][1]["note"]


@pytest.mark.parametrize(
    "body",
    [
        {"cron": "nonsense"},
        {"cron": "* * * * *", "count": 0},
        {"cron": "* * * * *", "count": True},
        {},
        {"cron": "* * * * *", "from": "yesterday"},
        {"cron": "* * * * *", "timezone": 7},
    ],
)
async def test_wrong_previews_are_refused(house, body):
    with pytest.raises(ValidationFailed):
        await house.schedules.preview(body)


async def test_what_fires_next_comes_first_and_what_is_paused_is_left_out(house):
    await house.deploy("report", later={"type": "cron", "cron": "0 20 * * *"}, soon=HOURLY)
    await house.deploy("other", first={"type": "interval", "every": "5m"}, hand={"type": "manual"})
    coming = (await house.schedules.coming(LOCAL, 10)).items
    assert [one["name"] for one in coming] == ["first", "soon", "later"]
    assert [one["name"] for one in (await house.schedules.coming(LOCAL, 1)).items] == ["first"]
    await house.schedules.pause(LOCAL, coming[0]["id"])
    assert [one["name"] for one in (await house.schedules.coming(LOCAL, 10)).items] == ["soon", "later"]
    assert (await house.schedules.coming(STRANGER, 10)).items == []

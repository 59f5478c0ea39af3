"""Calendars on both databases: what they leave out and move, what an edit changes, and who may see them."""

import pytest

from workflow_scheduler.core.errors import Conflict, NotFound, PreconditionFailed, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.time.clock import from_iso, to_iso
from workflow_scheduler.services import calendars as services
from workflow_scheduler.services.calendars import Calendars
from workflow_scheduler.services.pauses import Pauses
from workflow_scheduler.stores.portable import calendars as stored
from workflow_scheduler.stores.portable.calendar_book import CalendarBook
from workflow_scheduler.stores.portable.claims import quarantine
from workflow_scheduler.stores.portable.quarantine import QuarantineRepository
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="other", user_id="eve")
NINE = {"type": "cron", "cron": "0 9 * * *"}
MOVING = {**NINE, "calendars": {"exclude": ["closed"], "only": ["working-days"], "shift": "next_business_day"}}


async def settle(house):
    while await house.timer.tick():
        pass


async def at(house, text):
    await house.clock.advance((from_iso(text) - house.clock.now()) / 1e6)
    await settle(house)


async def runs_of(house):
    rows = await house.store.read("SELECT scheduled_for FROM runs ORDER BY scheduled_for")
    return [to_iso(row[0])[5:16] for row in rows]


async def ledger(house, trigger, since, until):
    found = await house.schedules.occurrences(LOCAL, trigger, since=from_iso(since), until=from_iso(until))
    sums = found["sums"]
    parts = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
    assert sums["planned"] == sum(sums[name] for name in parts)
    assert sums["planned"] == len(found["items"])
    return found


@pytest.fixture
async def week(house):
    """Tuesday 2027-01-05, noon; the Thursday and the Friday are closed."""
    await house.calendars.create(LOCAL, {"name": "working-days", "weekend": ["SAT", "SUN"]})
    await house.calendars.create(LOCAL, {"name": "closed", "dates": ["2027-01-07 Stocktaking", "2027-01-08"]})
    return house


async def test_excluded_times_are_planned_recorded_with_their_reason_and_start_nothing(week):
    await week.deploy("report", nine={**NINE, "calendars": {"exclude": ["closed"]}})
    trigger = await week.trigger_id("nine")
    before = await ledger(week, trigger, "2027-01-06T00:00:00", "2027-01-10T00:00:00")
    assert [item["outcome"] for item in before["items"]] == ["planned", "skipped", "skipped", "planned"]
    assert before["items"][1]["note"] == "Stocktaking (closed v1)"
    assert before["sums"]["reasons"]["skipped"] == {"calendar": 2}
    for day in range(6, 10):
        await at(week, f"2027-01-{day:02}T09:00:00")
    assert await runs_of(week) == ["01-06T09:00", "01-09T09:00"]
    after = await ledger(week, trigger, "2027-01-06T00:00:00", "2027-01-10T00:00:00")
    assert [(item["outcome"], item["note"]) for item in after["items"]] == [
        ("run_started", None),
        ("skipped", "Stocktaking (closed v1)"),
        ("skipped", "2027-01-08 (closed v1)"),
        ("run_started", None),
    ]
    said = await week.explain.trigger(LOCAL, trigger, at=from_iso("2027-01-07T09:00:00"))
    assert (said["outcome"], said["reason"]) == ("skipped", "calendar")
    assert "Stocktaking (closed v1)" in said["summary"]


async def test_moved_times_run_on_the_next_free_day_once_and_say_where_from(week):
    await week.deploy("report", nine=MOVING)
    trigger = await week.trigger_id("nine")
    for day in range(6, 13):
        await at(week, f"2027-01-{day:02}T09:00:00")
    assert await runs_of(week) == ["01-06T09:00", "01-11T09:00", "01-12T09:00"]
    found = await ledger(week, trigger, "2027-01-06T00:00:00", "2027-01-13T00:00:00")
    assert [item["outcome"] for item in found["items"]] == ["run_started"] * 3
    assert found["items"][1]["note"].startswith("also moved from 2027-01-07: Stocktaking (closed v1); moved from")
    said = await week.explain.trigger(LOCAL, trigger, at=from_iso("2027-01-08T09:00:00"))
    assert "moves to 2027-01-11 09:00 UTC" in said["summary"]
    said = await week.explain.trigger(LOCAL, trigger, at=from_iso("2027-01-11T09:00:00"))
    assert "moved from 2027-01-07" in said["summary"]


async def test_an_edit_takes_effect_from_now_and_fires_nothing_of_the_past(week):
    await week.deploy("report", moving=MOVING, left={**NINE, "calendars": {"exclude": ["closed"]}})
    due = "SELECT t.name, s.next_nominal FROM schedules s JOIN trigger_index t ON t.id = s.trigger_id ORDER BY 1"
    await at(week, "2027-01-06T10:00:00")
    assert [to_iso(row[1])[:10] for row in await week.store.read(due)] == ["2027-01-07", "2027-01-11"]
    shown = await week.calendars.update(LOCAL, "closed", {"dates": ["2027-01-11"]})
    assert shown["version"] == 2
    assert [to_iso(row[1])[:10] for row in await week.store.read(due)] == ["2027-01-07", "2027-01-07"]
    for day in range(7, 13):
        await at(week, f"2027-01-{day:02}T09:00:00")
    assert await runs_of(week) == [
        "01-06T09:00", "01-06T09:00", "01-07T09:00", "01-07T09:00", "01-08T09:00", "01-08T09:00", "01-09T09:00",
        "01-10T09:00", "01-12T09:00", "01-12T09:00",
    ]  # fmt: skip
    notes = await week.store.read("SELECT note FROM occurrences WHERE reason = 'calendar'")
    assert [row[0] for row in notes] == ["2027-01-11 (closed v2)"]


async def test_a_calendar_that_is_edited_between_reading_and_writing_decides_again(week):
    await week.deploy("report", nine={**NINE, "calendars": {"exclude": ["closed"]}})
    await week.clock.advance((from_iso("2027-01-07T09:00:00") - week.clock.now()) / 1e6)
    epoch = week.cache.epoch
    rows = await week.catalog.due(week.clock.now(), 10)
    await week.timer._read_calendars(rows, week.clock.now(), epoch)
    await week.calendars.update(LOCAL, "closed", {"dates": ["2027-01-08"]})
    week.cache.epoch = epoch
    await week.timer._written(week.timer._submit(rows, epoch), rows)
    assert await runs_of(week) == []
    await settle(week)
    assert await runs_of(week) == ["01-07T09:00"]
    assert await week.store.read("SELECT note FROM occurrences WHERE reason = 'calendar'") == []


async def test_an_edit_that_was_cut_off_is_finished_by_whoever_comes_next(week, monkeypatch):
    monkeypatch.setattr(services, "PORTION", 3)
    await week.deploy("report", **{f"t{number}": MOVING for number in range(10)})
    await at(week, "2027-01-06T10:00:00")

    async def crash(self):
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(Calendars, "carry_on", crash)
        with pytest.raises(RuntimeError):
            await week.calendars.update(LOCAL, "closed", {"dates": ["2027-01-11"]})
    due = "SELECT next_nominal, COUNT(*) FROM schedules GROUP BY next_nominal ORDER BY 1"
    seventh, eleventh = from_iso("2027-01-07T09:00:00"), from_iso("2027-01-11T09:00:00")
    assert await week.store.read(due) == [(seventh, 3), (eleventh, 7)]
    heir = Calendars(week.store, week.clock, week.types, lambda: None)
    assert await heir.carry_on() == 4
    assert await week.store.read(due) == [(seventh, 10)]
    assert await week.store.read("SELECT * FROM calendar_moves") == []
    assert await heir.carry_on() == 0


async def test_editing_a_member_moves_what_follows_the_calendars_made_from_it(week):
    await week.calendars.create(LOCAL, {"name": "company", "union": ["closed"]})
    await week.deploy("report", nine={**NINE, "calendars": {"exclude": ["company"], "shift": "next_business_day"}})
    await at(week, "2027-01-06T10:00:00")
    due = "SELECT next_nominal FROM schedules"
    assert await week.store.read(due) == [(from_iso("2027-01-09T09:00:00"),)]
    await week.calendars.update(LOCAL, "closed", {"dates": ["2027-01-08 Party"]})
    assert await week.store.read(due) == [(from_iso("2027-01-07T09:00:00"),)]
    trigger = await week.trigger_id("nine")
    found = await ledger(week, trigger, "2027-01-09T00:00:00", "2027-01-10T00:00:00")
    assert found["items"][0]["note"] == "also moved from 2027-01-08: Party (closed v2, in company v1)"


async def test_after_downtime_and_after_a_pause_left_out_times_keep_their_reason(week):
    hourly = {"type": "cron", "cron": "0 * * * *", "calendars": {"only": ["working-days"]}, "catchup": "none"}
    await week.deploy("report", hourly=hourly)
    trigger = await week.trigger_id("hourly")
    await at(week, "2027-01-11T12:30:00")
    found = (await week.schedules.occurrences(
        LOCAL, trigger, since=NOON + 1, until=from_iso("2027-01-12T00:00:00"), limit=500
    ))["sums"]  # fmt: skip
    assert found["reasons"]["skipped"] == {"calendar": 48}
    assert found["reasons"]["missed"] == {"missed_down": 6 * 24 - 48}
    pauses = Pauses(week.store, week.clock, week.types)
    await pauses.pause(LOCAL, "report")
    await week.clock.advance(7 * 86_400)
    await pauses.resume(LOCAL, "report")
    found = (await week.schedules.occurrences(
        LOCAL, trigger, since=from_iso("2027-01-11T12:30:00"), until=from_iso("2027-01-18T12:30:00"), limit=500
    ))["sums"]  # fmt: skip
    assert found["reasons"] == {"skipped": {"calendar": 48}, "missed": {"missed_paused": 7 * 24 - 48}}


async def test_a_calendar_in_use_is_not_deleted_and_the_users_are_named(week):
    await week.calendars.create(LOCAL, {"name": "company", "union": ["closed"]})
    await week.deploy("report", nine={**NINE, "calendars": {"exclude": ["closed"]}})
    with pytest.raises(Conflict, match="trigger `nine` of `report`, calendar `company`"):
        await week.calendars.delete(LOCAL, "closed")
    assert (await week.calendars.show(LOCAL, "closed"))["used_by"] == [{"workflow": "report", "trigger": "nine"}]
    await week.calendars.delete(LOCAL, "company")
    await week.deployments.undeploy(LOCAL, "report")
    await week.calendars.delete(LOCAL, "closed")
    with pytest.raises(ValidationFailed, match="there is no calendar `closed`"):
        await week.deployments.deploy(LOCAL, "report")
    again = await week.calendars.create(LOCAL, {"name": "closed", "dates": ["2027-02-01"]})
    assert again["version"] == 2


async def test_triggers_that_name_no_calendar_of_the_tenant_are_refused_at_deploy(week):
    await week.calendars.create(STRANGER, {"name": "theirs", "dates": ["2027-02-01"]})
    with pytest.raises(ValidationFailed) as refused:
        await week.deploy("report", nine={**NINE, "calendars": {"exclude": ["theirs"]}})
    assert refused.value.errors[0].field == "triggers.nine.calendars"
    plan = await week.deployments.plan(
        LOCAL,
        {"version": 1, "name": "two", "triggers": {"n": {**NINE, "calendars": {"only": ["closd"]}}},
         "jobs": {"work": {"uses": "noop"}}},
    )  # fmt: skip
    assert "did you mean `closed`" in plan["problems"][0]["message"]


async def test_a_stranger_sees_and_changes_nothing(week):
    assert (await week.calendars.page(STRANGER)).items == []
    for call in (
        week.calendars.show(STRANGER, "closed"),
        week.calendars.update(STRANGER, "closed", {"dates": ["2027-01-01"]}),
        week.calendars.delete(STRANGER, "closed"),
        week.calendars.versions(STRANGER, "closed"),
        week.calendar_dates.dates(STRANGER, "closed", (None, None)),
    ):
        with pytest.raises(NotFound, match="there is no calendar `closed`"):
            await call
    await week.calendars.create(STRANGER, {"name": "closed", "country": "DE", "subdivision": "BY"})
    assert (await week.calendars.show(LOCAL, "closed"))["holds"] == "2 dates"


async def test_versions_stay_and_can_be_compared(week):
    await week.calendars.update(LOCAL, "closed", {"dates": ["2027-01-08 Party", "2027-01-11"]}, if_match=1)
    with pytest.raises(PreconditionFailed):
        await week.calendars.update(LOCAL, "closed", {"dates": ["2027-01-11"]}, if_match=1)
    page = await week.calendars.versions(LOCAL, "closed", limit=1)
    assert [item["version"] for item in page.items] == [2]
    assert page.next == "2"
    diff = await week.calendar_dates.diff(LOCAL, "closed", (None, None), (None, None))
    assert ([one["date"] for one in diff["added"]], [one["date"] for one in diff["removed"]]) == (
        ["2027-01-11"],
        ["2027-01-07"],
    )
    assert [(one["was"], one["name"]) for one in diff["renamed"]] == [("2027-01-08", "Party")]
    first = await week.calendar_dates.dates(LOCAL, "closed", ("2027-01-01", "2027-01-31"), version=1)
    assert [(item["date"], item["source"]) for item in first["items"]] == [
        ("2027-01-07", "closed v1"),
        ("2027-01-08", "closed v1"),
    ]
    unchanged = await week.calendars.update(LOCAL, "closed", {"dates": ["2027-01-08 Party", "2027-01-11"]})
    assert unchanged["version"] == 2


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({"name": "x y", "country": "DE"}, "name", "no name of a calendar"),
        ({"name": "x"}, "dates", "is empty"),
        ({"name": "x", "country": "XX"}, "country", "no holidays are known"),
        ({"name": "x", "country": "de"}, "country", "did you mean `DE`"),
        ({"name": "x", "country": "DE", "subdivision": "BX"}, "subdivision", "known are"),
        ({"name": "x", "dates": ["2027-02-30"]}, "dates.0", "no date"),
        ({"name": "x", "dates": [{"date": "2027-02-01", "until": "2026-02-01"}]}, "dates.0", "until"),
        ({"name": "x", "weekdays": ["SUNDY"]}, "weekdays.0", "did you mean"),
        ({"name": "x", "union": ["closde"]}, "union", "did you mean `closed`"),
        ({"name": "x", "ics": "BEGIN:VEVENT"}, "ics", "line 1"),
        ({"name": "x", "date": []}, "date", "dates"),
    ],
)
async def test_wrong_calendars_are_refused_by_field(week, body, field, text):
    with pytest.raises(ValidationFailed) as refused:
        await week.calendars.create(LOCAL, body)
    assert refused.value.errors[0].field.startswith(field)
    assert text in refused.value.errors[0].message


async def test_calendars_do_not_go_in_circles(week):
    await week.calendars.create(LOCAL, {"name": "a", "union": ["closed"]})
    await week.calendars.create(LOCAL, {"name": "b", "union": ["a"]})
    with pytest.raises(ValidationFailed, match="circle"):
        await week.calendars.update(LOCAL, "closed", {"dates": ["2027-01-07"], "except": ["b"]})


async def test_the_forecast_the_preview_and_the_plan_know_the_calendars(week):
    await week.deploy("report", nine=MOVING, left={**NINE, "calendars": {"exclude": ["closed"]}})
    found = await week.schedules.forecast.ahead(LOCAL, hours=7 * 24)
    assert found["total"] == 3 + 5
    fires = (await week.schedules.preview(
        {"cron": "0 9 * * *", "count": 3, "calendars": {"exclude": ["closed"]}}, LOCAL
    ))["fires"]  # fmt: skip
    assert [(fire.get("outcome"), fire["note"]) for fire in fires] == [
        (None, None), ("skipped", "Stocktaking (closed v1)"), ("skipped", "2027-01-08 (closed v1)"),
    ]  # fmt: skip
    with pytest.raises(ValidationFailed, match="there is no calendar `closed`"):
        await week.schedules.preview({"cron": "0 9 * * *", "calendars": {"exclude": ["closed"]}}, STRANGER)
    plan = await week.deployments.plan(
        LOCAL,
        {"version": 1, "name": "two", "triggers": {"n": {**NINE, "calendars": {"exclude": ["closed"]}}},
         "jobs": {"work": {"uses": "noop"}}},
    )  # fmt: skip
    assert [one.get("reason") for one in plan["triggers"]["added"][0]["next_fires"]] == [
        None, "calendar", "calendar", None, None,
    ]  # fmt: skip


async def test_the_next_skip_by_hand_passes_over_what_a_calendar_leaves_out(week):
    await week.deploy("report", nine={**NINE, "calendars": {"exclude": ["closed"]}})
    trigger = await week.trigger_id("nine")
    await at(week, "2027-01-06T10:00:00")
    assert await week.schedules.skips.skip(LOCAL, trigger) == from_iso("2027-01-09T09:00:00")


async def test_an_ics_upload_keeps_the_other_parts(week):
    text = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20270113\nSUMMARY:Fair\nEND:VEVENT\nEND:VCALENDAR\n"
    shown = await week.calendars.put_ics(LOCAL, "closed", text)
    assert (shown["version"], shown["holds"]) == (2, "2 dates; an iCalendar file")
    with pytest.raises(NotFound):
        await week.calendars.put_ics(LOCAL, "fairs", text)
    found = await week.calendar_dates.dates(LOCAL, "closed", ("2027-01-08", "2027-12-31"))
    assert [(item["date"], item["name"]) for item in found["items"]] == [
        ("2027-01-08", "2027-01-08"), ("2027-01-13", "Fair"),
    ]  # fmt: skip


async def test_the_timer_reads_a_tenant_s_calendars_once_for_an_epoch(week, monkeypatch):
    await week.deploy("report", nine={"type": "cron", "cron": "* * * * *", "calendars": {"exclude": ["closed"]}})
    reads = []
    read = stored.CalendarRepository.index

    async def counted(self, tenant_id):
        reads.append(tenant_id)
        return await read(self, tenant_id)

    monkeypatch.setattr(stored.CalendarRepository, "index", counted)
    for _ in range(20):
        await week.clock.advance(60)
        await settle(week)
    assert len(await runs_of(week)) == 20
    # On PostgreSQL the word of the deployment's epoch may come after the first fire: read twice then, not twenty times.
    assert 1 <= len(reads) <= 2


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE calendar_versions SET spec = 'no json' WHERE name = 'closed'", "JSON"),
        ("UPDATE calendar_versions SET spec = '{\"dates\": 5}' WHERE name = 'closed'", "dates"),
        ("UPDATE calendars SET members = '[]' WHERE name = 'closed'", "members"),
        ("DELETE FROM calendar_versions WHERE name = 'closed'", "missing"),
    ],
)
async def test_a_calendar_that_cannot_be_read_stops_only_those_that_follow_it(week, statement, words):
    closed, free = {**NINE, "calendars": {"exclude": ["closed"]}}, {**NINE, "calendars": {"only": ["working-days"]}}
    await week.calendars.create(LOCAL, {"name": "both", "union": ["closed"]})
    await week.deploy("report", follows=closed, through={**NINE, "calendars": {"exclude": ["both"]}}, free=free)

    def spoil():
        yield Sql(statement, {})

    await week.store.transact(spoil())
    CalendarBook._books.pop(week.store)  # as after a restart: what was read before is forgotten
    week.timer._calendars = CalendarBook.of(week.store)
    await at(week, "2027-01-06T09:00:00")
    assert await runs_of(week) == ["01-06T09:00"]
    listed = await week.store.read("SELECT kind, id, detail FROM quarantine ORDER BY detail")
    assert {row[1] for row in listed} == {await week.trigger_id("follows"), await week.trigger_id("through")}
    assert all(row[0] == "schedules" and "cannot be read" in row[2] and words in row[2] for row in listed)
    assert (await week.calendars.show(LOCAL, "closed"))["name"] == "closed"
    assert len((await week.calendars.page(LOCAL)).items) == 3
    repaired = await week.calendars.update(LOCAL, "closed", {"dates": ["2027-01-07"]})
    assert repaired["holds"] == "1 dates"
    assert await week.store.read("SELECT id FROM quarantine") == []
    await settle(week)
    assert await runs_of(week) == ["01-06T09:00"] * 3
    await at(week, "2027-01-07T09:00:00")
    await at(week, "2027-01-08T09:00:00")
    assert await runs_of(week) == ["01-06T09:00"] * 3 + ["01-07T09:00"] + ["01-08T09:00"] * 3


async def test_a_released_schedule_goes_on_from_where_it_was_found(week):
    await week.deploy("report", nine={**NINE, "catchup": "all", "catchup_window": "7d"})
    trigger = await week.trigger_id("nine")
    await week.store.transact(quarantine("local", "schedules", trigger, "it cannot be read", week.clock.now()))
    await at(week, "2027-01-07T09:30:00")
    assert await runs_of(week) == []
    assert await QuarantineRepository(week.store).release("local", "schedules", trigger)
    await settle(week)
    assert await runs_of(week) == ["01-06T09:00", "01-07T09:00"]
    assert not await QuarantineRepository(week.store).release("local", "schedules", trigger)


async def test_schedules_that_are_written_alike_follow_each_the_calendars_of_their_own_tenant(week):
    nine = {**NINE, "calendars": {"exclude": ["closed"]}}
    await week.calendars.create(STRANGER, {"name": "closed", "dates": ["2027-01-06"]})
    await week.deploy("report", nine=nine, other=nine)
    text = {"version": 1, "name": "strange", "triggers": {"theirs": nine}, "jobs": {"work": {"uses": "noop"}}}
    await week.deployments.deploy(STRANGER, "strange", text)
    await week.cache.refresh()
    for day in (6, 7, 9):
        await at(week, f"2027-01-{day:02}T09:00:00")
    rows = await week.store.read("SELECT workflow, scheduled_for FROM runs ORDER BY workflow, scheduled_for")
    assert [(name, to_iso(when)[8:10]) for name, when in rows] == [
        ("report", "06"), ("report", "06"), ("report", "09"), ("report", "09"), ("strange", "07"), ("strange", "09"),
    ]  # fmt: skip

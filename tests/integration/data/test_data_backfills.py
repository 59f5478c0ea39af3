"""Backfills on both stores: what is planned, what runs, and that each time runs exactly once."""

import msgspec
import pytest

from workflow_scheduler.core.errors import Conflict, NotFound, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, from_iso, to_iso
from workflow_scheduler.services.backfill_rule import BackfillRequest
from workflow_scheduler.stores.portable.runs import RunFilter
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="other", user_id="eve")
HOURLY = {"type": "cron", "cron": "0 * * * *"}
SINCE, UNTIL = NOON - 10 * HOUR_US, NOON


def asked(**given):
    return BackfillRequest(**{"workflow": "report", "since": SINCE, "until": UNTIL, **given})


async def finish(house, status="SUCCEEDED", limit=100):
    """End every open run."""
    await house.store.transact(_end(status, house.clock.now(), limit))


def _end(status, now, limit):
    rows = yield Sql("SELECT id FROM runs WHERE status = 'QUEUED' ORDER BY id LIMIT :n", {"n": limit})
    for (run_id,) in rows:
        yield Sql(
            "UPDATE runs SET status = :status, ended_at = :now WHERE id = :id",
            {"status": status, "now": now, "id": run_id},
        )


async def carry_out(house, backfill_id, status="SUCCEEDED"):
    """Tick and end runs until the backfill has ended."""
    for _ in range(200):
        await house.backfilling.tick()
        await finish(house, status)
        shown = await house.backfills.show(LOCAL, backfill_id)
        if shown["status"] in {"completed", "cancelled"}:
            return shown
    raise AssertionError(shown)


async def nominals(house):
    rows = await house.store.read("SELECT scheduled_for FROM runs WHERE scheduled_for IS NOT NULL ORDER BY id")
    return [row[0] for row in rows]


async def settle(house):
    while await house.timer.tick():
        pass


async def test_a_dry_run_counts_and_lists_and_starts_nothing(house):
    await house.deploy("report", hourly=HOURLY)
    plan = await house.backfills.plan(LOCAL, asked(), limit=3)
    assert (plan["planned"], plan["to_run"], plan["left_out"]) == (10, 10, 0)
    assert plan["reasons"] == {"run": {"never_planned": 10}, "left_out": {}}
    assert [item["utc"] for item in plan["items"]] == [to_iso(SINCE + hour * HOUR_US) for hour in range(3)]
    rest = await house.backfills.plan(LOCAL, asked(), limit=100, position=plan["next"])
    assert len(rest["items"]) == 7
    assert rest["next"] is None
    back = await house.backfills.plan(LOCAL, asked(order="reverse"), limit=3)
    assert [item["utc"] for item in back["items"]] == [to_iso(UNTIL - hour * HOUR_US) for hour in (1, 2, 3)]
    assert await nominals(house) == []
    assert (await house.backfills.page(LOCAL)).items == []


@pytest.mark.parametrize("order", ["forward", "reverse"])
async def test_every_time_runs_once_in_order_and_never_more_than_max_active_at_once(house, order):
    await house.deploy("report", hourly=HOURLY)
    made = await house.backfills.create(LOCAL, asked(order=order, max_active=3))
    assert (made["status"], made["planned"]) == ("running", 10)
    await house.backfilling.tick()
    await house.backfilling.tick()
    assert len(await nominals(house)) == 3
    shown = await house.backfills.show(LOCAL, made["id"])
    assert (shown["started"], shown["active"], shown["remaining"]) == (3, 3, 7)
    done = await carry_out(house, made["id"])
    assert (done["succeeded"], done["failed"], done["skipped"], done["remaining"]) == (10, 0, 0, 0)
    assert done["progress"] == 1.0
    wanted = [SINCE + hour * HOUR_US for hour in range(10)]
    assert await nominals(house) == (wanted if order == "forward" else wanted[::-1])


async def test_a_run_has_the_clock_payload_and_says_which_backfill_made_it(house):
    await house.deploy("report", hourly=HOURLY)
    made = await house.backfills.create(LOCAL, asked(since=UNTIL - HOUR_US))
    await house.backfilling.tick()
    run_id = (await house.store.read("SELECT id FROM runs"))[0][0]
    run = await house.runs.show(LOCAL, run_id)
    payload = run["input"]
    assert payload["scheduledFor"] == to_iso(UNTIL - HOUR_US)
    assert payload["triggerType"] == "recurring"
    assert run["scheduled_for"] == to_iso(UNTIL - HOUR_US)
    assert run["trigger_type"] == "cron"
    assert run["backfill_id"] == run["provenance"]["backfill_id"] == made["id"]
    assert f"Started by backfill {made['id']} by local for *hourly*" in run["cause"]["summary"]
    assert run["cause"]["decision"]["reason"] == "backfilled"
    listed = await house.runs.page(LOCAL, wanted=_filter(made["id"]))
    assert [item["id"] for item in listed.items] == [run_id]
    assert (await house.runs.page(STRANGER, wanted=_filter(made["id"]))).items == []
    assert (await house.runs.page(LOCAL, workflow="report", wanted=_filter("another"))).items == []


def _filter(backfill_id):
    return RunFilter(backfill_id=backfill_id)


async def test_an_input_of_its_own_replaces_the_schedules(house):
    await house.deploy("report", hourly={**HOURLY, "input": {"full": False}})
    await house.backfills.create(LOCAL, asked(given=b'{"full":true}', since=UNTIL - HOUR_US))
    await house.backfilling.tick()
    rows = await house.store.read("SELECT input FROM runs")
    assert [msgspec.json.decode(row[0]) for row in rows] == [{"full": True}]


async def test_missing_leaves_out_what_ran_and_failed_takes_what_failed(house):
    await house.deploy("report", hourly=HOURLY)
    for hour in range(1, 7):
        await house.clock.advance(3600)
        await settle(house)
        await finish(house, {2: "FAILED", 3: "CANCELLED"}.get(hour, "SUCCEEDED"))
    await house.clock.advance(60)
    end = house.clock.now()
    whole = {"since": NOON - HOUR_US, "until": end}
    missing = await house.backfills.plan(LOCAL, asked(**whole))
    assert missing["reasons"] == {"run": {"never_planned": 2}, "left_out": {"has_run": 6}}
    failed = await house.backfills.plan(LOCAL, asked(**whole, reprocess="failed"))
    assert failed["reasons"]["run"] == {"never_planned": 2, "run_failed": 1, "run_cancelled": 1}
    assert failed["reasons"]["left_out"] == {"run_succeeded": 4}
    every = await house.backfills.plan(LOCAL, asked(**whole, reprocess="all"))
    assert every["reasons"]["run"] == {"never_planned": 2, "again": 6}
    made = await house.backfills.create(LOCAL, asked(**whole, reprocess="failed"))
    done = await carry_out(house, made["id"])
    assert (done["planned"], done["started"], done["skipped"]) == (8, 4, 4)
    rows = await house.store.read(
        "SELECT scheduled_for, replay_of IS NOT NULL FROM runs WHERE backfill_id IS NOT NULL ORDER BY scheduled_for"
    )
    assert [(row[0], bool(row[1])) for row in rows] == [
        (NOON - HOUR_US, False),
        (NOON, False),
        (NOON + 2 * HOUR_US, True),
        (NOON + 3 * HOUR_US, True),
    ]
    again = await house.backfills.plan(LOCAL, asked(**whole, reprocess="failed"))
    assert again["to_run"] == 0


async def test_all_runs_every_time_again_and_again(house):
    await house.deploy("report", hourly=HOURLY)
    for _ in range(2):
        made = await house.backfills.create(LOCAL, asked(reprocess="all"))
        assert (await carry_out(house, made["id"]))["started"] == 10
    assert len(await nominals(house)) == 20


async def test_missed_and_coalesced_times_are_missing(house):
    await house.deploy("report", hourly=HOURLY)
    await house.clock.advance(5 * 3600 + 60)
    await settle(house)
    await finish(house)
    plan = await house.backfills.plan(LOCAL, asked(since=NOON, until=house.clock.now()))
    assert plan["reasons"] == {"run": {"coalesced": 4, "never_planned": 1}, "left_out": {"has_run": 1}}
    made = await house.backfills.create(LOCAL, asked(since=NOON, until=house.clock.now()))
    assert (await carry_out(house, made["id"]))["started"] == 5


async def test_a_long_downtime_is_counted_without_walking_through_it(house):
    await house.deploy("report", often={"type": "cron", "cron": "* * * * *", "catchup": "none"})
    await house.clock.advance(30 * 24 * 3600 + 30)
    await settle(house)
    now = house.clock.now()
    plan = await house.backfills.plan(LOCAL, asked(since=NOON - DAY_US, until=now), limit=2)
    assert plan["planned"] == 31 * 1440 + 1
    assert plan["left_out"] == (await house.store.read("SELECT count(*) FROM runs"))[0][0]
    assert sum(plan["reasons"]["run"].values()) == plan["to_run"]
    assert plan["reasons"]["run"]["never_planned"] == 1441
    middle = await house.backfills.plan(LOCAL, asked(since=NOON + DAY_US, until=NOON + DAY_US + 5 * 60_000_000))
    assert {item["reason"] for item in middle["items"]} <= {"missed_window", "missed_down"}


async def test_a_time_that_the_schedule_fires_meanwhile_is_not_doubled(house):
    await house.deploy("report", hourly=HOURLY)
    await house.schedules.pause(LOCAL, await house.trigger_id("hourly"))
    await house.clock.advance(5 * 3600)
    made = await house.backfills.create(LOCAL, asked(since=NOON + 1, until=house.clock.now()))
    await carry_out(house, made["id"])
    await house.schedules.resume(LOCAL, await house.trigger_id("hourly"), missed="all")
    await settle(house)
    times = await nominals(house)
    assert sorted(times) == sorted(set(times))
    assert times[:4] == [NOON + hour * HOUR_US for hour in (1, 2, 3, 4)]
    ledger = await house.schedules.occurrences(
        LOCAL, await house.trigger_id("hourly"), since=NOON + 1, until=house.clock.now()
    )
    assert ledger["sums"]["planned"] == 4
    assert [len(item["backfills"]) for item in ledger["items"]] == [1, 1, 1, 1]


async def test_the_timer_that_is_late_finds_the_time_taken(house):
    await house.deploy("report", hourly={**HOURLY, "catchup": "all"})
    await house.clock.advance(3 * 3600 + 1)
    made = await house.backfills.create(LOCAL, asked(since=NOON + 1, until=NOON + 2 * HOUR_US + 1, max_active=9))
    await house.backfilling.tick()
    await settle(house)
    await carry_out(house, made["id"])
    assert sorted(await nominals(house)) == [NOON + hour * HOUR_US for hour in (1, 2, 3)]
    rows = await house.store.read("SELECT nominal, outcome, run_id FROM occurrences ORDER BY nominal")
    assert [(row[0], row[1], row[2] is None) for row in rows] == [
        (NOON + HOUR_US, "duplicate", True),
        (NOON + 2 * HOUR_US, "duplicate", True),
        (NOON + 3 * HOUR_US, "run_started", False),
    ]


async def test_the_ledger_keeps_the_normal_outcome_and_shows_the_backfill(house):
    await house.deploy("report", hourly={**HOURLY, "catchup": "none"})
    await house.clock.advance(2 * 3600 + 600)
    await settle(house)
    trigger_id = await house.trigger_id("hourly")
    made = await house.backfills.create(LOCAL, asked(since=NOON - HOUR_US, until=house.clock.now()))
    await carry_out(house, made["id"])
    ledger = await house.schedules.occurrences(LOCAL, trigger_id, since=NOON - HOUR_US, until=house.clock.now())
    items = [
        (item["outcome"], item["reason"], [one["run_status"] for one in item["backfills"]]) for item in ledger["items"]
    ]
    assert items == [
        ("run_started", "backfilled", ["SUCCEEDED"]),
        ("run_started", "backfilled", ["SUCCEEDED"]),
        ("skipped", "missed_down", ["SUCCEEDED"]),
        ("skipped", "missed_down", ["SUCCEEDED"]),
    ]
    sums = ledger["sums"]
    assert sums["planned"] == sums["fired"] + sums["missed"] == 4
    told = await house.explain.trigger(LOCAL, "report/hourly", NOON + HOUR_US)
    assert told["outcome"] == "skipped"
    assert f"backfill {made['id']} ran it" in told["summary"]


async def test_skipped_times_are_left_out_unless_asked_for(house):
    await house.deploy("report", hourly={**HOURLY, "skip": [to_iso(NOON - 3 * HOUR_US)]})
    plan = await house.backfills.plan(LOCAL, asked())
    assert plan["reasons"] == {"run": {"never_planned": 9}, "left_out": {"skipped_by_hand": 1}}
    made = await house.backfills.create(LOCAL, asked())
    assert (await carry_out(house, made["id"]))["skipped"] == 1
    rest = await house.backfills.create(LOCAL, asked(ignore_skips=True))
    done = await carry_out(house, rest["id"])
    assert (done["started"], done["skipped"]) == (1, 9)


async def test_dst_rules_are_those_of_the_schedule(house):
    await house.deploy("report", early={"type": "cron", "cron": "30 2 * * *", "timezone": "America/New_York"})
    span = {"since": from_iso("2026-03-07T05:00:00Z"), "until": from_iso("2026-03-10T04:00:00Z")}
    plan = await house.backfills.plan(LOCAL, asked(**span))
    assert [item["utc"] for item in plan["items"]] == [
        "2026-03-07T07:30:00Z",
        "2026-03-08T07:00:00Z",
        "2026-03-09T06:30:00Z",
    ]
    assert plan["items"][1]["note"]


async def test_the_times_of_an_earlier_version_can_be_asked_for(house):
    await house.deploy("report", hourly={"type": "cron", "cron": "0 */5 * * *"})
    await house.deploy("report", hourly=HOURLY)
    assert (await house.backfills.plan(LOCAL, asked(version=1)))["planned"] == 2
    assert (await house.backfills.plan(LOCAL, asked()))["planned"] == 10
    with pytest.raises(ValidationFailed) as refusal:
        await house.backfills.plan(LOCAL, asked(version=7))
    assert refusal.value.errors[0].field == "version"


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"since": UNTIL, "until": SINCE}, "to", "reversed"),
        ({"until": SINCE}, "to", "empty"),
        ({"until": NOON + DAY_US}, "to", "has not come yet"),
        ({"since": NOON - 4_000 * DAY_US}, "from", "longer than"),
        ({"workflow": "nobody"}, "workflow", "there is no workflow"),
        ({"workflow": "plain"}, "workflow", "no time trigger"),
        ({"workflow": "twice"}, "trigger", "several time triggers; say which one: "),
        ({"workflow": "twice", "trigger": "frist"}, "trigger", "did you mean `first`?"),
        ({"workflow": "minutely", "since": NOON - 3_600 * DAY_US}, "from", "at most"),
        ({"workflow": "report", "since": NOON - 60_000_000, "until": NOON - 1}, "from", "no time in that range"),
    ],
)
async def test_wrong_requests_are_refused_by_field(house, given, field, words):
    await house.deploy("report", hourly=HOURLY)
    await house.deploy("plain", hand={"type": "manual"})
    await house.deploy("twice", first=HOURLY, second=HOURLY)
    await house.deploy("minutely", often={"type": "cron", "cron": "* * * * *"})
    with pytest.raises(ValidationFailed) as refusal:
        await house.backfills.create(LOCAL, asked(**given))
    assert refusal.value.errors[0].field == field
    assert words in refusal.value.detail


async def test_pause_keeps_the_place_and_resume_goes_on_there(house):
    await house.deploy("report", hourly=HOURLY)
    made = await house.backfills.create(LOCAL, asked(max_active=4))
    await house.backfilling.tick()
    paused = await house.backfills.pause(LOCAL, made["id"])
    assert paused["status"] == "paused"
    await finish(house)
    for _ in range(3):
        await house.backfilling.tick()
    rested = await house.backfills.show(LOCAL, made["id"])
    assert (rested["started"], rested["succeeded"], rested["active"]) == (4, 4, 0)
    await house.backfills.resume(LOCAL, made["id"])
    done = await carry_out(house, made["id"])
    assert done["succeeded"] == 10
    assert await nominals(house) == [SINCE + hour * HOUR_US for hour in range(10)]
    with pytest.raises(Conflict):
        await house.backfills.pause(LOCAL, made["id"])


@pytest.mark.parametrize("runs_too", [False, True])
async def test_cancel_starts_no_more_and_may_cancel_what_runs(house, runs_too):
    await house.deploy("report", hourly=HOURLY)
    made = await house.backfills.create(LOCAL, asked(max_active=2))
    await house.backfilling.tick()
    cancelled = await house.backfills.cancel(LOCAL, made["id"], cancel_runs=runs_too)
    assert cancelled["status"] == "cancelling"
    await house.backfilling.tick()
    assert len(house.fakes.cancelled) == (2 if runs_too else 0)
    done = await carry_out(house, made["id"], "CANCELLED" if runs_too else "SUCCEEDED")
    assert done["status"] == "cancelled"
    assert (done["started"], done["cancelled"]) == (2, 2 if runs_too else 0)
    assert (await house.backfills.cancel(LOCAL, made["id"]))["status"] == "cancelled"


async def test_a_backfill_runs_while_its_schedule_and_workflow_are_paused(house):
    await house.deploy("report", hourly=HOURLY)
    await house.workflows.pause(LOCAL, "report")
    made = await house.backfills.create(LOCAL, asked())
    assert (await carry_out(house, made["id"]))["succeeded"] == 10


async def test_its_runs_take_no_part_in_the_overlap_of_the_schedules_own(house):
    await house.deploy("report", hourly={**HOURLY, "overlap": "cancel_running"})
    await house.backfills.create(LOCAL, asked(max_active=3))
    await house.backfilling.tick()
    await house.clock.advance(3600)
    await settle(house)
    rows = await house.store.read("SELECT backfill_id IS NULL, overlap_key IS NULL, cancel_requested FROM runs")
    assert sorted((bool(row[0]), bool(row[1]), row[2]) for row in rows) == [(False, True, 0)] * 3 + [(True, False, 0)]


async def test_it_pauses_by_itself_when_its_workflow_is_gone_and_says_why(house):
    await house.deploy("report", hourly=HOURLY)
    made = await house.backfills.create(LOCAL, asked(max_active=1))
    await house.deployments.undeploy(LOCAL, "report")
    await house.backfilling.tick()
    shown = await house.backfills.show(LOCAL, made["id"])
    assert shown["status"] == "paused"
    assert "is not live" in shown["note"]
    await house.deploy("report", hourly=HOURLY)
    await house.backfills.resume(LOCAL, made["id"])
    assert (await carry_out(house, made["id"]))["succeeded"] == 10


async def test_a_condition_that_is_false_leaves_a_time_out_with_its_decision(house):
    await house.deploy("report", hourly={**HOURLY, "condition": "event.data.scheduledFor.endsWith('08:00:00Z')"})
    made = await house.backfills.create(LOCAL, asked())
    done = await carry_out(house, made["id"])
    assert (done["started"], done["skipped"]) == (1, 9)
    rows = await house.store.read("SELECT outcome, reason, count(*) FROM decisions GROUP BY outcome, reason ORDER BY 3")
    assert [tuple(row) for row in rows] == [("run_started", "backfilled", 1), ("filtered", "condition_false", 9)]


async def test_a_stranger_sees_and_moves_nothing(house):
    await house.deploy("report", hourly=HOURLY)
    made = await house.backfills.create(LOCAL, asked())
    for ask in (house.backfills.show, house.backfills.pause, house.backfills.resume, house.backfills.cancel):
        with pytest.raises(NotFound):
            await ask(STRANGER, made["id"])
    assert (await house.backfills.page(STRANGER)).items == []
    with pytest.raises(ValidationFailed):
        await house.backfills.create(STRANGER, asked())
    assert (await house.backfills.page(LOCAL, workflow="report", status="running")).items[0]["id"] == made["id"]


async def test_progress_is_told_as_it_goes(house):
    await house.deploy("report", hourly=HOURLY)
    made = await house.backfills.create(LOCAL, asked())
    await carry_out(house, made["id"])
    await house.backfilling.tick()
    told = [data for topic, _, kind, data in house.fakes.told if (topic, kind) == ("backfills", "backfill.changed")]
    assert {data["id"] for data in told} == {made["id"]}
    assert [data["started"] for data in told] == sorted(data["started"] for data in told)
    assert told[-1]["status"] == "completed"

"""Triggers outside a file."""

import asyncio

import pytest

from workflow_scheduler.core.errors import Conflict, NotFound, PreconditionFailed, ValidationFailed
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.ports.store import Accepted, Batch
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.testing.factories import make_event, make_run

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="stranger", user_id="mallory")
HOOK = {"type": "webhook", "path": "orders", "signature": {"scheme": "none"}, "condition": "event.data.amount > 100"}


def definition(name="shop", **triggers):
    return {"name": name, "triggers": triggers, "jobs": {"a": {"uses": "noop"}}}


async def test_a_trigger_added_to_a_live_workflow_is_live_and_in_the_definition(plane):
    await plane.deploy(definition())
    made = await plane.triggers.create(
        LOCAL,
        {"workflow": "shop", "name": "nightly", "type": "cron", "config": {"cron": "0 2 * * *"}, "input": {"a": 1}},
    )
    assert (made["name"], made["deployment_status"], made["input"]) == ("nightly", "active", {"a": 1})
    assert made["next_fire_at"] == "2027-01-06T02:00:00Z"
    shown = await plane.workflows.get(LOCAL, "shop")
    assert (shown["version"], shown["live_version"]) == (2, 2)
    assert shown["definition"]["triggers"]["nightly"] == {"type": "cron", "cron": "0 2 * * *", "input": {"a": 1}}


async def test_a_trigger_added_to_an_undeployed_workflow_waits(plane):
    await plane.workflows.create(LOCAL, definition())
    made = await plane.triggers.create(LOCAL, {"workflow": "shop", "type": "interval", "every": "5m"})
    assert (made["name"], made["deployment_status"], made["next_fire_at"]) == ("interval", "pending", None)
    again = await plane.triggers.create(LOCAL, {"workflow": "shop", "type": "interval", "every": "6m"})
    assert again["name"] == "interval-2"
    await plane.deployments.deploy(LOCAL, "shop")
    assert (await plane.triggers.get(LOCAL, made["id"]))["next_fire_at"] == "2027-01-05T12:05:00Z"


async def test_a_draft_is_not_deployed_by_the_way(plane):
    await plane.deploy(definition())
    await plane.workflows.update(LOCAL, "shop", definition(draft={"type": "manual"}))
    made = await plane.triggers.create(LOCAL, {"workflow": "shop", "type": "interval", "every": "5m"})
    assert made["deployment_status"] == "pending"
    assert (await plane.workflows.get(LOCAL, "shop"))["live_version"] == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "manual"}, "workflow"),
        ({"workflow": "shop"}, "type"),
        ({"workflow": "shop", "type": "manual", "config": []}, "config"),
        ({"workflow": "shop", "type": "crn", "name": "t"}, "triggers.t.type"),
        ({"workflow": "shop", "type": "cron", "name": "t", "cron": "bad"}, "triggers.t.cron"),
        ({"workflow": "shop", "type": "manual", "name": "a b"}, "triggers.a b"),
        ({"workflow": "shop", "type": "manual", "name": "t", "config": {"colour": 1}}, "triggers.t.colour"),
    ],
)
async def test_a_wrong_body_names_its_field(plane, body, field):
    await plane.deploy(definition())
    with pytest.raises(ValidationFailed) as caught:
        await plane.triggers.create(LOCAL, body)
    assert caught.value.errors[0].field == field
    assert (await plane.workflows.get(LOCAL, "shop"))["version"] == 1


async def test_a_name_is_used_once(plane):
    await plane.deploy(definition(t={"type": "manual"}))
    with pytest.raises(Conflict, match="a trigger `t` already"):
        await plane.triggers.create(LOCAL, {"workflow": "shop", "type": "manual", "name": "t"})


async def test_a_trigger_that_could_not_be_deployed_makes_no_version(plane):
    await plane.deploy(definition("other", t={**HOOK}))
    await plane.deploy(definition())
    signed = {"scheme": "api-key", "secret": "s"}
    with pytest.raises(Conflict, match="with another signature"):
        await plane.triggers.create(LOCAL, {**HOOK, "workflow": "shop", "signature": signed})
    plane.secrets.absent = {"s"}
    with pytest.raises(ValidationFailed, match="not set"):
        await plane.triggers.create(LOCAL, {**HOOK, "workflow": "shop", "path": "own", "signature": signed})
    shown = await plane.workflows.get(LOCAL, "shop")
    assert (shown["version"], shown["deployment_status"]) == (1, "DEPLOYED")


async def test_changing_a_trigger_keeps_its_id(plane):
    await plane.deploy(definition(t=HOOK))
    before = (await plane.triggers_of("shop"))["t"]
    changed = await plane.triggers.update(LOCAL, before["id"], {"config": {"path": "new", "signature": "none"}})
    assert (changed["id"], changed["config"]["path"], changed["condition"]) == (before["id"], "new", None)
    assert await plane.keys() == [("webhook", "new")]
    with pytest.raises(PreconditionFailed):
        await plane.triggers.update(LOCAL, before["id"], {"config": {}}, if_match=before["revision"])
    with pytest.raises(Conflict, match="keeps its name"):
        await plane.triggers.update(LOCAL, before["id"], {"name": "u"})


async def test_what_one_reads_can_be_written_back(plane):
    await plane.deploy(definition(t=HOOK))
    shown = (await plane.triggers_of("shop"))["t"]
    written = await plane.triggers.update(LOCAL, shown["id"], shown)
    assert (written["config"], written["condition"]) == (shown["config"], shown["condition"])


async def test_a_deleted_trigger_is_gone(plane):
    await plane.deploy(definition(t=HOOK, u={"type": "manual"}))
    trigger = (await plane.triggers_of("shop"))["t"]
    await plane.triggers.delete(LOCAL, trigger["id"])
    assert list(await plane.triggers_of("shop")) == ["u"]
    with pytest.raises(NotFound):
        await plane.triggers.get(LOCAL, trigger["id"])
    assert await plane.keys() == []
    again = await plane.triggers.create(LOCAL, {**HOOK, "workflow": "shop", "name": "t"})
    assert again["id"] == trigger["id"]


async def test_a_waiting_trigger_can_be_deleted(plane):
    await plane.workflows.create(LOCAL, definition(t={"type": "interval", "every": "5m"}))
    await plane.triggers.delete(LOCAL, (await plane.triggers_of("shop"))["t"]["id"])
    assert await plane.triggers_of("shop") == {}
    assert await plane.store.read("SELECT COUNT(*) FROM schedules") == [(0,)]


async def test_modes(plane):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    shown = await plane.triggers.set_mode(LOCAL, trigger, "disabled", "too loud")
    assert (shown["mode"], shown["mode_reason"]) == ("disabled", "too loud")
    with pytest.raises(ValidationFailed, match="not a mode"):
        await plane.triggers.set_mode(LOCAL, trigger, "off")
    assert [t["id"] for t in (await plane.triggers.page(LOCAL, mode="disabled")).items] == [trigger]


async def test_lists_are_filtered_and_paged(plane):
    await plane.deploy(definition("one", a={"type": "manual"}, b=HOOK))
    await plane.deploy(definition("two", c={"type": "manual"}))
    assert {t["name"] for t in (await plane.triggers.page(LOCAL)).items} == {"a", "b", "c"}
    assert {t["name"] for t in (await plane.triggers.page(LOCAL, workflow="one")).items} == {"a", "b"}
    assert {t["name"] for t in (await plane.triggers.page(LOCAL, type="manual")).items} == {"a", "c"}
    first = await plane.triggers.page(LOCAL, limit=2)
    rest = await plane.triggers.page(LOCAL, limit=2, after=first.next)
    assert (len(first.items), len(rest.items), rest.next) == (2, 1, None)
    assert (await plane.triggers.page(STRANGER)).items == []


async def test_many_changes_at_once_are_all_kept(plane):
    await plane.workflows.create(LOCAL, definition())
    bodies = [{"workflow": "shop", "type": "manual", "name": f"t{i}"} for i in range(4)]
    await asyncio.gather(*(plane.triggers.create(LOCAL, body) for body in bodies))
    assert len(await plane.triggers_of("shop")) == 4


async def test_a_dry_run_on_a_made_up_event(plane):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    yes = await plane.triggers.test(LOCAL, trigger, {"event": {"method": "POST", "data": {"amount": 150}}})
    assert (yes["outcome"], yes["decisions"][0]["would_start"], yes["dry_run"]) == ("run_started", True, True)
    no = await plane.triggers.test(LOCAL, trigger, {"event": {"method": "POST", "data": {"amount": 5}}})
    assert (no["outcome"], no["reason"]) == ("filtered", "condition_false")
    assert any(line["verdict"] is False for line in no["predicates"])
    assert await plane.store.read("SELECT COUNT(*) FROM events") == [(0,)]


async def test_a_dry_run_on_a_request(plane):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    request = {"method": "POST", "headers": {"Content-Type": "application/json"}, "body": '{"amount": 150}'}
    assert (await plane.triggers.test(LOCAL, trigger, {"request": request}))["outcome"] == "run_started"
    request["body"] = {"amount": 3}
    assert (await plane.triggers.test(LOCAL, trigger, {"request": request}))["outcome"] == "filtered"


async def test_a_dry_run_respects_the_mode(plane):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    await plane.triggers.set_mode(LOCAL, trigger, "disabled")
    found = await plane.triggers.test(LOCAL, trigger, {"event": {"method": "POST", "data": {"amount": 150}}})
    assert (found["outcome"], found["reason"]) == ("skipped", "trigger_disabled")


async def test_a_dry_run_needs_an_event(plane):
    await plane.deploy(definition(t={"type": "manual"}))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    with pytest.raises(ValidationFailed, match="give `event_id`"):
        await plane.triggers.test(LOCAL, trigger, {})
    with pytest.raises(ValidationFailed, match="takes no requests"):
        await plane.triggers.test(LOCAL, trigger, {"request": {}})
    with pytest.raises(NotFound):
        await plane.triggers.test(LOCAL, trigger, {"event_id": "unknown"})


async def test_other_tenants_see_nothing(plane):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    for call in (
        plane.triggers.get(STRANGER, trigger),
        plane.triggers.update(STRANGER, trigger, {}),
        plane.triggers.delete(STRANGER, trigger),
        plane.triggers.set_mode(STRANGER, trigger, "disabled"),
        plane.triggers.test(STRANGER, trigger, {"event": {}}),
        plane.triggers.create(STRANGER, {"workflow": "shop", "type": "manual"}),
    ):
        with pytest.raises(NotFound):
            await call


def test_the_catalogue_has_everything_a_form_needs(plane):
    types = {entry["name"]: entry for entry in plane.triggers.types()}
    assert {"manual", "cron", "interval", "once", "webhook", "github", "workflow", "event"} <= set(types)
    for entry in types.values():
        assert entry["title"]
        assert entry["summary"].endswith(".")
        assert entry["examples"]
        assert set(entry["ui"]) == set(entry["schema"]["properties"])
    assert types["github"]["ui"]["secret"]["secret"]


async def heard(plane, number, amount, received=0):
    event = make_event(
        id=f"0197f0c2-7d3a-7000-8000-{number:012d}", tenant_id="local", provider="webhook", type="webhook",
        source="/webhook/orders", event_key=str(number), index_keys=("orders",),
        data=b'{"amount": %d}' % amount, attributes=b'{"method": "POST"}', received_at=received, time=received,
    )  # fmt: skip
    await plane.store.commit(Batch(accepted=[Accepted(event, [], [])]))
    return event


async def test_a_simulation_shows_what_a_change_would_do(plane):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    for number, amount in enumerate((50, 150, 600)):
        await heard(plane, number, amount, received=plane.clock.now())
    found = await plane.triggers.simulate(LOCAL, trigger, {"condition": "event.data.amount > 500"})
    assert (found["events"], found["more"]) == (3, False)
    assert found["live"] == {"run_started": 2, "filtered": 1}
    assert found["proposed"] == {"run_started": 1, "filtered": 2}
    difference = found["differences"][0]
    assert difference["event"]["data"] == {"amount": 150}
    assert (difference["live"]["outcome"], difference["proposed"]["reason"]) == ("run_started", "condition_false")
    limited = await plane.triggers.simulate(LOCAL, trigger, {"limit": 1})
    assert (limited["events"], limited["more"], limited["differences"]) == (1, True, [])
    moved = await plane.triggers.simulate(LOCAL, trigger, {"config": {"path": "elsewhere", "signature": "none"}})
    assert moved["proposed"] == {"filtered": 3}


async def test_a_simulation_gathers_and_limits_on_the_clock_of_the_events(plane):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    begin = plane.clock.now()
    for number, second in enumerate((0, 1, 2, 100, 101)):
        await heard(plane, number, 150, received=begin + second * 1_000_000)
    burst = await plane.triggers.simulate(LOCAL, trigger, {"debounce": "10s"})
    assert burst["live"] == {"run_started": 5}
    assert burst["proposed"] == {"absorbed": 5}
    assert burst["together"] == {"live": 0, "proposed": 2}
    batch = await plane.triggers.simulate(LOCAL, trigger, {"batch": {"size": 2, "time": "60s"}})
    assert (batch["proposed"], batch["together"]["proposed"]) == ({"absorbed": 3, "run_started": 2}, 1)
    limit = await plane.triggers.simulate(LOCAL, trigger, {"rate_limit": "2/m"})
    assert limit["proposed"] == {"run_started": 4, "skipped": 1}
    slow = await plane.triggers.simulate(LOCAL, trigger, {"throttle": "1/10s"})
    assert (slow["proposed"], slow["later"]["proposed"]) == ({"run_started": 2, "deferred": 3}, 3)
    same = await plane.triggers.simulate(
        LOCAL, trigger, {"unique": "event.data.amount", "pattern": {"data": {"amount": [150]}}}
    )
    assert same["proposed"] == {"run_started": 1, "duplicate": 4}
    other = await plane.triggers.simulate(LOCAL, trigger, {"pattern": {"data": {"amount": [1]}}})
    assert other["proposed"] == {"filtered": 5}


@pytest.mark.parametrize(
    "body", [{"config": 5}, {"config": {"colour": 1}}, {"condition": "event.data. >"}, {"limit": 0}, {"since": "soon"}]
)
async def test_a_wrong_simulation_is_refused(plane, body):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    with pytest.raises(ValidationFailed):
        await plane.triggers.simulate(LOCAL, trigger, body)


async def test_a_dry_run_on_a_stored_event(plane):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]
    event = await heard(plane, 7, 150)
    found = await plane.triggers.test(LOCAL, trigger, {"event_id": event.id})
    assert (found["outcome"], found["decisions"][0]["event"]["id"]) == ("run_started", event.id)


async def test_health_tells_why_a_trigger_does_not_fire(plane):
    await plane.deploy(definition(t={"type": "cron", "cron": "0 * * * *"}))
    trigger = (await plane.triggers_of("shop"))["t"]["id"]

    async def status():
        return (await plane.triggers.health(LOCAL, trigger))["status"]

    assert await status() == "healthy"
    await plane.clock.advance(3600 + 61)
    assert await status() == "late"
    await plane.workflows.pause(LOCAL, "shop")
    assert await status() == "paused"
    await plane.triggers.set_mode(LOCAL, trigger, "disabled", "too loud")
    shown = await plane.triggers.health(LOCAL, trigger)
    assert (shown["status"], shown["summary"]) == ("disabled", "The trigger is disabled: too loud.")
    await plane.deployments.undeploy(LOCAL, "shop")
    assert await status() == "undeployed"


async def test_health_counts_decisions_and_looks_at_runs(plane):
    await plane.deploy(definition(t=HOOK))
    trigger = (await plane.triggers_of("shop"))["t"]
    for number in range(3):
        event = make_event(id=mint(plane.clock.now()), tenant_id="local", event_key=str(number))
        run = make_run(
            id=mint(plane.clock.now()), tenant_id="local", trigger_id=trigger["id"], event_id=event.id,
            event_key=str(number), status=RunStatus.FAILED, workflow_id=trigger["workflow_id"],
        )  # fmt: skip
        decision = Decision(
            tenant_id="local", event_id=event.id, trigger_id=trigger["id"], workflow_id=trigger["workflow_id"],
            outcome=Outcome.RUN_STARTED, reason=Reason.MATCHED, decided_at=plane.clock.now(), run_id=run.id,
        )  # fmt: skip
        await plane.store.commit(Batch(accepted=[Accepted(event, [decision], [run])]))
    shown = await plane.triggers.health(LOCAL, trigger["id"])
    assert (shown["status"], shown["decisions_24h"], len(shown["runs"])) == ("failing", {"run_started": 3}, 3)
    assert (await plane.triggers.get(LOCAL, trigger["id"]))["last_decision"]["run_id"] == run.id

import pytest

from workflow_scheduler.core.errors import Conflict, NotFound
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.time.clock import SECOND_US, from_iso
from workflow_scheduler.stores.portable.events import EventFilter
from workflow_scheduler.testing.factories import NOON, make_event

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="other", user_id="eve")
HOOK = {"type": "webhook", "path": "orders", "signature": "none"}


def order(amount, **given):
    attributes = b'{"method":"POST","path":"orders","query":"","headers":{"content-type":"application/json"}}'
    defaults = {"data": b'{"amount":%d}' % amount, "attributes": attributes, "source": "/webhooks/orders"}
    return make_event(**{**defaults, **given})


async def test_events_are_listed_newest_first_and_filtered(house):
    made = [await house.rows.event(make_event(NOON + n * SECOND_US, type=f"t{n % 2}")) for n in range(4)]
    page = await house.events.page(LOCAL, limit=3)
    assert [item["id"] for item in page.items] == [event.id for event in reversed(made)][:3]
    rest = await house.events.page(LOCAL, limit=3, cursor=page.next)
    assert [item["id"] for item in rest.items] == [made[0].id]

    async def found(**filters):
        return [item["id"] for item in (await house.events.page(LOCAL, EventFilter(**filters))).items]

    assert await found(type="t1") == [made[3].id, made[1].id]
    assert await found(provider="github") == []
    assert await found(source="/webhooks/orders", since=NOON + 2 * SECOND_US) == [made[3].id, made[2].id]
    assert await found(until=NOON + 2 * SECOND_US) == [made[1].id, made[0].id]
    assert (await house.events.page(STRANGER)).items == []


async def test_secrets_in_the_transport_are_masked(house):
    attributes = (
        b'{"method":"POST","query":"token=abc&page=2","headers":{"authorization":"Bearer abc",'
        b'"x-hub-signature-256":"sha","cookie":"abc","content-type":"application/json"}}'
    )
    event = await house.rows.event(make_event(attributes=attributes))
    shown = await house.events.show(LOCAL, event.id)
    assert "abc" not in str(shown["attributes"])
    assert shown["attributes"]["headers"]["content-type"] == "application/json"
    assert shown["attributes"]["query"] == "token=***&page=2"
    assert shown["received_at"] == "2027-01-05T12:00:00Z"


async def test_an_unreadable_event_is_listed_with_an_error(house):
    good = await house.rows.event(make_event())
    bad = await house.rows.event(make_event(data=b"\xff\xfe"))
    items = {item["id"]: item for item in (await house.events.page(LOCAL)).items}
    assert items[good.id]["data"] == {"amount": 120}
    assert items[bad.id]["error"]["code"] == "malformed"
    assert await house.store.read("SELECT kind, id FROM quarantine") == [("events", bad.id)]
    explained = await house.explain.event(LOCAL, bad.id)
    assert explained["event"]["error"]["code"] == "malformed"


async def test_a_stranger_sees_the_same_404_as_for_a_random_id(house):
    event = await house.rows.event(make_event())
    for ask in (house.events.show, house.explain.event, house.events.decisions):
        with pytest.raises(NotFound):
            await ask(STRANGER, event.id)
        with pytest.raises(NotFound):
            await ask(LOCAL, "no-such-event")


async def test_explain_shows_every_predicate_of_every_candidate(house):
    await house.deploy("big", hook={**HOOK, "condition": "event.data.amount > 100"})
    await house.deploy("small", hook={"type": "webhook", "path": "other", "signature": "none"})
    receipt = await house.inbox.accept(order(50))
    explained = await house.explain.event(LOCAL, receipt.event_id)
    (decision,) = explained["decisions"]
    assert decision["outcome"] == "filtered"
    assert decision["reason"] == "condition_false"
    assert decision["trigger"] == "hook"
    assert decision["workflow"] == "big"
    assert decision["run_id"] is None
    assert any(line["verdict"] is False for line in decision["predicates"])
    assert explained["summary"].startswith("Started nothing: *hook* of big did not match")
    assert explained["runs"] == []

    started = await house.explain.event(LOCAL, (await house.inbox.accept(order(500))).event_id)
    assert started["decisions"][0]["outcome"] == "run_started"
    assert started["runs"] == [{"id": started["decisions"][0]["run_id"], "status": "QUEUED", "workflow": "big"}]


async def test_explain_counts_repetitions(house):
    await house.deploy("big", hook=HOOK)
    first = await house.inbox.accept(order(1, event_key="k"))
    again = await house.inbox.accept(order(1, event_key="k"))
    assert again.event_id == first.event_id
    explained = await house.explain.event(LOCAL, first.event_id)
    assert explained["duplicates"] == 1
    assert "came 1 more time" in explained["summary"]


async def test_explain_names_triggers_that_came_too_late(house):
    event = await house.rows.event(order(7, received_at=NOON - SECOND_US))
    await house.deploy("late", hook=HOOK)
    explained = await house.explain.event(LOCAL, event.id)
    (line,) = explained["decisions"]
    assert line["recorded"] is False
    assert line["outcome"] == "filtered"
    assert line["predicates"][0]["name"] == "created"
    assert line["today"]["outcome"] == "run_started"
    assert "no live webhook trigger listened" in explained["summary"]


async def test_explain_names_triggers_under_another_sub_key(house):
    def github(events):
        return {"type": "github", "repository": "acme/billing", "secret": "gh", "events": events}

    await house.deploy("pulls", pulls=github({"pull_request": {"actions": ["opened"]}}))
    rows = await house.store.read("SELECT DISTINCT index_key, sub_key FROM trigger_keys WHERE index_key LIKE 'acme%'")
    keys = {row[1] for row in rows}
    event = await house.rows.event(
        make_event(NOON + SECOND_US, provider="github", type="push", index_keys=(rows[0][0],), sub_keys=("push",))
    )
    assert "push" not in keys
    explained = await house.explain.event(LOCAL, event.id)
    (line,) = explained["decisions"]
    assert line["recorded"] is False
    assert line["predicates"][0]["name"] == "sub_key"
    assert line["predicates"][0]["actual"] == ["push"]


async def test_decisions_of_a_trigger_are_listed_newest_first(house):
    await house.deploy("big", hook=HOOK)
    receipts = [await house.inbox.accept(order(n, event_key=str(n))) for n in range(3)]
    trigger_id = await house.trigger_id("hook")
    first = await house.events.trigger_decisions(LOCAL, trigger_id, limit=2)
    second = await house.events.trigger_decisions(LOCAL, trigger_id, limit=2, cursor=first.next)
    listed = [item["event_id"] for item in [*first.items, *second.items]]
    assert listed == sorted((one.event_id for one in receipts), reverse=True)
    assert second.next is None
    of_event = await house.events.decisions(LOCAL, receipts[0].event_id)
    assert [item["trigger_id"] for item in of_event.items] == [trigger_id]


async def test_explain_of_a_run_names_event_trigger_decision_and_dispatch(house):
    await house.deploy("big", hook=HOOK)
    receipt = await house.inbox.accept(order(5))
    why = await house.explain.run(LOCAL, receipt.run_ids[0])
    assert why["run"]["workflow"] == "big"
    assert why["event"]["id"] == receipt.event_id
    assert why["decision"]["outcome"] == "run_started"
    assert why["dispatch"]["attempts"] == 1
    assert why["summary"].startswith("Started by *hook*: ")


async def test_explain_of_a_manual_run_names_the_person(house):
    await house.deploy("big")
    receipt = await house.manual.start(LOCAL, "big", input=1)
    why = await house.explain.run(LOCAL, receipt.run_ids[0])
    assert why["summary"].startswith("Started by hand by local through ")


async def test_anything_can_be_explained_by_its_reference(house):
    await house.deploy("big", hook=HOOK, spare={"type": "webhook", "path": "x", "signature": "none"})
    receipt = await house.inbox.accept(order(5))
    assert (await house.explain.anything(LOCAL, receipt.event_id))["kind"] == "event"
    assert (await house.explain.anything(LOCAL, receipt.run_ids[0]))["kind"] == "run"
    named = await house.explain.anything(LOCAL, "big/hook")
    assert named["kind"] == "trigger"
    assert named["decisions"] == [] or named["decisions"][0]["event_id"] == receipt.event_id
    with pytest.raises(Conflict, match="several"):
        await house.explain.anything(LOCAL, "big")
    with pytest.raises(NotFound):
        await house.explain.anything(LOCAL, "nothing")


async def test_explain_of_a_schedule_at_a_time(house):
    await house.deploy("night", nightly={"type": "cron", "cron": "0 2 * * *", "timezone": "America/New_York"})
    await house.clock.advance(24 * 3600)
    assert await house.timer.tick() == 1
    due = from_iso("2027-01-06T07:00:00Z")
    ran = await house.explain.trigger(LOCAL, "night", due)
    assert ran["outcome"] == "run_started"
    assert ran["run_id"]
    assert ran["run_status"] == "QUEUED"
    assert "2027-01-06 02:00 EST and fired" in ran["summary"]
    cause = await house.explain.run(LOCAL, ran["run_id"])
    assert cause["summary"] == "Started by *nightly*, due 2027-01-06 02:00 EST, fired +5 h."
    assert cause["lateness_ms"] == 5 * 3600 * 1000

    never = await house.explain.trigger(LOCAL, "night/nightly", due + 3600 * SECOND_US)
    assert never["outcome"] == "not_scheduled"
    assert never["nearest"]["before"]["utc"] == "2027-01-06T07:00:00Z"
    assert never["nearest"]["after"]["utc"] == "2027-01-07T07:00:00Z"
    assert "is not a time of *nightly*" in never["summary"]

    future = await house.explain.trigger(LOCAL, "night", from_iso("2027-01-09T07:00:00Z"))
    assert future["outcome"] == "planned"
    before = await house.explain.trigger(LOCAL, "night", from_iso("2027-01-04T07:00:00Z"))
    assert before["outcome"] == "not_scheduled"
    assert "created later" in before["summary"]
    assert (await house.explain.trigger(LOCAL, "night"))["at"] == "2027-01-06T07:00:00Z"


async def test_explain_says_that_a_schedule_was_paused(house):
    await house.deploy("night", nightly={"type": "cron", "cron": "0 * * * *"})
    trigger_id = await house.trigger_id("nightly")
    await house.schedules.pause(LOCAL, trigger_id, reason="stocktaking")
    await house.clock.advance(3 * 3600)
    why = await house.explain.trigger(LOCAL, "night", NOON + 2 * 3600 * SECOND_US)
    assert why["outcome"] == "skipped"
    assert "paused (stocktaking)" in why["summary"]
    await house.schedules.resume(LOCAL, trigger_id)
    why = await house.explain.trigger(LOCAL, "night", NOON + 2 * 3600 * SECOND_US)
    assert why["reason"] == "missed_paused"
    assert "it was paused then" in why["summary"]

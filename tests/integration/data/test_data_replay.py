import pytest

from workflow_scheduler.core.errors import Conflict, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.services.held import Held
from workflow_scheduler.services.replay import REPLAY_MAX, ReplayRequest
from workflow_scheduler.stores.portable.events import EventFilter
from workflow_scheduler.testing.factories import make_event

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
HOOK = {"type": "webhook", "path": "orders", "signature": "none"}
ATTRIBUTES = b'{"method":"POST","path":"orders","headers":{}}'


async def heard(house, **given):
    return await house.inbox.accept(make_event(house.clock.now(), attributes=ATTRIBUTES, **given))


async def test_a_replayed_event_starts_a_new_run_that_remembers_the_first(house):
    await house.deploy("flow", hook=HOOK)
    first = await heard(house)
    done = await house.replay.replay(LOCAL, ReplayRequest(ids=[first.event_id]))
    assert (done["count"], done["runs"], done["more"]) == (1, 1, False)
    (item,) = done["items"]
    assert item["replay_of"] == first.event_id
    assert item["run_ids"] != first.run_ids
    run = await house.runs.show(LOCAL, item["run_ids"][0])
    assert run["replay_of"] == first.event_id
    assert run["input"] == {"amount": 120}
    assert run["cause"]["summary"].startswith(f"Replayed from event {first.event_id} through *hook*")
    event = await house.events.show(LOCAL, item["event_id"])
    assert event["replay_of"] == first.event_id
    assert event["event_key"] == f"replay:{first.event_id}:{item['event_id']}"
    original = await house.events.show(LOCAL, first.event_id)
    assert original["replay_of"] is None


async def test_every_replay_is_a_new_one(house):
    await house.deploy("flow", hook=HOOK)
    first = await heard(house)
    for _ in range(3):
        await house.replay.replay(LOCAL, ReplayRequest(ids=[first.event_id]))
    assert len((await house.runs.page(LOCAL)).items) == 4


async def test_a_dry_run_counts_events_and_runs_and_writes_nothing(house):
    await house.deploy("flow", hook={**HOOK, "condition": "event.data.amount > 100"})
    await heard(house, type="order")
    await heard(house, type="order", data=b'{"amount":1}')
    await heard(house, type="other", index_keys=("nobody",))
    counted = await house.replay.replay(LOCAL, ReplayRequest(wanted=EventFilter(), dry_run=True))
    assert counted["count"] == 3
    assert counted["by_type"] == {"order": 2, "other": 1}
    assert counted["runs"] == 1
    assert counted["by_workflow"] == {"flow": 1}
    assert len((await house.events.page(LOCAL)).items) == 3


async def test_a_filter_and_a_limit_choose_the_events(house):
    await house.deploy("flow", hook=HOOK)
    for _ in range(3):
        await heard(house, type="order")
    await heard(house, type="other")
    done = await house.replay.replay(LOCAL, ReplayRequest(wanted=EventFilter(type="order"), limit=2))
    assert done["count"] == 2
    assert done["more"] is True


async def test_what_is_not_there_is_reported(house):
    done = await house.replay.replay(LOCAL, ReplayRequest(ids=["nothing"]))
    assert done["count"] == 0
    assert done["failed"] == [{"id": "nothing", "error": {"code": "not_found", "message": "There is no such event."}}]
    with pytest.raises(ValidationFailed):
        await house.replay.replay(LOCAL, ReplayRequest())
    with pytest.raises(ValidationFailed):
        await house.replay.replay(LOCAL, ReplayRequest(ids=["x"] * (REPLAY_MAX + 1)))


async def test_another_tenants_events_are_not_replayed(house):
    await house.deploy("flow", hook=HOOK)
    first = await heard(house)
    stranger = Principal(tenant_id="other", user_id="eve")
    done = await house.replay.replay(stranger, ReplayRequest(ids=[first.event_id]))
    assert done["count"] == 0
    assert (await house.replay.replay(stranger, ReplayRequest(wanted=EventFilter(), dry_run=True)))["count"] == 0


async def test_a_manual_start_is_replayed_with_its_input(house):
    await house.deploy("flow")
    first = await house.manual.start(LOCAL, "flow", input={"a": 1})
    counted = await house.replay.replay(LOCAL, ReplayRequest(ids=[first.event_id], dry_run=True))
    assert counted["by_workflow"] == {"flow": 1}
    done = await house.replay.replay(LOCAL, ReplayRequest(ids=[first.event_id]))
    assert done["runs"] == 1
    run = await house.runs.show(LOCAL, done["items"][0]["run_ids"][0])
    assert run["input"] == {"a": 1}
    assert run["replay_of"] == first.event_id


async def test_a_schedules_fire_is_replayed_for_its_time(house):
    await house.deploy("flow", hourly={"type": "cron", "cron": "0 * * * *"})
    await house.clock.advance(3600)
    await house.timer.tick()
    (event,) = (await house.events.page(LOCAL)).items
    done = await house.replay.replay(LOCAL, ReplayRequest(ids=[event["id"]]))
    run = await house.runs.show(LOCAL, done["items"][0]["run_ids"][0])
    assert run["scheduled_for"] == "2027-01-05T13:00:00Z"


async def test_what_a_suspended_trigger_kept_is_released_once_or_discarded(house):
    await house.deploy("flow", hook=HOOK)
    (trigger,) = (await house.triggers.page(LOCAL)).items
    held = Held(house.store, house.clock, house.inbox)
    await house.triggers.set_mode(LOCAL, trigger["id"], "suspended")
    first, _, _ = [await heard(house) for _ in range(3)]
    with pytest.raises(Conflict, match="would start nothing"):
        await held.release(LOCAL, trigger["id"])
    await house.triggers.set_mode(LOCAL, trigger["id"], "enabled")
    done = await held.release(LOCAL, trigger["id"], 2)
    assert (done["count"], done["runs"], done["failed"], done["more"]) == (2, 2, [], True)
    assert await held.discard(LOCAL, trigger["id"]) == {"count": 1, "more": False}
    assert (await held.release(LOCAL, trigger["id"]))["count"] == 0
    runs = (await house.runs.page(LOCAL)).items
    assert len(runs) == 2
    assert first.event_id in {run["replay_of"] for run in runs}
    told = (await house.events.decisions(LOCAL, first.event_id)).items
    assert [(one["outcome"], one["reason"]) for one in told] == [("suspended", "released")]


async def test_what_could_not_be_decided_runs_when_a_person_releases_it(house):
    await house.deploy("flow", hook={**HOOK, "condition": "event.data.missing > 1", "on_unknown": "hold"})
    (trigger,) = (await house.triggers.page(LOCAL)).items
    receipt = await heard(house)
    assert [one.outcome for one in receipt.decisions] == ["held"]
    done = await Held(house.store, house.clock, house.inbox).release(LOCAL, trigger["id"])
    assert (done["count"], done["runs"]) == (1, 1)

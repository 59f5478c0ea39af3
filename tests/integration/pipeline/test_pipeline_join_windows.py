"""Workflows after others, whole: how many, which together, inside which window, and what becomes of a missed one."""

import asyncio

import msgspec
import pytest
from plant import Instance

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.model.system_event import SYSTEM_EVENTS
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, from_iso, to_iso
from workflow_scheduler.services.joins import Joins
from workflow_scheduler.stores.portable.retention import Sweeper


@pytest.fixture
async def upstreams(one):
    await one.deploy_by_hand("sales", "stock", "costs")
    return one


async def wait_for(instance, **config):
    await instance.deploy("report", {"after": {"type": "workflow", **config}})


async def on_day(instance, name, day):
    await instance.end_run(name, output=msgspec.json.encode({"day": day}))


async def runs_of(instance):
    rows = await instance.all("SELECT input FROM runs WHERE workflow = 'report' ORDER BY id")
    return [msgspec.json.decode(row[0]) for row in rows]


async def decisions(instance):
    rows = await instance.all(
        "SELECT d.outcome, d.reason, d.predicates FROM decisions d JOIN workflows w ON w.tenant_id = d.tenant_id "
        "AND w.id = d.workflow_id WHERE w.name = 'report' ORDER BY d.event_id"
    )
    return [(row[0], row[1], msgspec.json.decode(row[2])[-1]["note"]) for row in rows]


async def empty(instance):
    return await instance.count("join_members") == await instance.count("join_rounds") == 0


def go_to(instance, text):
    instance.clock.jump((from_iso(text) - instance.clock.now()) / 1e6)


async def test_at_least_two_of_three_fire_once_and_the_third_begins_anew(upstreams):
    await wait_for(upstreams, at_least=2, of=["sales", "stock", "costs"])
    await upstreams.end_run("sales")
    await upstreams.end_run("costs")
    await upstreams.end_run("stock")
    assert [set(one["members"]) for one in await runs_of(upstreams)] == [{"sales", "costs"}]
    assert await decisions(upstreams) == [
        ("absorbed", "waiting_for_members", "still missing: stock or costs"),
        ("run_started", "matched", None),
        ("absorbed", "waiting_for_members", "still missing: sales or costs"),
    ]


async def test_an_expression_and_members_that_are_only_handed_on(upstreams):
    members = [{"workflow": "sales", "name": "bad-sales", "condition": "on_failure"}, "costs"]
    await wait_for(upstreams, when="sales and stock or bad-sales", of=members)
    await upstreams.end_run("costs")
    await upstreams.end_run("sales")
    await upstreams.end_run("stock")
    await upstreams.end_run("sales", RunStatus.FAILED)
    found = [set(one["members"]) for one in await runs_of(upstreams)]
    assert found == [{"sales", "stock", "costs"}, {"bad-sales"}]
    assert (await decisions(upstreams))[0][2] == "still missing: (sales, stock) or bad-sales"


async def test_only_ends_with_the_same_value_come_together(upstreams):
    await wait_for(upstreams, all=["sales", "stock"], correlate_by="event.data.output.day")
    await on_day(upstreams, "sales", 1)
    await on_day(upstreams, "stock", 2)
    await on_day(upstreams, "sales", {"x" * 500: 3})
    await on_day(upstreams, "stock", {"x" * 500: 3})
    assert [one["correlation"] for one in await runs_of(upstreams)] == [{"x" * 500: 3}]
    await on_day(upstreams, "stock", 1)
    last = (await runs_of(upstreams))[1]
    assert (last["correlation"], set(last["members"])) == (1, {"sales", "stock"})
    assert await upstreams.count("join_rounds") == 1
    await upstreams.end_run("sales", output=b'{"other":1}')
    assert (await decisions(upstreams))[-1][:2] == ("filtered", "unknown_skipped")
    assert "`event.data.output.day` is missing" in (await decisions(upstreams))[-1][2]


async def test_rounds_of_values_that_never_come_again_are_given_up_in_the_end(upstreams):
    await wait_for(upstreams, all=["sales", "stock"], correlate_by="event.data.output.day")
    await on_day(upstreams, "sales", 1)
    upstreams.clock.jump(29 * 86_400)
    assert await upstreams.misses.settle_some() == 0
    upstreams.clock.jump(2 * 86_400)
    assert await upstreams.misses.settle_some() == 1
    assert await empty(upstreams)
    assert await runs_of(upstreams) == []


async def test_at_a_deadline_the_run_starts_with_what_is_there(upstreams):
    await wait_for(
        upstreams, all=["sales", "stock"], window={"kind": "deadline", "by": "08:00"}, on_miss="run", condition="true"
    )
    go_to(upstreams, "2027-03-14T07:00:00Z")
    sales = await upstreams.begin_run("stock")
    await upstreams.end_run("sales", output=b"7")
    assert await upstreams.misses.settle_some() == 0
    go_to(upstreams, "2027-03-14T08:00:01Z")
    assert await upstreams.misses.settle_some() == 1
    await upstreams.settle()
    (found,) = await runs_of(upstreams)
    assert found["missing"] == ["stock"]
    assert found["members"]["sales"]["output"] == 7
    assert (await decisions(upstreams))[-1] == ("run_started", "members_missed", "still missing: stock")
    await upstreams.engine.finish(sales, ended_at=from_iso("2027-03-14T07:59:00Z"))  # known too late
    await upstreams.settle()
    assert (await decisions(upstreams))[-1][:2] == ("filtered", "window_over")
    await upstreams.end_run("stock")
    await upstreams.end_run("sales")
    assert len(await runs_of(upstreams)) == 2
    upstreams.clock.jump(2 * 86_400)
    await upstreams.misses.settle_some()
    assert await empty(upstreams)


async def test_a_missed_round_is_told_once(upstreams, two):
    await wait_for(upstreams, all=["sales", "stock"], window={"kind": "session", "length": "1h"}, on_miss="tell")
    await two.hear()
    await upstreams.end_run("sales")
    await upstreams.clock.advance(3_590)
    await upstreams.end_run("sales")
    await upstreams.clock.advance(20)
    assert await upstreams.misses.settle_some() == 0  # each end keeps the session open
    await upstreams.clock.advance(3_600)
    await asyncio.gather(upstreams.misses.settle_some(), two.misses.settle_some())
    ((_, data),) = await upstreams.all("SELECT type, data FROM outbox WHERE type = 'dependency_missed'")
    told = msgspec.json.decode(data)
    assert (told["workflow_name"], told["missing"], told["arrived"]) == ("report", "stock", ["sales"])
    assert set(told) == set(SYSTEM_EVENTS["dependency_missed"])
    assert upstreams.facts + two.facts == 1
    assert await empty(upstreams)


async def test_an_end_that_comes_before_anybody_looked_closes_the_round_and_opens_the_next(upstreams):
    await wait_for(upstreams, all=["sales", "stock"], window={"length": "1h"}, on_miss="run")
    await upstreams.end_run("sales", output=b"1")
    await upstreams.clock.advance(3_700)
    await upstreams.end_run("stock")
    await upstreams.end_run("sales", output=b"2")
    assert [one["members"]["sales"]["output"] for one in await runs_of(upstreams)] == [2]
    while await upstreams.misses.settle_some():
        pass
    await upstreams.settle()
    _, second = await runs_of(upstreams)
    assert (second["missing"], second["members"]["sales"]["output"]) == (["stock"], 1)
    assert await empty(upstreams)


async def test_what_is_missed_on_two_instances_at_once_starts_one_run(upstreams, two):
    await wait_for(upstreams, all=["sales", "stock"], window={"kind": "tumbling", "length": "1h"}, on_miss="run")
    await two.hear()
    await upstreams.end_run("sales")
    await upstreams.clock.advance(3_601)
    await asyncio.gather(upstreams.misses.settle_some(), two.misses.settle_some())
    await upstreams.settle()
    await two.settle()
    assert len(await runs_of(upstreams)) == 1
    assert await upstreams.count("join_members") == 0


async def test_a_failure_between_run_and_clearing_up_starts_no_second_run(upstreams, store, clock):
    await wait_for(upstreams, all=["sales", "stock"], window={"length": "1h"}, on_miss="run")
    await upstreams.end_run("sales")
    await upstreams.clock.advance(3_601)
    accept = upstreams.inbox.accept

    async def lost(event):
        await accept(event)
        raise StoreUnavailable("the connection was lost")

    upstreams.inbox.accept = lost
    with pytest.raises(StoreUnavailable):
        await upstreams.misses.settle_some()
    later = Instance(store, clock, "later")
    await later.begin()
    await later.misses.settle_some()
    await later.settle()
    assert len(await runs_of(later)) == 1
    assert await empty(later)


async def test_a_trigger_that_is_disabled_records_the_miss_and_starts_nothing(upstreams):
    await wait_for(upstreams, all=["sales", "stock"], window={"length": "1h"}, on_miss="run")
    await upstreams.end_run("sales")
    await upstreams.write("UPDATE trigger_index SET mode = 'disabled' WHERE workflow_id IN "
                          "(SELECT id FROM workflows WHERE name = 'report')")  # fmt: skip
    await upstreams.cache.refresh()
    await upstreams.clock.advance(3_601)
    await upstreams.misses.settle_some()
    assert await runs_of(upstreams) == []
    assert (await decisions(upstreams))[-1][:2] == ("skipped", "trigger_disabled")
    assert await empty(upstreams)


async def test_a_round_whose_trigger_is_gone_is_cleared_up(upstreams):
    await wait_for(upstreams, all=["sales", "stock"], window={"length": "1h"}, on_miss="run")
    await upstreams.end_run("sales")
    await upstreams.deploy_by_hand("report")
    await upstreams.clock.advance(3_601)
    await upstreams.misses.settle_some()
    assert await empty(upstreams)
    assert await runs_of(upstreams) == []


async def test_a_window_that_forgets_is_cleared_up_a_day_later(upstreams):
    await wait_for(upstreams, all=["sales", "stock"], window="1h")
    await upstreams.end_run("sales")
    upstreams.clock.jump(23 * 3_600)
    assert await upstreams.misses.settle_some() == 0
    upstreams.clock.jump(2 * 3_600 + 1)
    assert await upstreams.misses.settle_some() == 1
    assert await empty(upstreams)


async def test_the_state_can_be_read_and_reset(upstreams, store):
    await wait_for(
        upstreams, at_least=2, of=["sales", "stock", {"workflow": "costs", "required": False}],
        correlate_by="event.data.output.day", window={"kind": "tumbling", "length": "1d"}, on_miss="tell",
    )  # fmt: skip
    await on_day(upstreams, "sales", 1)
    await on_day(upstreams, "stock", "two")
    await on_day(upstreams, "costs", "two")
    service = Joins(store, upstreams.cache.types)
    ((trigger,),) = await upstreams.all(
        "SELECT t.id FROM trigger_index t JOIN workflows w ON w.id = t.workflow_id WHERE w.name = 'report'"
    )
    page = await service.page(LOCAL, trigger)
    begin_at = upstreams.clock.now() // DAY_US * DAY_US
    assert (page["rule"], page["members"], page["optional"]) == ("at_least", ["sales", "stock"], ["costs"])
    found = {one["key"]: one for one in page["items"]}
    assert set(found) == {"1", '"two"'}
    two = found['"two"']
    assert (two["correlation"], two["missing"], two["summary"]) == ("two", ["sales"], "still missing: sales")
    assert {part["member"] for part in two["arrived"]} == {"stock", "costs"}
    assert two["window"] == {"from": to_iso(begin_at), "until": to_iso(begin_at + 24 * HOUR_US)}
    assert await service.reset(LOCAL, trigger, "1") == {"trigger_id": trigger, "reset": 1}
    assert [one["key"] for one in (await service.page(LOCAL, trigger))["items"]] == ['"two"']
    assert (await service.reset(LOCAL, trigger))["reset"] == 1
    assert await empty(upstreams)


async def test_no_end_is_used_twice_or_lost_whoever_hears_it(upstreams, two):
    """Ends of three workflows and two values arrive on two instances at once, in any order."""
    await wait_for(upstreams, at_least=2, of=["sales", "stock", "costs"], correlate_by="event.data.output.day")
    await two.hear()
    ends = [(name, day, at % 2) for at, (name, day) in enumerate(
        (name, day) for _ in range(5) for name in ("sales", "stock", "costs") for day in (1, 2))]  # fmt: skip
    for start in range(0, len(ends), 6):
        begun = []
        for name, day, place in ends[start : start + 6]:
            instance = (upstreams, two)[place]
            begun.append((instance, await instance.begin_run(name), msgspec.json.encode({"day": day})))
        await asyncio.gather(*(instance.engine.finish(run_id, output=output) for instance, run_id, output in begun))
    await upstreams.settle()
    await two.settle()
    runs = await runs_of(upstreams)
    used = [part["run_id"] for one in runs for part in one["members"].values()]
    assert len(used) == len(set(used))
    assert {len(one["members"]) for one in runs} == {2}
    assert all(part["output"]["day"] == one["correlation"] for one in runs for part in one["members"].values())
    outcomes = [outcome for outcome, _, _ in await decisions(upstreams)]
    assert (len(outcomes), outcomes.count("run_started")) == (len(ends), len(runs))
    kept = [row[0] for row in await upstreams.all("SELECT run_id FROM join_members")]
    assert not set(kept) & set(used)


async def test_what_waits_for_a_trigger_that_is_gone_is_forgotten_with_old_runs(upstreams, store):
    await wait_for(upstreams, all=["sales", "stock"])
    await upstreams.end_run("sales")
    later = upstreams.clock.now() + 1
    assert await Sweeper(store).rounds(later) == 0
    await upstreams.deploy_by_hand("report")
    assert await Sweeper(store).rounds(later - 10) == 0
    assert await Sweeper(store, portion=1).rounds(later) == 1
    assert await empty(upstreams)

"""Events that start fewer runs than there are, or start them later: each of them is accounted for."""

import asyncio
from collections import Counter

import msgspec
import pytest
from plant import Instance

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.pipeline.sources.shaped import Shaped


def on(**shape):
    return {"paid": {"type": "event", "event": "order_paid", **shape}}


def loop_of(instance):
    return Shaped(instance.store, instance.cache, instance.inbox, instance.clock)


async def send(instance, *numbers, **given):
    for number in numbers:
        await instance.inbox.accept(instance.event(data=msgspec.json.encode({"n": number}), **given))


async def later(instance, seconds):
    await instance.clock.advance(seconds)
    await loop_of(instance).settle_some()
    await instance.settle()


async def inputs(instance):
    rows = await instance.all("SELECT input FROM runs ORDER BY id")
    return [msgspec.json.decode(row[0]) for row in rows]


async def numbers(instance):
    return [[one["data"]["n"] for one in told["events"]] for told in await inputs(instance)]


async def reasons(instance):
    rows = await instance.all("SELECT reason, COUNT(*) FROM decisions GROUP BY reason")
    return dict(Counter({row[0]: row[1] for row in rows}))


async def nothing_is_left(instance):
    assert await instance.count("shape_groups") == 0
    assert await instance.count("shape_events") == 0


async def test_a_burst_starts_one_run_with_all_its_events_when_it_is_quiet(one):
    await one.deploy("orders", on(debounce="30s"))
    await send(one, 1)
    await later(one, 20)
    await send(one, 2, 3)
    await later(one, 29)
    assert await inputs(one) == []
    await later(one, 2)
    assert await numbers(one) == [[1, 2, 3]]
    assert await reasons(one) == {"debounced": 3, "matched": 1}
    await nothing_is_left(one)
    await send(one, 4)
    await later(one, 31)
    assert await numbers(one) == [[1, 2, 3], [4]]


async def test_a_burst_that_never_ends_waits_no_longer_than_max_wait(one):
    await one.deploy("orders", on(debounce={"quiet": "30s", "max_wait": "60s"}))
    for number in range(6):
        await send(one, number)
        await later(one, 12)
    assert await numbers(one) == [[0, 1, 2, 3, 4]]


async def test_each_value_of_the_key_is_a_burst_of_its_own(one):
    await one.deploy("orders", on(debounce={"quiet": "30s", "key": "event.data.n % 2"}))
    await send(one, 1, 2, 3)
    await later(one, 31)
    told = sorted(await inputs(one), key=lambda each: each["key"])
    assert [(each["key"], each["count"]) for each in told] == [(0, 1), (1, 2)]


async def test_a_batch_runs_when_it_is_full_or_its_time_is_over(one):
    await one.deploy("orders", on(batch={"size": 3, "time": "60s"}))
    await send(one, 1, 2, 3, 4)
    assert await numbers(one) == [[1, 2, 3]]
    await later(one, 61)
    assert await numbers(one) == [[1, 2, 3], [4]]
    assert await reasons(one) == {"batched": 3, "matched": 2}
    await nothing_is_left(one)


async def test_a_threshold_counts_only_what_came_within_its_window(one):
    await one.deploy("orders", on(threshold={"count": 3, "window": "60s"}))
    await send(one, 1, 2)
    await later(one, 61)
    await send(one, 3, 4)
    assert await inputs(one) == []
    await send(one, 5)
    assert await numbers(one) == [[3, 4, 5]]
    assert (await reasons(one))["below_threshold"] == 4
    await later(one, 61)
    await nothing_is_left(one)


async def test_silence_after_the_deployment_or_the_last_event_starts_one_run(one):
    await one.deploy("orders", on(absence="60s"))
    await later(one, 61)
    assert [told["count"] for told in await inputs(one)] == [0]
    await later(one, 61)
    assert len(await inputs(one)) == 1
    await send(one, 1)
    await later(one, 40)
    await send(one, 2)
    await later(one, 40)
    assert len(await inputs(one)) == 1
    await later(one, 21)
    assert [told["count"] for told in await inputs(one)] == [0, 2]
    assert (await reasons(one))["heard"] == 2


async def test_a_limit_lets_so_many_through_in_any_time_and_records_the_others(one):
    await one.deploy("orders", on(rate_limit="2/m"))
    await send(one, 1, 2, 3)
    assert await reasons(one) == {"matched": 2, "rate_exceeded": 1}
    await later(one, 59)
    await send(one, 4)
    assert (await reasons(one))["rate_exceeded"] == 2
    await later(one, 2)
    await send(one, 5)
    assert (await reasons(one))["matched"] == 3


async def test_triggers_of_a_workflow_can_share_a_limit(one):
    limit = {"rate_limit": {"rate": "1/m", "scope": "workflow"}}
    await one.deploy("orders", {"a": {**on()["paid"], **limit}, "b": {"type": "event", "event": "order_sent", **limit}})
    await send(one, 1)
    await send(one, 2, type="order_sent")
    assert await reasons(one) == {"matched": 1, "rate_exceeded": 1}


async def test_each_value_of_a_key_has_a_limit_and_a_rate_of_its_own(one):
    keyed = {"rate": "1/m", "key": "event.data.n % 2"}
    await one.deploy("orders", {"few": on(rate_limit=keyed)["paid"], "slow": on(throttle=keyed)["paid"]})
    await send(one, 1, 2, 3)
    assert await reasons(one) == {"matched": 4, "rate_exceeded": 1, "throttled": 1}
    rows = await one.all("SELECT predicates FROM decisions WHERE reason = 'rate_exceeded'")
    assert msgspec.json.decode(rows[0][0])[-1]["note"] == "for 1"
    await later(one, 61)
    assert (await reasons(one))["matched"] == 5


async def test_what_is_throttled_starts_later_in_order_and_once(one):
    await one.deploy("orders", on(throttle="2/10s"))
    await send(one, 1, 2, 3, 4, 5)
    assert [told["n"] for told in await inputs(one)] == [1, 2]
    assert (await reasons(one))["throttled"] == 3
    await later(one, 11)
    assert [told["n"] for told in await inputs(one)] == [1, 2, 3, 4]
    await later(one, 11)
    assert [told["n"] for told in await inputs(one)] == [1, 2, 3, 4, 5]
    await later(one, 30)
    assert await one.count("runs") == 5
    await nothing_is_left(one)


async def test_what_says_the_same_counts_once_within_its_window(one):
    await one.deploy("orders", on(unique={"key": "event.data.n", "window": "10m"}))
    await send(one, 1, 1, 2)
    assert await reasons(one) == {"matched": 2, "repeated": 1}
    await later(one, 601)
    await nothing_is_left(one)
    await send(one, 1)
    assert (await reasons(one))["matched"] == 3


async def test_what_is_too_old_starts_nothing(one):
    await one.deploy("orders", on(ttl="1h"))
    for age in (3601, 3599):
        await one.inbox.accept(msgspec.structs.replace(one.event(), time=one.clock.now() - age * SECOND_US))
    assert await reasons(one) == {"expired": 1, "matched": 1}


async def test_a_burst_of_a_trigger_that_was_switched_off_is_decided_and_forgotten(one):
    await one.deploy("orders", on(debounce="30s"))
    await send(one, 1)
    await one.write("UPDATE trigger_index SET mode = 'disabled'")
    await one.write("UPDATE index_epoch SET epoch = epoch + 1")
    await one.cache.refresh()
    await later(one, 31)
    assert await reasons(one) == {"debounced": 1, "trigger_disabled": 1}
    await nothing_is_left(one)


async def test_an_event_of_others_that_calls_itself_due_is_an_event_like_any(one):
    trigger = {"type": "event", "event": "shape_due", "debounce": "30s"}
    await one.deploy("orders", {"paid": trigger})
    await send(one, 1, 2, type="shape_due")
    assert await reasons(one) == {"debounced": 2}
    await later(one, 31)
    assert await numbers(one) == [[1, 2]]


async def test_a_group_whose_time_has_come_keeps_to_the_rate_as_well(one):
    throttle = {"rate": "1/m", "key": "event.data.n > 0"}
    await one.deploy("orders", on(debounce={"quiet": "10s", "key": "event.data.n"}, throttle=throttle))
    await send(one, 1, 2)
    await later(one, 11)
    assert len(await inputs(one)) == 1
    assert await reasons(one) == {"debounced": 2, "matched": 1, "throttled": 1}
    await later(one, 61)
    assert sorted(await numbers(one)) == [[1], [2]]
    await later(one, 61)
    await nothing_is_left(one)


async def test_a_group_runs_with_its_events_although_the_trigger_has_no_shape_any_more(one):
    await one.deploy("orders", on(debounce="30s"))
    await send(one, 1, 2)
    plain = on(input={"nothing": "of this"}, condition="event.data.n > 7")
    await one.deploy("orders", plain)
    await later(one, 31)
    assert await numbers(one) == [[1, 2]]
    await nothing_is_left(one)


async def test_what_was_throttled_runs_with_its_event_although_the_trigger_has_no_shape_any_more(one):
    await one.deploy("orders", on(throttle="1/m"))
    await send(one, 1, 2)
    await one.deploy("orders", on(condition="event.data.n > 7"))
    await later(one, 61)
    assert [told["n"] for told in await inputs(one)] == [1, 2]


async def test_the_run_of_a_group_has_the_overlap_key_of_its_last_event(one):
    overlap = {"policy": "queue_all", "key": "event.data.n"}
    await one.deploy("orders", on(debounce={"quiet": "10s", "key": "event.data.n"}, throttle="1/m", overlap=overlap))
    await send(one, 1, 2)
    for _ in range(3):
        await later(one, 61)
    rows = await one.all("SELECT input, overlap_key FROM runs")
    keys = {msgspec.json.decode(row[0])["key"]: row[1].rpartition(":")[2] for row in rows}
    assert keys == {1: "1", 2: "2"}


async def test_what_all_of_several_workflows_brought_gathers_as_events_do(one):
    await one.deploy_by_hand("sales", "stock")
    after = {"type": "workflow", "all": ["sales", "stock"], "debounce": "30s"}
    await one.deploy("report", {"after": after})
    for name in ("sales", "stock"):
        await one.end_run(name)
    await later(one, 31)
    rows = await one.all("SELECT input FROM runs WHERE workflow = 'report'")
    assert [msgspec.json.decode(row[0])["count"] for row in rows] == [1]
    await nothing_is_left(one)


async def test_two_instances_start_the_run_of_a_burst_once(one, two):
    await one.deploy("orders", on(debounce="30s", throttle="100/m"))
    await two.hear()
    await asyncio.gather(send(one, 1, 2, 3), send(two, 4, 5, 6))
    await one.clock.advance(31)
    await asyncio.gather(*(loop_of(each).settle_some() for each in (one, two, one)))
    await one.settle()
    ((told,),) = [await numbers(one)]
    assert sorted(told) == [1, 2, 3, 4, 5, 6]
    await later(one, 61)
    await nothing_is_left(one)


async def test_a_lost_answer_of_the_database_doubles_nothing(one):
    await one.deploy("orders", on(batch={"size": 2, "time": "60s"}))
    one.store.lose = 1
    sent = one.event(data=b'{"n":1}', key="a")
    with pytest.raises(SchedulerError):
        await one.inbox.accept(sent)
    await one.inbox.accept(one.event(data=b'{"n":1}', key="a"))
    await send(one, 2)
    assert await numbers(one) == [[1, 2]]


async def test_a_flood_is_accounted_for_event_by_event(one):
    await one.deploy("orders", {
        "burst": {**on(debounce="30s")["paid"]}, "some": on(batch={"size": 100, "time": "60s"})["paid"],
        "slow": on(throttle="50/s")["paid"], "few": on(rate_limit="10/m")["paid"],
    })  # fmt: skip
    count = 1_000
    await one.inbox.accept_all([one.event(data=msgspec.json.encode({"n": number})) for number in range(count)])
    rows = await one.all(
        "SELECT t.name, d.outcome, COUNT(*) FROM decisions d JOIN trigger_index t ON t.id = d.trigger_id "
        "GROUP BY t.name, d.outcome"
    )
    found = {(row[0], row[1]): row[2] for row in rows}
    assert found["few", "run_started"] == 10
    assert found["few", "skipped"] == count - 10
    assert found["slow", "run_started"] == 50
    assert found["slow", "deferred"] == count - 50
    assert found["some", "run_started"] == count // 100
    assert found["some", "absorbed"] == count - count // 100
    assert sum(number for (name, _), number in found.items() if name == "burst") == count


@pytest.fixture
async def two(one, new_store, clock):
    """A second instance on the same database; SQLite has only one process, and so one store."""
    if one.store.dialect == "sqlite":
        instance = Instance(one.store._store, clock, "two")
        await instance.begin()
        yield instance
        return
    store = new_store()
    await store.open()
    instance = Instance(store, clock, "two")
    await instance.begin()
    yield instance
    await store.close()


async def test_a_pattern_chooses_events_and_says_what_did_not_match(one):
    await one.deploy("orders", on(pattern={"detail": {"n": [{"numeric": [">", 1]}]}, "source": ["/shop"]}))
    await send(one, 1, 2)
    assert await reasons(one) == {"pattern_false": 1, "matched": 1}
    rows = await one.all("SELECT predicates FROM decisions WHERE reason = 'pattern_false'")
    line = msgspec.json.decode(rows[0][0])[-1]
    assert (line["name"], line["actual"]) == ("pattern detail.n", 1)

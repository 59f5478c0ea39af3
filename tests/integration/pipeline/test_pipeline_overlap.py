"""Fires while an earlier run is under way: every policy and scope, on both stores, with several instances."""

import asyncio

import msgspec
import pytest
from lanes import decided, end_first, fire, on_event, rest, runs

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.model.run import RunStatus


async def test_allow_lets_every_fire_start_and_keeps_no_key(one):
    await one.deploy("bills", on_event("allow"))
    for number in range(3):
        await fire(one, number)
    assert len(one.engine.tasks) == 3
    assert await one.all("SELECT count(*) FROM runs WHERE overlap_key IS NOT NULL") == [(0,)]


async def test_skip_records_the_fire_and_names_the_run_that_stood_in_the_way(one):
    await one.deploy("bills", on_event("skip"))
    first = await fire(one, 1)
    second = await fire(one, 2)
    assert second.run_ids == []
    assert await decided(one) == [("run_started", "matched"), ("skipped", "overlap_skipped")]
    rows = await one.all("SELECT predicates FROM decisions ORDER BY event_id DESC LIMIT 1")
    line = msgspec.json.decode(rows[0][0])[-1]
    assert (line["name"], line["verdict"]) == ("overlap", False)
    assert line["note"] == f"run {first.run_ids[0]} was still under way"
    await end_first(one)
    assert (await fire(one, 3)).run_ids != []
    assert await runs(one) == [(1, "SUCCEEDED"), (3, "QUEUED")]


async def test_queue_all_runs_one_after_the_other_in_order(one):
    await one.deploy("bills", on_event("queue_all"))
    for number in range(5):
        await fire(one, number)
    started = []
    while one.engine.tasks:
        assert len(one.engine.tasks) == 1
        started.append(await end_first(one))
    assert len(started) == 5
    assert started == sorted(started)
    assert await decided(one) == [("run_started", "matched")] + [("deferred", "overlap_queued")] * 4
    assert [status for _, status in await runs(one)] == ["SUCCEEDED"] * 5


async def test_queue_all_skips_beyond_its_limit(one):
    await one.deploy("bills", on_event({"policy": "queue_all", "limit": 2}))
    for number in range(5):
        await fire(one, number)
    assert await decided(one) == [
        ("run_started", "matched"), ("deferred", "overlap_queued"), ("deferred", "overlap_queued"),
        ("skipped", "overlap_queue_full"), ("skipped", "overlap_queue_full"),
    ]  # fmt: skip
    assert len(await runs(one)) == 3


async def test_queue_one_keeps_the_newest_that_waits(one):
    await one.deploy("bills", on_event("queue_one"))
    for number in range(4):
        await fire(one, number)
    assert await runs(one) == [(0, "QUEUED"), (1, "CANCELLED"), (2, "CANCELLED"), (3, "QUEUED")]
    assert await decided(one) == [
        ("run_started", "matched"), ("skipped", "overlap_superseded"), ("skipped", "overlap_superseded"),
        ("deferred", "overlap_queued"),
    ]  # fmt: skip
    rows = await one.all("SELECT error FROM runs WHERE status = 'CANCELLED'")
    assert {msgspec.json.decode(row[0])["code"] for row in rows} == {"overlap_superseded"}
    await end_first(one)
    assert len(one.engine.tasks) == 1
    await end_first(one)
    assert await runs(one) == [(0, "SUCCEEDED"), (1, "CANCELLED"), (2, "CANCELLED"), (3, "SUCCEEDED")]


async def test_cancel_running_asks_the_run_to_stop_and_waits_until_it_has(one):
    await one.deploy("bills", on_event("cancel_running"))
    (first,) = (await fire(one, 1)).run_ids
    (second,) = (await fire(one, 2)).run_ids
    assert one.engine.cancelled == [first]
    assert list(one.engine.tasks) == [first]
    (third,) = (await fire(one, 3)).run_ids
    await end_first(one, RunStatus.CANCELLED)
    assert list(one.engine.tasks) == [third]
    assert await runs(one) == [(1, "CANCELLED"), (2, "CANCELLED"), (3, "QUEUED")]
    assert second not in one.engine.started


async def test_terminate_running_ends_the_run_at_once_and_starts(one):
    await one.deploy("bills", on_event("terminate_running"))
    (first,) = (await fire(one, 1)).run_ids
    await one.write("INSERT INTO jobs (tenant_id, run_id, job_id, status) VALUES ('local', :run, 'work', 'RUNNING')",
                    run=first)  # fmt: skip
    (second,) = (await fire(one, 2)).run_ids
    assert list(one.engine.tasks) == [second]
    assert await runs(one) == [(1, "CANCELLED"), (2, "QUEUED")]
    assert await one.all("SELECT status FROM jobs") == [("CANCELLED",)]
    assert await one.all("SELECT fence FROM runs WHERE id = :id", id=first) == [(2,)]
    assert await decided(one) == [("run_started", "matched")] * 2
    await end_first(one)
    assert await runs(one) == [(1, "CANCELLED"), (2, "SUCCEEDED")]


async def test_ends_that_a_fire_brings_about_are_heard_by_other_workflows(one):
    await one.deploy("bills", on_event("terminate_running"))
    await one.deploy("watch", {"ends": {"type": "event", "event": "workflow_cancelled"}})
    await fire(one, 1)
    await fire(one, 2)
    rows = await one.all("SELECT input FROM runs WHERE workflow = 'watch'")
    assert [msgspec.json.decode(row[0])["workflow_name"] for row in rows] == ["bills"]
    assert len(one.engine.tasks) == 2


async def test_the_scope_workflow_counts_runs_of_every_trigger(one):
    triggers = {**on_event({"policy": "skip", "scope": "workflow"}), "by_hand": {"type": "manual"}}
    await one.deploy("bills", triggers)
    await one.manual.start(LOCAL, "bills")
    await rest(one)
    assert (await fire(one, 1)).run_ids == []
    await end_first(one)
    assert len((await fire(one, 2)).run_ids) == 1
    assert len((await one.manual.start(LOCAL, "bills")).run_ids) == 1


async def test_the_rule_of_a_workflow_holds_for_triggers_without_one(one):
    await one.deploy("bills", {"paid": {"type": "event", "event": "order_paid"}}, overlap="skip")
    await fire(one, 1)
    assert (await fire(one, 2)).run_ids == []
    assert len((await one.manual.start(LOCAL, "bills")).run_ids) == 1
    assert (await one.manual.start(LOCAL, "bills")).run_ids == []


async def test_the_scope_key_lets_different_values_run_side_by_side(one):
    await one.deploy("bills", on_event({"policy": "queue_all", "key": "event.data.customer"}))
    for number, customer in enumerate(["a", "b", "a", "a", {"deep": ["b"]}, "b"]):
        await fire(one, number, customer=customer)
    await fire(one, 6)
    assert len(one.engine.tasks) == 4
    while one.engine.tasks:
        await end_first(one)
    assert [status for _, status in await runs(one)] == ["SUCCEEDED"] * 7


async def test_a_waiting_run_that_somebody_cancels_ends_and_the_next_one_has_its_turn(one):
    await one.deploy("bills", on_event("queue_all"))
    ids = [(await fire(one, number)).run_ids[0] for number in range(3)]
    await one.launcher.cancel("local", ids[1])
    await rest(one)
    assert await runs(one) == [(0, "QUEUED"), (1, "CANCELLED"), (2, "QUEUED")]
    assert list(one.engine.tasks) == [ids[0]]
    await end_first(one)
    assert list(one.engine.tasks) == [ids[2]]


async def test_the_instance_that_ends_a_run_launches_the_next_one(one, two):
    await one.deploy("bills", on_event("queue_all"))
    await two.hear()
    (first,) = (await fire(one, 1)).run_ids
    (second,) = (await fire(two, 2)).run_ids
    assert not two.engine.tasks
    await one.engine.finish(first)
    await rest(one)
    assert list(one.engine.tasks) == [second]
    assert not two.engine.tasks


async def test_a_run_that_another_instance_ended_is_let_go_with_the_next_heartbeat(one, two):
    await one.deploy("bills", on_event("terminate_running"))
    await two.hear()
    (first,) = (await fire(one, 1)).run_ids
    (second,) = (await fire(two, 2)).run_ids
    assert list(two.engine.tasks) == [second]
    await one.recovery._let_go_ended()
    assert first not in one.engine.tasks
    assert not one.launcher.alone


async def test_two_instances_that_decide_at_once_start_one_run(one, two):
    await one.deploy("bills", on_event("skip"))
    await two.hear()
    for number in range(20):
        events = [(side, side.event(key=f"{number}-{side.owner}", data=b'{"n":1}')) for side in (one, two)]
        await asyncio.gather(*(side.inbox.accept(event) for side, event in events))
        await rest(one)
        await rest(two)
        assert len(one.engine.tasks) + len(two.engine.tasks) == 1
        side = one if one.engine.tasks else two
        await end_first(side)
    assert await one.count("runs") == 20
    assert await one.count("decisions") == 40


@pytest.mark.parametrize(
    ("policy", "stored", "after_the_first", "outcomes"),
    [
        ("skip", 1, 0, {"run_started": 1, "skipped": 999}),
        ("queue_one", 1000, 1, {"run_started": 1, "deferred": 1, "skipped": 998}),
        ("queue_all", 101, 100, {"run_started": 1, "deferred": 100, "skipped": 899}),
        ("cancel_running", 1000, 1, {"run_started": 1, "deferred": 1, "skipped": 998}),
        ("terminate_running", 1000, 0, {"run_started": 1000}),
    ],
)
async def test_a_thousand_fires_at_once_from_two_instances(one, two, policy, stored, after_the_first, outcomes):
    await one.deploy("bills", on_event({"policy": policy, **({"limit": 100} if policy == "queue_all" else {})}))
    await two.hear()
    sides = (one, two)
    events = [(sides[number % 2], f"e{number}") for number in range(1000)]
    await asyncio.gather(*(side.inbox.accept(side.event(key=key, data=b'{"n":1}')) for side, key in events))
    for side in sides:
        await rest(side)
    assert await one.count("runs") == stored
    rows = await one.all("SELECT outcome, count(*) FROM decisions GROUP BY outcome")
    assert {row[0]: row[1] for row in rows} == outcomes
    for side in sides:
        await side.recovery._let_go_ended()
    assert len(one.engine.tasks) + len(two.engine.tasks) == 1
    ended = 0
    while one.engine.tasks or two.engine.tasks:
        assert len(one.engine.tasks) + len(two.engine.tasks) == 1
        await end_first(one if one.engine.tasks else two)
        ended += 1
    assert ended == 1 + after_the_first
    assert await one.all("SELECT count(*) FROM runs WHERE status = 'QUEUED'") == [(0,)]


async def test_an_event_that_was_stored_before_neither_waits_nor_ends_anything(one):
    await one.deploy("bills", on_event("terminate_running"))
    (first,) = (await fire(one, 1)).run_ids
    assert (await fire(one, 1)).duplicate
    assert list(one.engine.tasks) == [first]

"""Limits of runs, by workflow and key, counted in the store for all instances, and priorities; on both stores."""

import random

import msgspec
import pytest
from lanes import decided, end_first, fire, rest, runs

from workflow_scheduler.core.model.run import RunStatus

PAID = {"paid": {"type": "event", "event": "order_paid"}}
BY_CUSTOMER = {"max_runs": 2, "key": "event.data.customer"}


async def deployed(instance, triggers=None, **concurrency):
    instance.definitions.rules = msgspec.structs.replace(instance.definitions.rules, several=True)
    await instance.deploy("bills", triggers or PAID, concurrency=concurrency)


def under_way(*instances):
    return sum(len(instance.engine.tasks) for instance in instances)


async def test_each_key_has_its_own_places_and_the_others_wait_in_order(one):
    await deployed(one, **BY_CUSTOMER)
    for number, customer in enumerate("aaabab"):
        await fire(one, number, customer=customer)
    assert await decided(one) == [("run_started", "matched")] * 2 + [
        ("deferred", "queued_concurrency"), ("run_started", "matched"), ("deferred", "queued_concurrency"),
        ("run_started", "matched"),
    ]  # fmt: skip
    started = []
    while one.engine.tasks:
        started.append(await end_first(one))
    assert len(started) == 6
    assert {status for _, status in await runs(one)} == {"SUCCEEDED"}


async def test_a_limit_can_leave_out_what_is_beyond_it_and_says_why(one):
    await deployed(one, max_runs=2, on_limit="skip")
    for number in range(4):
        await fire(one, number)
    assert await decided(one) == [("run_started", "matched")] * 2 + [("skipped", "concurrency_skipped")] * 2
    rows = await one.all("SELECT predicates FROM decisions ORDER BY event_id DESC LIMIT 1")
    line = msgspec.json.decode(rows[0][0])[-1]
    assert (line["name"], line["verdict"]) == ("concurrency", False)
    assert line["expected"] == "fewer than 2 runs of this workflow under way, and none waiting"
    await end_first(one)
    assert (await fire(one, 5)).run_ids != []


async def test_several_instances_keep_to_one_limit(one, two):
    await deployed(one, max_runs=3)
    await two.cache.refresh()
    for number in range(8):
        await fire((one, two)[number % 2], number)
    assert under_way(one, two) == 3
    for _ in range(8):
        busy = one if one.engine.tasks else two
        await end_first(busy)
        await rest(one)
        await rest(two)
        assert under_way(one, two) <= 3
    assert {status for _, status in await runs(one)} == {"SUCCEEDED"}


async def test_of_those_that_wait_the_higher_priority_goes_first_and_the_older_among_equals(one):
    triggers = {
        name: {
            "type": "event",
            "event": "order_paid",
            "condition": f"event.data.kind == '{name}'",
            "priority": priority,
        }
        for name, priority in (("low", "low"), ("plain", 0), ("urgent", 80))
    }
    await deployed(one, triggers, max_runs=1)
    for number, kind in enumerate(("plain", "low", "plain", "urgent", "urgent")):
        await fire(one, number, kind=kind)
    order = []
    while one.engine.tasks:
        (task,) = one.engine.tasks.values()
        order.append((msgspec.json.decode(task.run.input)["n"], task.run.priority))
        await end_first(one)
    assert order == [(0, 0), (3, 80), (4, 80), (2, 0), (1, -50)]


async def test_what_waits_goes_by_the_limit_of_the_live_version(one):
    await deployed(one, max_runs=1)
    for number in range(5):
        await fire(one, number)
    assert under_way(one) == 1
    await deployed(one, max_runs=3)
    await one.cache.refresh()
    await end_first(one)
    assert under_way(one) == 3
    await deployed(one, max_runs=1)
    await one.cache.refresh()
    await end_first(one)
    await end_first(one)
    assert under_way(one) == 1


async def test_a_place_that_a_failed_run_left_is_taken_and_a_redriven_run_takes_a_free_one(one):
    await deployed(one, max_runs=2)
    for number in range(3):
        await fire(one, number)
    await end_first(one, RunStatus.FAILED)
    assert under_way(one) == 2
    await end_first(one)
    assert under_way(one) == 1
    await fire(one, 3)
    assert under_way(one) == 2


async def test_a_plain_limit_of_one_process_is_not_written_into_triggers(one):
    await one.deploy("bills", PAID, concurrency={"max_runs": 2})
    await fire(one, 1)
    assert await one.all("SELECT overlap_key FROM runs") == [(None,)]


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_comes_and_ends_no_limit_is_passed_and_every_run_ends(one, two, seed):
    draw = random.Random(seed)  # noqa: S311 -- a seed repeats the case
    await deployed(one, **BY_CUSTOMER)
    await two.cache.refresh()
    left = 14
    while left or under_way(one, two):
        busy = [instance for instance in (one, two) if instance.engine.tasks]
        if left and (not busy or draw.random() < 0.6):
            left -= 1
            await fire(draw.choice((one, two)), left, customer=draw.choice("ab"))
        else:
            instance = draw.choice(busy)
            await instance.engine.finish(draw.choice(sorted(instance.engine.tasks)))
        await rest(one)
        await rest(two)
        customers = [
            msgspec.json.decode(task.run.input)["customer"]
            for instance in (one, two)
            for task in instance.engine.tasks.values()
        ]
        assert max(customers.count("a"), customers.count("b")) <= 2
    assert {status for _, status in await runs(one)} == {"SUCCEEDED"}

"""Runs that must not overlap: lost connections, dead instances, schedules, and what is put back."""

import asyncio

import pytest
from lanes import end_first, fire, on_event, rest

from workflow_scheduler.core.model.run import RunStatus


async def test_a_lost_connection_after_the_end_still_gives_the_next_run_its_turn(one):
    await one.deploy("bills", on_event("queue_all"))
    (first,) = (await fire(one, 1)).run_ids
    (second,) = (await fire(one, 2)).run_ids
    one.store.lose = 1
    ending = asyncio.ensure_future(one.engine.finish(first))
    for _ in range(10):
        await rest(one)
        await one.clock.advance(1)
    await ending
    await one.recovery.take_over()
    await rest(one)
    assert list(one.engine.tasks) == [second]


async def test_a_lost_connection_after_the_fire_launches_what_was_to_start_and_nothing_else(one):
    await one.deploy("bills", on_event("queue_all"))
    for number in range(2):
        one.store.lose = 1
        accepting = asyncio.ensure_future(one.inbox.accept(one.event(key=f"k{number}")))
        for _ in range(30):
            await rest(one)
            await one.clock.advance(1)
        with pytest.raises(Exception, match="connection"):
            await accepting
    assert len(one.engine.tasks) == 1
    await end_first(one)
    assert len(one.engine.tasks) == 1


async def test_runs_of_a_dead_instance_keep_their_turn_and_those_that_wait_keep_waiting(one, two, clock):
    await one.deploy("bills", on_event("queue_all"))
    await two.hear()
    ids = [(await fire(one, number)).run_ids[0] for number in range(3)]
    await clock.advance(one.recovery.lease_seconds + 1)
    await two.recovery.take_over()
    await rest(two)
    assert list(two.engine.tasks) == [ids[0]]
    for expected in (ids[1], ids[2]):
        await end_first(two)
        assert list(two.engine.tasks) == [expected]
    rows = await two.all("SELECT deliveries FROM runs ORDER BY id")
    assert [row[0] for row in rows] == [2, 1, 1]


async def test_a_run_that_waits_for_nobody_is_woken(one):
    await one.deploy("bills", on_event("queue_all"))
    (first,) = (await fire(one, 1)).run_ids
    (second,) = (await fire(one, 2)).run_ids
    one.engine.tasks.clear()
    await one.write("DELETE FROM runs WHERE id = :id", id=first)
    await one.recovery.take_over()
    await one.recovery.take_over()
    await rest(one)
    assert list(one.engine.tasks) == [second]


async def test_a_redriven_run_waits_for_its_turn(one):
    await one.deploy("bills", on_event("skip"))
    (first,) = (await fire(one, 1)).run_ids
    await end_first(one, RunStatus.FAILED)
    await one.write(
        "INSERT INTO dead_letters (tenant_id, id, kind, run_id, reason, detail, payload, attempts, created_at) "
        "SELECT 'local', 'letter', 'run', :run, 'poison', 'x', input, 1, 0 FROM runs WHERE id = :run",
        run=first,
    )
    (second,) = (await fire(one, 2)).run_ids
    await one.redrive.redrive("local", "letter")
    await rest(one)
    assert list(one.engine.tasks) == [second]
    await end_first(one)
    assert list(one.engine.tasks) == [first]


def every_minute(overlap, **more):
    return {"tick": {"type": "interval", "every": "1m", "overlap": overlap, **more}}


async def ledger(instance):
    rows = await instance.all("SELECT outcome, reason, run_id IS NOT NULL FROM occurrences ORDER BY nominal")
    return [(row[0], row[1], bool(row[2])) for row in rows]


async def minutes(instance, count):
    for _ in range(count):
        await instance.clock.advance(60)
        await instance.timer.tick()
        await rest(instance)


async def test_fires_of_a_schedule_are_recorded_with_what_the_policy_made_of_them(one):
    await one.deploy("ticks", every_minute("skip"))
    await one.deploy("free", {"tick": {"type": "interval", "every": "1m"}})
    await minutes(one, 3)
    rows = await one.all(
        "SELECT o.outcome, o.reason, o.note FROM occurrences o JOIN schedules s ON s.trigger_id = o.trigger_id "
        "JOIN workflows w ON w.id = s.workflow_id WHERE w.name = 'ticks' ORDER BY nominal"
    )
    assert [row[:2] for row in rows] == [("run_started", "matched")] + [("skipped", "overlap_skipped")] * 2
    assert rows[1][2].endswith("was still under way")
    assert await one.all("SELECT count(*) FROM runs WHERE workflow = 'free'") == [(3,)]
    assert await one.all("SELECT count(*) FROM runs WHERE workflow = 'ticks'") == [(1,)]


async def test_a_fire_that_a_later_one_replaced_says_so_in_the_ledger(one):
    await one.deploy("ticks", every_minute("queue_one"))
    await minutes(one, 3)
    assert await ledger(one) == [
        ("run_started", "matched", True), ("skipped", "overlap_superseded", True), ("deferred", "overlap_queued", True)
    ]  # fmt: skip


async def test_fires_that_are_caught_up_take_their_turns_in_one_go(one):
    await one.deploy("ticks", every_minute("queue_all", catchup="all"))
    await one.clock.advance(600)
    await one.timer.tick()
    await rest(one)
    assert [line[0] for line in await ledger(one)] == ["run_started"] + ["deferred"] * 9
    started = []
    while one.engine.tasks:
        started.append(await end_first(one))
    rows = await one.all("SELECT id FROM runs ORDER BY scheduled_for")
    assert [row[0] for row in rows] == started
    assert len(started) == 10


async def test_two_instances_that_fire_the_same_schedules_decide_each_once(one, two):
    triggers = {f"t{number}": every_minute("queue_one")["tick"] for number in range(150)}
    await one.deploy("ticks", triggers)
    await two.hear()
    for _ in range(3):
        await one.clock.advance(60)
        await asyncio.gather(one.timer.tick(), two.timer.tick())
        await rest(one)
        await rest(two)
    rows = await one.all("SELECT outcome, count(*) FROM occurrences GROUP BY outcome")
    assert dict(rows) == {"run_started": 150, "skipped": 150, "deferred": 150}
    assert len(one.engine.tasks) + len(two.engine.tasks) == 150


async def test_fires_that_are_caught_up_replace_each_other_in_the_ledger_as_well(one):
    await one.deploy("ticks", every_minute("queue_one", catchup="all"))
    await one.clock.advance(300)
    await one.timer.tick()
    await rest(one)
    superseded = ("skipped", "overlap_superseded", True)
    assert await ledger(one) == [
        ("run_started", "matched", True), superseded, superseded, superseded, ("deferred", "overlap_queued", True)
    ]  # fmt: skip
    rows = await one.all("SELECT outcome, reason FROM decisions ORDER BY event_id")
    assert [tuple(row) for row in rows] == [line[:2] for line in await ledger(one)]

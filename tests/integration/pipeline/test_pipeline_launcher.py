"""The launcher: as many runs of a workflow at once as it allows, in their order, and never too much in memory."""

import asyncio

import msgspec
from plant import ON_EVENT, Instance

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.pipeline import launcher as launchers

ONE_AT_A_TIME = {"concurrency": {"max_runs": 1}}


async def pour(instance, count, **more):
    await instance.deploy("orders", ON_EVENT, **{"concurrency": {"max_runs": 2}, **more})
    receipts = [await instance.inbox.accept(instance.event(key=str(number))) for number in range(count)]
    await instance.until(lambda: len(instance.engine.tasks) == min(2, count))
    return [receipt.run_ids[0] for receipt in receipts]


async def drain(instance, ids):
    """End every run of `ids` as it comes; return how many were under way at once at most."""
    most = 0
    open_ids = set(ids) - set(await ended(instance))
    while open_ids:
        await instance.until(lambda: instance.engine.tasks)
        most = max(most, len(instance.engine.tasks))
        run_id = next(iter(instance.engine.tasks))
        await instance.engine.finish(run_id)
        open_ids.discard(run_id)
        await instance.settle()
    return most


async def ended(instance):
    rows = await instance.all("SELECT id FROM runs WHERE status NOT IN ('QUEUED', 'RUNNING', 'PAUSED')")
    return [row[0] for row in rows]


async def test_runs_beyond_the_limit_wait_their_turn(one):
    ids = await pour(one, 5)
    assert one.engine.started == ids[:2]
    await one.engine.finish(ids[1])
    assert one.engine.started == ids[:3]
    assert await drain(one, ids) == 2
    assert one.engine.started == ids
    assert set(await one.statuses()) == {"SUCCEEDED"}


async def test_workflows_do_not_wait_for_each_other(one):
    await one.deploy("orders", ON_EVENT, **ONE_AT_A_TIME)
    await one.deploy("bills", ON_EVENT, **ONE_AT_A_TIME)
    for _ in range(3):
        await one.inbox.accept(one.event())
    await one.until(lambda: len(one.engine.tasks) == 2)
    assert len({task.run.workflow for task in one.engine.tasks.values()}) == 2


async def test_beyond_its_memory_runs_wait_in_their_rows_in_order(store, clock):
    one = Instance(store, clock, backlog_max=3)
    await one.begin()
    ids = await pour(one, 20)
    assert len(one.launcher._backlog) == 3
    assert await drain(one, ids) == 2
    assert one.engine.started == ids
    assert set(await one.statuses()) == {"SUCCEEDED"}
    assert len(one.launcher._backlog) == 0


async def test_rows_are_read_in_portions(store, clock, monkeypatch):
    monkeypatch.setattr(launchers, "READ_ROWS", 4)
    one = Instance(store, clock, backlog_max=2)
    await one.begin()
    ids = await pour(one, 17)
    await drain(one, ids)
    assert one.engine.started == ids


async def test_runs_that_come_while_rows_are_read_are_not_forgotten(store, clock):
    one = Instance(store, clock, backlog_max=2)
    await one.begin()
    ids = await pour(one, 8)
    read, late = one.store.read, []

    async def read_and_accept(text, params=None):
        rows = await read(text, params)
        if "id >= :first" in text and len(late) < 3:
            receipt = await one.inbox.accept(one.event(key=f"late{len(late)}"))
            late.append(receipt.run_ids[0])
        return rows

    one.store.read = read_and_accept
    await drain(one, ids)
    while "QUEUED" in await one.statuses():
        await drain(one, list(late))
    assert len(late) == 3
    assert sorted(one.engine.started) == sorted(ids + late)
    assert set(await one.statuses()) == {"SUCCEEDED"}


async def test_the_reading_of_rows_outlives_an_outage(store, clock):
    one = Instance(store, clock, backlog_max=1)
    await one.begin()
    ids = await pour(one, 6)
    read, failures = one.store.read, [3]

    async def flaky(text, params=None):
        if "id >= :first" in text and failures[0]:
            failures[0] -= 1
            raise StoreUnavailable("gone")
        return await read(text, params)

    one.store.read = flaky
    while len(one.engine.started) < 6 or one.engine.tasks:
        if one.engine.tasks:
            await one.engine.finish(next(iter(one.engine.tasks)))
        await one.settle()
        await clock.advance(1)
    assert one.engine.started == ids
    assert failures == [0]


async def test_a_waiting_run_is_cancelled_at_once(one):
    ids = await pour(one, 4)
    await one.launcher.cancel("local", ids[3])
    assert (await one.statuses())[3] == "CANCELLED"
    assert one.engine.cancelled == []
    await drain(one, ids)
    assert one.engine.started == ids[:3]


async def test_a_run_that_waits_in_its_row_is_cancelled_at_once(store, clock):
    one = Instance(store, clock, backlog_max=1)
    await one.begin()
    ids = await pour(one, 8)
    await one.launcher.cancel("local", ids[6])
    assert (await one.statuses())[6] == "CANCELLED"
    await drain(one, ids)
    assert one.engine.started == [*ids[:6], ids[7]]


async def test_a_run_under_way_is_cancelled_by_its_engine(one):
    ids = await pour(one, 3)
    await one.launcher.cancel("local", ids[0])
    assert one.engine.cancelled == [ids[0]]
    await one.engine.finish(ids[0], RunStatus.CANCELLED)
    assert one.engine.started == ids
    await one.launcher.cancel("local", ids[0])
    assert one.engine.cancelled == [ids[0]]


async def test_a_run_that_was_dropped_gives_its_place_back(one):
    ids = await pour(one, 3)
    one.launcher.ended(ids[0])
    assert one.engine.started == ids


async def test_the_end_of_a_run_that_had_no_place_changes_nothing(one):
    ids = await pour(one, 3)
    one.launcher.ended("somebody else's")
    assert one.engine.started == ids[:2]


async def test_a_run_of_a_version_that_cannot_be_compiled_fails_alone(one):
    await one.deploy("orders", ON_EVENT)
    await one.write("UPDATE workflow_versions SET definition = :text", text='{"jobs": 7}')
    await one.inbox.accept(one.event())
    while await one.statuses() == ["QUEUED"]:
        await one.settle()
    assert await one.statuses() == ["FAILED"]
    assert (await one.inbox.accept(one.event())).run_ids


async def test_no_more_than_the_limit_after_a_takeover(one, two):
    ids = await pour(one, 6)
    await one.write("UPDATE instances SET lease_until = 0 WHERE id = 'one'")
    assert await two.recovery.take_over() == 6
    await two.until(lambda: len(two.engine.tasks) == 2)
    assert await drain(two, ids) == 2
    assert sorted(two.engine.started) == ids
    await asyncio.gather(*(one.engine.finish(run_id) for run_id in ids[:2]))
    assert set(await one.statuses()) == {"SUCCEEDED"}


async def test_a_takeover_of_more_than_memory_holds(store, clock):
    first = Instance(store, clock, "first")
    await first.begin()
    ids = await pour(first, 30)
    await first.write("UPDATE instances SET lease_until = 0")
    second = Instance(store, clock, "second", backlog_max=4)
    await second.begin()
    assert await second.recovery.take_over() == 30
    await second.until(lambda: len(second.engine.tasks) == 2)
    assert len(second.launcher._backlog) <= 4
    await drain(second, ids)
    assert sorted(second.engine.started) == ids
    assert set(await second.statuses()) == {"SUCCEEDED"}


async def test_an_event_that_cannot_be_read_holds_up_no_other_run(one):
    await one.deploy("orders", ON_EVENT)
    bad = msgspec.structs.replace(one.event(), attributes=b"{")
    receipts = await asyncio.gather(*(one.inbox.accept(event) for event in (one.event(), bad, one.event())))
    await one.until(lambda: len(one.engine.tasks) == 3)
    assert one.engine.tasks[receipts[1].run_ids[0]].event == b"null"

"""Leases, takeovers, dead letters: every open run has one owner, and one that cannot go on is listed."""

import asyncio

import pytest
from plant import ON_EVENT, Instance

from workflow_scheduler.core.errors import Conflict, NotFound, StoreUnavailable, ValidationFailed
from workflow_scheduler.core.model.run import JobStatus, RunStatus
from workflow_scheduler.pipeline import recovery as recoveries
from workflow_scheduler.testing.factories import make_dead_letter, make_job


async def pour(instance, count, **more):
    await instance.deploy("orders", ON_EVENT, **more)
    receipts = await instance.inbox.accept_all([instance.event() for _ in range(count)])
    await instance.until(lambda: len(instance.engine.tasks) == count)
    return [receipt.run_ids[0] for receipt in receipts]


async def die(instance):
    await instance.write("UPDATE instances SET lease_until = 0 WHERE id = :id", id=instance.owner)


async def owners(instance):
    return await instance.all("SELECT DISTINCT owner, fence FROM runs")


async def test_the_runs_of_the_dead_are_continued_under_a_higher_fence(one, two):
    ids = await pour(one, 5)
    assert await two.recovery.take_over() == 0
    await die(one)
    assert await two.recovery.take_over() == 5
    await two.until(lambda: len(two.engine.tasks) == 5)
    assert sorted(two.engine.started) == sorted(ids)
    assert await owners(one) == [("two", 2)]
    await one.engine.finish(ids[0], RunStatus.FAILED)
    assert "FAILED" not in await one.statuses()
    await two.engine.finish(ids[0])
    assert (await one.statuses()).count("SUCCEEDED") == 1
    assert await one.all("SELECT id FROM instances") == [("two",)]


async def test_claims_come_in_chunks(one, two, monkeypatch):
    monkeypatch.setattr(recoveries, "CLAIM_RUNS", 3)
    await pour(one, 10)
    await die(one)
    assert await two.recovery.take_over() == 10
    await two.until(lambda: len(two.engine.tasks) == 10)


async def test_two_that_take_over_at_once_share_the_runs(one, two, store, clock):
    three = Instance(store, clock, "three")
    await three.begin()
    ids = await pour(one, 40)
    await die(one)
    counts = await asyncio.gather(two.recovery.take_over(), three.recovery.take_over())
    await two.settle()
    await three.settle()
    assert sum(counts) == 40
    started = two.engine.started + three.engine.started
    assert sorted(started) == sorted(ids)
    assert {row[1] for row in await owners(one)} == {2}


async def test_a_living_instance_keeps_its_runs(one, two):
    await pour(one, 2)
    beating = asyncio.create_task(one.recovery.heartbeat())
    for _ in range(60):
        await one.clock.advance(1)
        await one.settle()
        await two.recovery._prolong()
    assert await two.recovery.take_over() == 0
    beating.cancel()


async def test_jobs_that_are_done_are_handed_on(one, two):
    (run_id,) = await pour(one, 1)
    run = one.engine.tasks[run_id].run
    await one.rows.job(make_job(run, "first"))
    await die(one)
    await two.recovery.take_over()
    await two.until(lambda: run_id in two.engine.tasks)
    (done,) = two.engine.tasks[run_id].done
    assert (done.job_id, done.status, done.fence) == ("first", JobStatus.SUCCEEDED, 2)
    assert b'"type":"order_paid"' in two.engine.tasks[run_id].event


async def test_a_cancellation_outlives_the_crash(one, two):
    ids = await pour(one, 2)
    await one.write("UPDATE runs SET cancel_requested = 1 WHERE id = :id", id=ids[0])
    await die(one)
    await two.recovery.take_over()
    await two.until(lambda: ids[1] in two.engine.tasks)
    await two.settle()
    assert two.engine.started == [ids[1]]
    assert sorted(await one.statuses()) == ["CANCELLED", "QUEUED"]


async def test_claimed_runs_outlive_an_outage(one, two):
    ids = await pour(one, 4)
    await die(one)
    read, failures = two.store.read, [2]

    async def flaky(text, params=None):
        if "FROM jobs" in text and failures[0]:
            failures[0] -= 1
            raise StoreUnavailable("gone")
        return await read(text, params)

    two.store.read = flaky
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await two.recovery.take_over()
    await two.recovery.take_over()
    await two.until(lambda: len(two.engine.tasks) == 4)
    assert sorted(two.engine.started) == sorted(ids)


async def test_a_row_that_cannot_be_read_is_listed_and_the_others_go_on(one, two):
    ids = await pour(one, 3)
    await one.write("UPDATE runs SET status = 'RUNNING', deliveries = 1 WHERE id = :id", id=ids[0])
    await one.write("UPDATE events SET attributes = :bad WHERE id = (SELECT event_id FROM runs WHERE id = :id)",
                    bad=b"{", id=ids[1])  # fmt: skip
    await die(one)
    await two.recovery.take_over()
    await two.until(lambda: len(two.engine.tasks) == 2)
    assert ids[1] not in two.engine.tasks
    assert await one.all("SELECT id FROM quarantine") == [(ids[1],)]


async def test_an_instance_that_was_taken_for_dead_comes_back_with_nothing(one, two):
    ids = await pour(one, 2)
    await die(one)
    await two.recovery.take_over()
    await one.recovery._prolong()
    assert sorted(row[0] for row in await one.all("SELECT id FROM instances")) == ["one", "two"]
    receipt = await one.inbox.accept(one.event())
    await one.until(lambda: receipt.run_ids[0] in one.engine.tasks)
    assert receipt.run_ids[0] not in ids


async def test_a_stop_in_good_order_is_not_counted_against_the_runs(one, two):
    await pour(one, 1)
    await one.recovery.end()
    await two.recovery.take_over()
    assert await one.all("SELECT deliveries FROM runs") == [(1,)]


# Dead letters


async def dead(instance, run_id, **more):
    run = instance.engine.tasks[run_id].run
    await instance.engine.finish(run_id, RunStatus.FAILED, error=b'{"code":"x"}')
    letter = make_dead_letter(run_id=run_id, event_id=run.event_id, workflow_id=run.workflow_id, **more)
    return (await instance.rows.dead_letter(letter)).id


async def test_a_dead_letter_is_redriven_once_under_its_own_id(one):
    (run_id,) = await pour(one, 1)
    letter = await dead(one, run_id)
    assert await one.redrive.redrive("local", letter) == run_id
    await one.until(lambda: run_id in one.engine.tasks)
    assert one.engine.tasks[run_id].run.fence == 2
    assert await one.all("SELECT status, error FROM runs") == [("QUEUED", None)]
    with pytest.raises(Conflict):
        await one.redrive.redrive("local", letter)
    await one.engine.finish(run_id)
    assert await one.statuses() == ["SUCCEEDED"]


async def test_it_can_be_edited_first(one):
    (run_id,) = await pour(one, 1)
    letter = await dead(one, run_id)
    with pytest.raises(ValidationFailed):
        await one.redrive.redrive("local", letter, b"{")
    await one.redrive.redrive("local", letter, b'{"amount":1}')
    await one.until(lambda: run_id in one.engine.tasks)
    assert one.engine.tasks[run_id].run.input == b'{"amount":1}'


async def test_what_succeeded_is_not_done_again(one):
    (run_id,) = await pour(one, 1)
    run = one.engine.tasks[run_id].run
    await one.rows.job(make_job(run, "good"))
    await one.rows.job(make_job(run, "bad", status=JobStatus.FAILED))
    await one.redrive.redrive("local", await dead(one, run_id))
    await one.until(lambda: run_id in one.engine.tasks)
    assert [job.job_id for job in one.engine.tasks[run_id].done] == ["good"]


async def test_a_redriven_run_respects_the_limit(one):
    ids = await pour(one, 1, concurrency={"max_runs": 1})
    letter = await dead(one, ids[0])
    receipt = await one.inbox.accept(one.event())
    await one.until(lambda: receipt.run_ids[0] in one.engine.tasks)
    await one.redrive.redrive("local", letter)
    await one.settle()
    assert list(one.engine.tasks) == receipt.run_ids
    await one.engine.finish(receipt.run_ids[0])
    assert list(one.engine.tasks) == ids


async def test_letters_of_others_and_unknown_ones_are_not_found(one):
    (run_id,) = await pour(one, 1)
    letter = await dead(one, run_id)
    for tenant, name in (("other", letter), ("local", "nothing")):
        with pytest.raises(NotFound):
            await one.redrive.redrive(tenant, name)


async def test_a_run_that_goes_on_cannot_be_redriven(one):
    (run_id,) = await pour(one, 1)
    letter = await one.rows.dead_letter(make_dead_letter(run_id=run_id))
    with pytest.raises(Conflict):
        await one.redrive.redrive("local", letter.id)
    assert await one.all("SELECT status FROM dead_letters") == [("dead",)]

"""`pause_after_failures`: counted in the transaction that ends a run, a success begins anew."""

import asyncio
from types import SimpleNamespace

import msgspec

from workflow_scheduler.core.model.run import RunStatus

HOURLY = {"type": "cron", "cron": "0 * * * *", "pause_after_failures": 2}


async def run_that(instance, status):
    """Fire the next time, and end its run."""
    before = len(instance.engine.started)
    await instance.clock.advance(3600)
    await instance.timer.tick()
    await instance.until(lambda: len(instance.engine.started) > before)
    run_id = instance.engine.started[-1]
    await instance.engine.finish(run_id, status)
    return run_id


async def standing(instance):
    return (await instance.all("SELECT paused, failures, paused_by, paused_reason FROM schedules"))[0]


async def test_the_schedule_is_paused_when_so_many_runs_in_a_row_failed(one):
    await one.deploy("report", {"hourly": HOURLY})
    await run_that(one, RunStatus.FAILED)
    assert (await standing(one))[:2] == (0, 1)
    await run_that(one, RunStatus.SUCCEEDED)
    assert (await standing(one))[:2] == (0, 0)
    await run_that(one, RunStatus.FAILED)
    await run_that(one, RunStatus.CANCELLED)
    last = await run_that(one, RunStatus.FAILED)
    paused, failures, by, reason = await standing(one)
    assert (paused, failures, by) == (1, 0, "pause_after_failures")
    assert reason == f"2 runs in a row failed, the last one was {last}"
    await one.clock.advance(2 * 3600)
    await one.timer.tick()
    assert await one.count("runs") == 5


async def test_an_end_whose_commit_had_no_answer_counts_once(one):
    await one.deploy("report", {"hourly": {**HOURLY, "pause_after_failures": 3}})
    await one.clock.advance(3600)
    await one.timer.tick()
    await one.until(lambda: len(one.engine.started) == 1)
    one.store.lose = 1
    ending = asyncio.create_task(one.engine.finish(one.engine.started[0], RunStatus.FAILED))
    for _ in range(20):
        await one.settle()
        await one.clock.advance(1)
    await ending
    assert (await standing(one))[:2] == (0, 1)


async def test_runs_of_a_backfill_are_not_counted(one):
    await one.deploy("report", {"hourly": HOURLY})
    for _ in range(2):
        before = len(one.engine.started)
        await one.clock.advance(3600)
        await one.timer.tick()
        await one.until(lambda least=before: len(one.engine.started) > least)
        task = one.engine.tasks[one.engine.started[-1]]
        later = msgspec.structs.replace(task.run, backfill_id="b")
        one.engine.tasks[later.id] = SimpleNamespace(run=later)
        await one.engine.finish(later.id, RunStatus.FAILED)
    assert (await standing(one))[:2] == (0, 0)


async def test_runs_of_other_schedules_are_not_counted(one):
    await one.deploy("report", {"hourly": {"type": "cron", "cron": "0 * * * *"}})
    await run_that(one, RunStatus.FAILED)
    assert (await standing(one))[:2] == (0, 0)

"""`pause_after_failures`: counted in the transaction that ends a run, a success begins anew."""

import asyncio
from types import SimpleNamespace

import msgspec

from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.pipeline.entries import Entry
from workflow_scheduler.testing.factories import NOON, Rows, make_dead_letter, make_event

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


async def test_a_schedule_that_is_paused_for_its_failures_tells_so_in_the_same_transaction(one):
    await one.deploy("report", {"hourly": HOURLY})
    await run_that(one, RunStatus.FAILED)
    last = await run_that(one, RunStatus.FAILED)
    rows = await one.all("SELECT subject, data FROM outbox WHERE type = 'trigger_failed'")
    (told,) = [msgspec.json.decode(row[1]) for row in rows]
    assert (told["trigger_name"], told["workflow_name"], told["run_id"]) == ("hourly", "report", last)
    assert told["error"].startswith("2 runs in a row failed")


async def test_a_schedule_in_quarantine_tells_so_once(one):
    await one.deploy("report", {"hourly": HOURLY})
    await one.write('UPDATE trigger_index SET trigger_config = \'{"cron": "61 * * * *"}\'')
    await one.write("UPDATE index_epoch SET epoch = epoch + 1")
    await one.hear()
    for _ in range(2):
        await one.clock.advance(3600)
        await one.timer.tick()
    rows = await one.all("SELECT data FROM outbox WHERE type = 'trigger_failed'")
    assert len(rows) == 1
    assert msgspec.json.decode(rows[0][0])["trigger_name"] == "hourly"


async def test_a_dead_letter_is_told_with_it_once_and_not_about_its_own_handler(one):
    handler = make_event(type="dead_letter", event_key="h")
    await Rows(one.store).event(handler)
    letters = [make_dead_letter(NOON), make_dead_letter(NOON + 1, event_id=handler.id)]
    for letter in (*letters, letters[0]):
        entry = Entry(asyncio.get_running_loop().create_future())
        entry.dead = (letter,)
        one.inbox.submit(entry)
        await entry.future
    rows = await one.all("SELECT id, subject, data FROM outbox WHERE type = 'dead_letter'")
    assert [row[:2] for row in rows] == [(letters[0].id, letters[0].id)]
    assert msgspec.json.decode(rows[0][2])["dead_letter_id"] == letters[0].id
    assert await one.count("dead_letters") == 2


async def test_the_end_of_a_run_reads_its_trigger_again_only_where_it_changed_since_it_fired(one, monkeypatch):
    read, trigger = [], one.catalog.trigger

    async def counted(tenant_id, trigger_id):
        read.append(trigger_id)
        return await trigger(tenant_id, trigger_id)

    monkeypatch.setattr(one.catalog, "trigger", counted)
    await one.deploy("report", {"hourly": HOURLY})
    await run_that(one, RunStatus.FAILED)
    assert read == []
    await one.clock.advance(3600)
    await one.timer.tick()
    await one.until(lambda: len(one.engine.started) > 1)
    await one.deploy("report", {"hourly": {**HOURLY, "pause_after_failures": 3}})
    await one.engine.finish(one.engine.started[-1], RunStatus.FAILED)
    assert len(read) == 1
    assert (await standing(one))[:2] == (0, 2)
    await run_that(one, RunStatus.FAILED)
    assert (await standing(one))[:2] == (1, 0)

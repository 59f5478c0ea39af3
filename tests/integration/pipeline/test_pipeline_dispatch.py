"""Runs on engines outside this process: started once, followed to their end, given up in the open."""

import asyncio

import msgspec
import pytest
from plant import ON_EVENT

from workflow_scheduler.engines.http import EngineAddress, HttpEngine, engine_client
from workflow_scheduler.pipeline import dispatch as dispatches
from workflow_scheduler.testing.fake_engine import FakeEngine, Fault


class NoSeal:
    def open(self, sealed, context):
        return sealed


@pytest.fixture
async def far(one):
    """A fake engine that the instance `one` uses, with the definition to run there."""
    server = await FakeEngine().open()
    address = EngineAddress(base_url=server.url)
    engine = HttpEngine(address, engine_client(address), NoSeal(), one.clock)
    one.dispatcher.engines = {"http": engine}
    server.engine = engine
    await one.deploy("orders", ON_EVENT, engine="http")
    yield server
    await engine.close()
    await server.close()


async def until(instance, condition):
    """Let sockets and databases answer, and time pass where the dispatcher waits for it."""
    for _ in range(3000):
        if await condition():
            return
        await instance.dispatcher._take_due()
        await asyncio.sleep(0.002)  # noqa: TID251 -- the engine answers through a real socket
        await instance.clock.advance(0.25)
    raise AssertionError(await instance.all("SELECT status, error FROM runs"))


def all_are(instance, status):
    async def condition():
        return set(await instance.statuses()) == {status}

    return condition


async def pour(instance, count=1):
    receipts = await instance.inbox.accept_all([instance.event() for _ in range(count)])
    return [receipt.run_ids[0] for receipt in receipts]


async def test_a_run_is_started_and_followed_to_its_end(one, far):
    (run_id,) = await pour(one)
    await until(one, all_are(one, "RUNNING"))
    assert far.starts == {run_id: 1}
    assert one.engine.started == []
    far.finish(run_id, "SUCCEEDED", output={"n": 1})
    await until(one, all_are(one, "SUCCEEDED"))


@pytest.mark.parametrize(
    "fault", [Fault.DROP_AFTER, Fault.DROP_BEFORE, Fault.ERROR_AFTER, Fault.ERROR_BEFORE, Fault.BUSY]
)
async def test_a_bad_start_is_looked_up_and_made_good(one, far, fault):
    far.plan = lambda _key, attempt: fault if attempt <= 2 else Fault.NONE
    ids = await pour(one, 5)
    await until(one, all_are(one, "RUNNING"))
    assert far.starts == dict.fromkeys(ids, 1)


async def test_a_start_that_is_refused_becomes_a_dead_letter_and_can_be_redriven(one, far):
    far.plan = lambda _key, attempt: Fault.REFUSE if attempt == 1 else Fault.NONE
    (run_id,) = await pour(one)
    await until(one, all_are(one, "FAILED"))
    ((letter, reason, attempts),) = await one.all("SELECT id, reason, attempts FROM dead_letters")
    assert (reason, attempts) == ("engine_refused", 1)
    assert await one.redrive.redrive("local", letter) == run_id
    await until(one, all_are(one, "RUNNING"))
    assert far.starts == {run_id: 1}


async def test_an_engine_that_is_away_for_a_day_is_given_up(one, far):
    far.plan = lambda _key, _attempt: Fault.ERROR_BEFORE
    await pour(one)

    async def failed():
        one.clock.jump(1800)
        return await one.statuses() == ["FAILED"]

    await until(one, failed)
    ((reason, attempts),) = await one.all("SELECT reason, attempts FROM dead_letters")
    assert reason == "engine_unavailable"
    assert attempts > 10


async def test_the_day_counts_from_the_first_failed_attempt_and_not_from_the_time_a_run_waited_before(one, far):
    far.plan = lambda _key, attempt: Fault.ERROR_BEFORE if attempt == 1 else Fault.NONE
    (run_id,) = await pour(one)
    await one.write("UPDATE runs SET created_at = created_at - :days", days=3 * 86_400_000_000)
    await until(one, all_are(one, "RUNNING"))
    assert far.starts == {run_id: 1}


async def test_another_process_counts_on_from_the_first_failed_attempt(one, far):
    far.plan = lambda _key, _attempt: Fault.ERROR_BEFORE
    await pour(one)

    async def tried():
        return (await one.all("SELECT error FROM runs"))[0][0] is not None

    await until(one, tried)
    one.dispatcher._attempts.clear()
    one.clock.jump(86_400)
    await until(one, all_are(one, "FAILED"))
    ((attempts,),) = await one.all("SELECT attempts FROM dead_letters")
    assert attempts < 5


async def test_an_engine_that_is_not_configured_is_a_dead_letter(one, far):
    one.dispatcher.engines = {}
    await pour(one)
    await until(one, all_are(one, "FAILED"))
    assert await one.all("SELECT reason FROM dead_letters") == [("engine_refused",)]


async def test_a_run_taken_over_is_looked_up_before_it_is_started(one, two, far):
    far.idempotent = False
    (run_id,) = await pour(one)
    await until(one, all_are(one, "RUNNING"))
    await one.write("UPDATE runs SET status = 'QUEUED', external_id = NULL, next_attempt_at = NULL")
    await one.write("UPDATE instances SET lease_until = 0 WHERE id = 'one'")
    two.dispatcher.engines = one.dispatcher.engines
    assert await two.recovery.take_over() == 1
    await until(two, all_are(two, "RUNNING"))
    assert far.starts == {run_id: 1}


async def test_more_runs_than_hands_wait_in_their_rows(one, far, monkeypatch):
    monkeypatch.setattr(dispatches, "IN_HAND_MAX", 4)
    ids = await pour(one, 25)
    assert len(one.dispatcher._busy) <= 4
    await until(one, all_are(one, "RUNNING"))
    assert far.starts == dict.fromkeys(ids, 1)


async def test_a_fault_of_the_engine_loses_no_run(one, far):
    engine, calls = one.dispatcher.engines["http"], []

    class Faulty:
        async def describe(self, run):
            return await engine.describe(run)

        async def start(self, task):
            calls.append(task.run.id)
            if len(calls) == 1:
                message = "a bug"
                raise ZeroDivisionError(message)
            return await engine.start(task)

    one.dispatcher.engines = {"http": Faulty()}
    (run_id,) = await pour(one)
    await until(one, all_are(one, "RUNNING"))
    assert far.starts == {run_id: 1}


async def test_a_run_that_its_engine_paused_is_followed_on(one, far):
    (run_id,) = await pour(one)
    await until(one, all_are(one, "RUNNING"))
    next(iter(far.executions.values()))["status"] = "PAUSED"
    await until(one, all_are(one, "PAUSED"))
    far.finish(run_id)
    await until(one, all_are(one, "SUCCEEDED"))


async def test_a_version_that_cannot_be_compiled_is_given_up_at_once(one, far):
    await one.write("UPDATE workflow_versions SET definition = :text", text='{"jobs": 7}')
    await pour(one)
    await until(one, all_are(one, "FAILED"))
    ((error,),) = await one.all("SELECT error FROM runs")
    assert msgspec.json.decode(error)["code"] == "definition_invalid"


async def test_a_cancelled_run_ends_as_its_engine_says(one, far):
    one.launcher.engines = {"http": one.dispatcher.engines["http"]}
    (run_id,) = await pour(one)
    await until(one, all_are(one, "RUNNING"))
    await one.launcher.cancel("local", run_id)
    await until(one, all_are(one, "CANCELLED"))


async def refused_once(one, far):
    """Return the id of a run that the engine has refused for the time being."""
    far.plan = lambda _key, _attempt: Fault.BUSY
    one.launcher.engines = {"http": one.dispatcher.engines["http"]}
    (run_id,) = await pour(one)

    async def refused():
        return far.attempts[run_id] == 1 and (await one.all("SELECT next_attempt_at FROM runs"))[0][0] is not None

    await until(one, refused)
    far.plan = lambda _key, _attempt: Fault.NONE
    return run_id


async def test_a_run_that_waits_for_its_next_attempt_is_cancelled_without_being_started(one, far):
    run_id = await refused_once(one, far)
    await one.launcher.cancel("local", run_id)
    await until(one, all_are(one, "CANCELLED"))
    assert (far.attempts[run_id], far.starts[run_id]) == (1, 0)


async def test_an_attempt_that_reached_the_engine_after_all_is_cancelled_there(one, far):
    run_id = await refused_once(one, far)
    far._commit((await one.all("SELECT workflow_id FROM runs"))[0][0], run_id)
    await one.launcher.cancel("local", run_id)
    await until(one, all_are(one, "CANCELLED"))
    assert [execution["status"] for execution in far.executions.values()] == ["CANCELLED"]
    assert far.starts[run_id] == 1

"""Runs that rest leave the process, and are taken up by any instance when something is due; on both stores."""

import asyncio

import pytest
from service_kit import deploy, ended, execute

from workflow_scheduler.core.model.run import JobStatus, Wake
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.engines.embedded import standing
from workflow_scheduler.stores.portable.intake import put_wake

NAP = {"uses": "sleep_for", "with": {"duration": "2d"}}
NAPPING = {
    "before": {"uses": "noop", "with": {"output": "${input.n}"}},
    "nap": {**NAP, "needs": ["before"]},
    "after": {"uses": "noop", "needs": ["nap"], "with": {"output": "${jobs.before.output}"}},
}


async def row(application, run_id):
    (found,) = await application.store.read("SELECT status, owner, wake_at FROM runs WHERE id = :id", {"id": run_id})
    return found


async def resting(application, client, run_id):
    """Wait until a run rests, and return its row."""
    for _ in range(400):
        status, owner, wake_at = await row(application, run_id)
        if owner == "parked" and run_id not in application.embedded.held():
            assert status == "PAUSED"
            return wake_at
        await client.get(f"/api/v1/runs/{run_id}/wait?timeout=0.05")
    raise AssertionError((status, owner, wake_at))


def sooner(by_us):
    """Let the stored times come earlier, as if so much time had passed."""
    yield Sql("UPDATE runs SET wake_at = wake_at - :by, started_at = started_at - :by", {"by": by_us})
    yield Sql("UPDATE jobs SET wake_at = wake_at - :by WHERE wake_at IS NOT NULL", {"by": by_us})


TWO_DAYS = 2 * 86_400_000_000


async def test_a_run_that_sleeps_for_days_is_paused_and_leaves_the_process(start):
    application, client = await start()
    await deploy(client, "nap", NAPPING)
    run_id = await execute(client, "nap", {"n": 3})
    wake_at = await resting(application, client, run_id)
    assert wake_at > application.clock.now() + TWO_DAYS - 60_000_000
    assert (application.embedded.active, len(application.embedded._desk.timers)) == (0, 0)
    shown = (await client.get(f"/api/v1/runs/{run_id}")).json()
    assert (shown["status"], shown["ended_at"]) == ("PAUSED", None)
    assert [run["id"] for run in (await client.get("/api/v1/runs?status=PAUSED")).json()["items"]] == [run_id]
    await application.store.transact(sooner(TWO_DAYS))
    run, jobs = await ended(client, run_id)
    assert (run["status"], run["output"], jobs["before"]["attempt"]) == ("SUCCEEDED", 3, 1)


async def test_any_instance_takes_it_up_once_after_the_first_one_is_gone(start, database):
    first, client = await start()
    await deploy(client, "nap", NAPPING)
    run_ids = [await execute(client, "nap", {"n": number}) for number in range(5)]
    for run_id in run_ids:
        await resting(first, client, run_id)
    await first.stop()
    others = [await start() for _ in range(3 if database else 1)]
    await others[0][0].store.transact(sooner(TWO_DAYS))
    for number, run_id in enumerate(run_ids):
        run, jobs = await ended(others[0][1], run_id)
        assert (run["status"], run["output"]) == ("SUCCEEDED", number)
        assert {job["attempt"] for job in jobs.values()} == {1}


async def test_a_short_sleep_stays_in_the_process(start):
    application, client = await start()
    await deploy(client, "nap", {"nap": {"uses": "sleep_for", "with": {"duration": "30s"}}})
    run_id = await execute(client, "nap")
    await client.get(f"/api/v1/runs/{run_id}/wait?timeout=0.2")
    assert (await row(application, run_id))[0] == "RUNNING"
    assert run_id in application.embedded.held()


async def test_a_run_does_not_rest_while_another_of_its_jobs_works(start):
    application, client = await start()
    await deploy(
        client, "both", {"nap": NAP, "work": {"run": "sleep 0.3"}, "third": {"uses": "noop", "needs": ["work"]}}
    )
    run_id = await execute(client, "both")
    await client.get(f"/api/v1/runs/{run_id}/wait?timeout=0.1")
    assert run_id in application.embedded.held()
    await resting(application, client, run_id)
    _, jobs = await cancelled(client, run_id)
    assert (jobs["work"]["status"], jobs["third"]["status"], jobs["nap"]["status"]) == (
        "SUCCEEDED", "SUCCEEDED", "CANCELLED",
    )  # fmt: skip


async def cancelled(client, run_id):
    assert (await client.post(f"/api/v1/runs/{run_id}/cancel", json={})).status < 300
    run, jobs = await ended(client, run_id)
    assert run["status"] == "CANCELLED"
    return run, jobs


async def test_the_timeout_of_the_run_counts_while_it_rests(start):
    application, client = await start()
    await deploy(client, "nap", NAPPING, timeout="1h")
    run_id = await execute(client, "nap", {"n": 1})
    wake_at = await resting(application, client, run_id)
    assert wake_at < application.clock.now() + 3_600_000_000
    await application.store.transact(sooner(3_600_000_000))
    run, jobs = await ended(client, run_id)
    assert (run["status"], run["error"]["code"], jobs["nap"]["status"]) == ("FAILED", "timeout", "CANCELLED")


async def test_a_long_retry_delay_rests_and_the_next_attempt_is_made(start):
    application, client = await start()
    retry = {"attempts": 2, "delay": "1h", "max_delay": "1h", "jitter": False}
    await deploy(client, "retry", {"work": {"run": "exit 3", "retry": retry}})
    run_id = await execute(client, "retry")
    await resting(application, client, run_id)
    await application.store.transact(sooner(3_600_000_000))
    run, jobs = await ended(client, run_id)
    assert (run["status"], jobs["work"]["attempt"]) == ("FAILED", 2)


async def test_instances_of_a_map_that_sleep_rest_together(start):
    application, client = await start()
    await deploy(client, "many", {"nap": {"map": [1, 2, 3], **NAP}})
    run_id = await execute(client, "many")
    await resting(application, client, run_id)
    await application.store.transact(sooner(TWO_DAYS))
    run, _ = await ended(client, run_id)
    assert run["status"] == "SUCCEEDED"


CALL = {"call": {"uses": "workflow", "with": {"workflow": "child"}}}


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(standing, "LINGER_SECONDS", 0.0)


@pytest.mark.usefixtures("at_once")
async def test_a_caller_rests_and_hears_of_the_end_of_the_called_run(start):
    application, client = await start()
    await deploy(client, "child", {"nap": NAP})
    await deploy(client, "parent", CALL)
    run_id = await execute(client, "parent")
    assert await resting(application, client, run_id) is None
    await application.store.transact(sooner(TWO_DAYS))
    run, _ = await ended(client, run_id)
    assert run["status"] == "SUCCEEDED"


@pytest.mark.usefixtures("at_once")
async def test_cancelling_a_resting_caller_cancels_the_called_run(start):
    application, client = await start()
    await deploy(client, "child", {"nap": NAP})
    await deploy(client, "parent", CALL)
    run_id = await execute(client, "parent")
    await resting(application, client, run_id)
    await cancelled(client, run_id)
    (child,) = (await client.get("/api/v1/runs?workflow=child")).json()["items"]
    run, _ = await ended(client, child["id"])
    assert run["status"] == "CANCELLED"


@pytest.mark.usefixtures("at_once")
async def test_a_wake_of_another_name_keeps_the_run_in_the_process_and_ends_nothing(start):
    application, client = await start()
    await deploy(client, "child", {"nap": NAP})
    await deploy(client, "parent", CALL)
    run_id = await execute(client, "parent")
    await resting(application, client, run_id)
    strange = Wake(tenant_id="local", run_id=run_id, job_id="call", name="run:other", status=JobStatus.SUCCEEDED, at=1)
    await application.store.transact(put_wake(strange))
    for _ in range(100):
        if run_id in application.embedded.held():
            break
        await client.get(f"/api/v1/runs/{run_id}/wait?timeout=0.05")
    await client.get(f"/api/v1/runs/{run_id}/wait?timeout=0.3")
    assert (await row(application, run_id))[0] == "PAUSED"
    assert run_id in application.embedded.held()
    await cancelled(client, run_id)


@pytest.mark.usefixtures("at_once")
async def test_that_a_run_waits_is_told_once_for_each_time_that_it_begins_to(start):
    """Not again when it leaves its process a while later."""
    application, client = await start()
    ask = {"uses": "approval", "with": {"ask": "Go on?"}}
    await deploy(client, "asking", {"first": ask, "second": {**ask, "needs": ["first"]}})
    run_id = await execute(client, "asking")
    for times, job in enumerate(("first", "second"), start=1):
        waits = []
        while [wait["job_id"] for wait in waits] != [job]:
            waits = (await client.get("/api/v1/waits?status=OPEN")).json()["items"]
            await client.get(f"/api/v1/runs/{run_id}/wait?timeout=0.05")
        await resting(application, client, run_id)
        assert await told(application, "run_paused") == [run_id] * times
        (wait,) = waits
        answer = await client.post(f"/api/v1/waits/{wait['id']}", json={"approved": True})
        assert answer.status == 200, answer.text
    await ended(client, run_id)


async def told(application, kind):
    """Return the subjects of the events of a type, once the outbox has been emptied."""
    while (await application.store.read("SELECT COUNT(*) FROM outbox", {}))[0][0]:
        await application.clock.sleep(0.02)
    rows = await application.store.read("SELECT subject FROM events WHERE type = :kind ORDER BY id", {"kind": kind})
    return [subject for (subject,) in rows]


async def test_places_among_the_runs_of_a_workflow_stay_held(start):
    application, client = await start()
    await deploy(client, "one", {"nap": NAP}, concurrency={"max_runs": 1})
    first = await execute(client, "one")
    second = await execute(client, "one")
    for _ in range(100):
        if (await row(application, first))[0] == "PAUSED":
            break
        await client.get(f"/api/v1/runs/{first}/wait?timeout=0.05")
    assert first in application.embedded.held()
    assert (await row(application, second))[0] == "QUEUED"


async def test_a_resting_run_stands_in_the_way_of_those_that_must_not_overlap(start):
    application, client = await start()
    await deploy(client, "alone", {"nap": NAP}, overlap="queue_all")
    first, second = await execute(client, "alone"), await execute(client, "alone")
    await resting(application, client, first)
    assert (await row(application, second))[:2] == ("QUEUED", None)
    await cancelled(client, first)
    await resting(application, client, second)


async def test_a_wish_to_cancel_that_comes_while_the_run_leaves_is_found(start):
    _, client = await start()
    await deploy(client, "nap", NAPPING)
    run_ids = [await execute(client, "nap", {"n": number}) for number in range(20)]
    await asyncio.gather(*(cancelled(client, run_id) for run_id in run_ids))

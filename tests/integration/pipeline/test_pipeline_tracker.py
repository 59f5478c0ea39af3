"""The tracker: the end of a run and the events of that end are one, and a former owner ends nothing."""

import asyncio

import msgspec
from plant import ON_EVENT

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.model.run import JobRecord, JobStatus, LogLine, RunChange, RunStatus

AFTER = {"after": {"type": "workflow", "any": [{"workflow": "orders", "condition": "on_completion"}]}}


async def begin(instance, **more):
    receipt = await instance.inbox.accept(instance.event(**more))
    await instance.until(lambda: receipt.run_ids[0] in instance.engine.tasks)
    return receipt.run_ids[0]


async def ends(instance):
    rows = await instance.all("SELECT provider, type, event_key FROM events WHERE type LIKE 'workflow_%'")
    return sorted(rows)


async def test_an_end_that_nobody_waits_for_is_no_event(one):
    await one.deploy("orders", ON_EVENT)
    await one.engine.finish(await begin(one), output=b'{"n":1}')
    assert await one.all("SELECT status, output FROM runs") == [("SUCCEEDED", b'{"n":1}')]
    assert await ends(one) == []


async def test_an_end_with_listeners_is_written_with_what_it_starts(one):
    await one.deploy("orders", ON_EVENT)
    await one.deploy("report", AFTER)
    run_id = await begin(one)
    before = len(one.store.commits)
    await one.engine.finish(run_id, RunStatus.FAILED, error=b'{"code":"job_failed"}')
    (batch,) = one.store.commits[before:]
    assert [change.run_id for change in batch.run_changes] == [run_id]
    assert {one_.event.provider for one_ in batch.accepted} == {"workflow", "event"}
    assert await ends(one) == [
        ("event", "workflow_failed", f"{run_id}:FAILED"),
        ("workflow", "workflow_failed", f"{run_id}:FAILED"),
    ]
    ((cause, depth, given),) = await one.all("SELECT cause_run_id, depth, input FROM runs WHERE workflow = 'report'")
    assert (cause, depth) == (run_id, 1)
    assert msgspec.json.decode(given)["error"] == {"code": "job_failed"}


async def test_a_former_owner_announces_no_end(one):
    await one.deploy("orders", ON_EVENT)
    await one.deploy("report", AFTER)
    run_id = await begin(one)
    await one.write("UPDATE runs SET fence = fence + 1")
    await one.engine.finish(run_id)
    assert await one.statuses() == ["QUEUED"]
    assert await ends(one) == []
    assert one.counts.changes == []


async def test_a_run_ends_once(one):
    await one.deploy("orders", ON_EVENT)
    await one.deploy("report", AFTER)
    run_id = await begin(one)
    task = one.engine.tasks[run_id]
    await one.engine.finish(run_id)
    one.engine.tasks[run_id] = task
    await one.engine.finish(run_id, RunStatus.FAILED)
    assert (await one.all("SELECT status FROM runs WHERE id = :id", id=run_id)) == [("SUCCEEDED",)]
    assert len(await ends(one)) == 2


async def test_a_listener_that_was_deployed_meanwhile_hears_the_end(one):
    await one.deploy("orders", ON_EVENT)
    await one.engine.finish(await begin(one))
    run_id = await begin(one)
    await one.deploy("report", AFTER)
    await one.engine.finish(run_id)
    assert len(await ends(one)) == 2
    await one.deployments.undeploy(LOCAL, "report")
    await one.hear()
    await one.engine.finish(await begin(one))
    assert len(await ends(one)) == 2


async def test_an_outage_delays_an_end_and_does_not_lose_it(one):
    await one.deploy("orders", ON_EVENT)
    await one.deploy("report", AFTER)
    run_id = await begin(one)
    one.store.fail = 3
    finishing = asyncio.ensure_future(one.engine.finish(run_id))
    for _ in range(20):
        await one.settle()
        await one.clock.advance(0.5)
    await finishing
    assert len(await ends(one)) == 2
    assert (await one.all("SELECT COUNT(*) FROM runs WHERE workflow = 'report'")) == [(1,)]


async def test_an_end_whose_commit_had_no_answer_starts_what_follows_once(one):
    await one.deploy("orders", ON_EVENT)
    await one.deploy("report", AFTER)
    run_id = await begin(one)
    one.store.lose = 1
    finishing = asyncio.ensure_future(one.engine.finish(run_id))
    for _ in range(40):
        await one.settle()
        await one.clock.advance(1)
    await finishing
    following = await one.all("SELECT id FROM runs WHERE workflow = 'report'")
    assert [row[0] for row in following] == [name for name in one.engine.started if name != run_id]


async def test_a_handler_of_failures_never_handles_its_own(one):
    await one.deploy("alarm", {"on": {"type": "event", "event": ["workflow_failed", "order_paid"]}})
    run_id = await begin(one)
    await one.engine.finish(run_id, RunStatus.FAILED)
    rows = await one.all("SELECT outcome, reason FROM decisions WHERE run_id IS NULL")
    assert rows == [("loop_blocked", "own_failure")]
    assert await one.count("runs") == 1


async def test_a_chain_of_runs_ends_at_its_depth(one):
    await one.deploy("echo", {"on": {"type": "event", "event": ["workflow_completed", "order_paid"]}})
    await begin(one)
    while one.engine.tasks:
        await one.engine.finish(next(iter(one.engine.tasks)))
        await one.settle()
        await one.settle()
    assert await one.count("runs") == 11
    rows = await one.all("SELECT reason FROM decisions WHERE outcome = 'loop_blocked'")
    assert rows == [("depth_exceeded",)]


async def test_notes_are_written_with_the_next_commit(one):
    await one.deploy("orders", ON_EVENT)
    run_id = await begin(one)
    job = JobRecord(tenant_id="local", run_id=run_id, job_id="w", fence=1, status=JobStatus.RUNNING)
    line = LogLine(
        tenant_id="local", run_id=run_id, job_id="w", attempt=1, seq=1, at=1, stream="stdout", line="hello"
    )  # fmt: skip
    one.tracker.note(jobs=[job], logs=[line])
    await one.settle()
    assert await one.all("SELECT status FROM jobs") == [("RUNNING",)]
    assert await one.all("SELECT line FROM job_logs") == [("hello",)]


async def test_records_tell_which_runs_were_fenced_off(one):
    await one.deploy("orders", ON_EVENT)
    ids = [await begin(one) for _ in range(2)]
    await one.write("UPDATE runs SET fence = 2 WHERE id = :id", id=ids[0])
    changes = [
        RunChange(tenant_id="local", run_id=run_id, fence=1, status=RunStatus.RUNNING, started_at=1) for run_id in ids
    ]
    assert await one.tracker.record(changes=changes) == {ids[0]}
    assert sorted(await one.statuses()) == ["QUEUED", "RUNNING"]


async def test_waiting_for_an_end(one):
    await one.deploy("orders", ON_EVENT)
    run_id = await begin(one)
    assert not await one.tracker.wait("local", run_id, 0)
    waiting = asyncio.ensure_future(one.tracker.wait("local", run_id, 60))
    await one.settle()
    await one.engine.finish(run_id)
    assert await waiting
    assert await one.tracker.wait("local", run_id, 0)
    assert not await one.tracker.wait("other", run_id, 0)
    assert one.tracker._waiters == {}

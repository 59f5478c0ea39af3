"""The limit of jobs at once over all runs, and runs that cannot even begin."""

import msgspec

from workflow_scheduler.core.model.run import JobRecord, JobStatus
from workflow_scheduler.engines.embedded.admission import Admission
from workflow_scheduler.testing.factories import make_run

NOOP = {"uses": "noop"}
WAIT = {"uses": "wait"}


async def test_jobs_of_all_runs_share_the_places_in_the_order_they_came(narrow):
    bench = narrow(2)
    tasks = [await bench.start({f"w{n}": WAIT}) for n in range(4)]
    assert bench.calls == [("w0", 1), ("w1", 1)]
    await bench.release("w1")
    assert bench.calls == [("w0", 1), ("w1", 1), ("w2", 1)]
    await bench.release("w0")
    await bench.release("w2")
    await bench.release("w3")
    assert {bench.status(task) for task in tasks} == {"SUCCEEDED"}


async def test_inline_and_parked_jobs_need_no_place(narrow):
    bench = narrow(1)
    await bench.start({"w": WAIT})
    inline = await bench.start({"a": NOOP})
    parked = await bench.start({"s": {"uses": "sleep", "with": {"seconds": 5}}})
    await bench.clock.advance(5)
    assert (bench.status(inline), bench.status(parked)) == ("SUCCEEDED", "SUCCEEDED")


async def test_a_job_that_waits_for_a_place_can_be_cancelled_and_never_starts(narrow):
    bench = narrow(1)
    await bench.start({"w": WAIT})
    queued = await bench.start({"q": WAIT})
    await bench.engine.cancel(queued.run)
    await bench.clock.settle()
    assert (bench.status(queued), bench.statuses(queued)) == ("CANCELLED", {"q": "CANCELLED"})
    await bench.release("w")
    assert bench.calls == [("w", 1)]
    after = await bench.start({"x": WAIT})
    assert bench.calls[-1] == ("x", 1)
    await bench.release("x")
    assert bench.status(after) == "SUCCEEDED"


async def test_a_job_that_fails_before_it_begins_gives_its_place_back(narrow):
    bench = narrow(1)
    for _ in range(3):
        task = await bench.start({"a": {"uses": "wait", "with": {"output": "${input.nope}"}}})
        assert bench.status(task) == "FAILED"
    skipped = await bench.start({"a": {**WAIT, "if": "false"}, "b": {**WAIT, "needs": ["a"], "run_if": "all_done"}})
    assert bench.calls == [("b", 1)]
    await bench.release("b")
    assert bench.status(skipped) == "SUCCEEDED"


async def test_a_retry_takes_a_place_again(narrow):
    bench = narrow(1)
    task = await bench.start({"a": {**WAIT, "timeout": "1s", "retry": {"attempts": 2, "delay": "1s"}}})
    await bench.clock.advance(1)
    await bench.start({"b": WAIT})
    await bench.clock.advance(5)
    assert bench.calls == [("a", 1), ("b", 1)]
    await bench.release("b")
    assert bench.calls == [("a", 1), ("b", 1), ("a", 2)]
    await bench.release("a")
    assert bench.status(task) == "SUCCEEDED"


def test_a_place_that_is_not_used_goes_to_the_next():
    calls, planned = [], []
    admission = Admission(1, planned.append)
    assert admission.enter(lambda: True)
    assert not admission.enter(lambda: bool(calls.append("first")))
    assert not admission.enter(lambda: calls.append("second") is None)
    assert not admission.enter(lambda: calls.append("third") is None)
    admission.leave()
    (let_in,) = planned
    let_in()
    assert calls == ["first", "second"]
    assert len(admission) == 1


async def test_a_run_with_unreadable_input_fails_and_its_neighbours_run(bench):
    broken = bench.task({"a": {"uses": "noop", "with": {"output": "${input.x}"}}}, run=make_run(input=b"{not json"))
    fine = bench.task({"a": NOOP})
    bench.engine.submit([broken, fine])
    await bench.clock.settle()
    assert (bench.status(broken), bench.status(fine)) == ("FAILED", "SUCCEEDED")


async def test_a_run_with_an_unreadable_record_goes_on(bench):
    task = bench.task({"a": NOOP, "b": {**NOOP, "needs": ["a"], "run_if": "all_done"}})
    run = task.run
    record = JobRecord(
        tenant_id=run.tenant_id, run_id=run.id, job_id="a", fence=1, status=JobStatus.SKIPPED, error=b"[not json"
    )
    bench.engine.recover([msgspec.structs.replace(task, done=[record])])
    await bench.clock.settle()
    assert bench.statuses(task)["b"] == "SUCCEEDED"


async def test_a_run_that_cannot_be_begun_fails_and_its_neighbours_run(bench, caplog):
    broken = msgspec.structs.replace(bench.task({"a": NOOP}), done=[None])
    fine = bench.task({"a": NOOP})
    bench.engine.submit([broken, fine])
    await bench.clock.settle()
    assert bench.error(broken)["code"] == "malformed"
    assert bench.status(fine) == "SUCCEEDED"
    assert broken.run.id in caplog.text


async def test_a_run_that_was_out_of_time_before_it_came_here_runs_nothing(bench):
    run = make_run(started_at=bench.clock.now() - 61_000_000)
    task = await bench.start({"a": NOOP}, run=run, timeout="1m")
    assert (bench.calls, bench.status(task)) == ([], "FAILED")
    assert bench.error(task)["code"] == "timeout"

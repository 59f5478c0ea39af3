"""Runs that go on after their process died: nothing that had ended is run again, everything else is."""

import msgspec
import pytest

from workflow_scheduler.core.model.run import JobStatus

NOOP = {"uses": "noop"}
WAIT = {"uses": "wait"}


async def test_finished_jobs_are_not_run_again_and_their_outputs_are_known(bench):
    jobs = {
        "a": {"uses": "noop", "with": {"output": {"x": 7}}},
        "w": {**WAIT, "needs": ["a"]},
        "b": {"uses": "noop", "needs": ["w"], "with": {"output": "${jobs.a.output.x}"}},
    }
    task = await bench.start(jobs)
    again = bench.crash(task)
    bench.calls.clear()
    bench.engine.recover([again])
    await bench.clock.settle()
    assert bench.calls == [("w", 2)]
    await bench.release("w")
    assert bench.calls == [("w", 2), ("b", 1)]
    assert bench.output(task) == 7
    assert {one.fence for one in bench.sink.history[-2:]} == {2}


async def test_a_result_that_was_not_durable_is_made_again(bench):
    bench.sink.hold.clear()
    task = await bench.start({"a": NOOP, "b": {**NOOP, "needs": ["a"]}})
    again = bench.crash(task)
    assert again.done == []
    bench.sink.hold.set()
    bench.engine.recover([again])
    await bench.clock.settle()
    assert bench.calls == [("a", 1), ("a", 1), ("b", 1)]
    assert bench.status(task) == "SUCCEEDED"


async def test_an_interrupted_job_runs_once_more_even_without_retries(bench):
    task = await bench.start({"a": WAIT})
    again = bench.crash(task)
    bench.engine.recover([again])
    await bench.clock.settle()
    await bench.release("a", RuntimeError("no"))
    assert bench.calls == [("a", 1), ("a", 2)]
    assert bench.status(task) == "FAILED"


@pytest.mark.parametrize("late", [0, 40, 400])
async def test_a_sleep_goes_on_from_its_stored_time(bench, late):
    task = await bench.start({"s": {"uses": "sleep", "with": {"seconds": 100, "output": "rested"}}})
    again = bench.crash(task)
    await bench.clock.advance(late)
    bench.engine.recover([again])
    await bench.clock.settle()
    left = max(100 - late, 0)
    if left:
        await bench.clock.advance(left - 1)
        assert bench.status(task) in {"RUNNING", "PAUSED"}
        await bench.clock.advance(1)
    else:
        await bench.clock.advance(0)
    assert bench.output(task) == "rested"
    assert bench.calls == [("s", 1)]


async def test_a_retry_delay_goes_on_from_its_stored_time(bench):
    task = await bench.start({"a": {"uses": "fail", "retry": {"attempts": 2, "delay": "100s"}}})
    again = bench.crash(task)
    await bench.clock.advance(70)
    bench.engine.recover([again])
    await bench.clock.advance(29)
    assert bench.calls == [("a", 1)]
    await bench.clock.advance(1)
    assert bench.calls == [("a", 1), ("a", 2)]
    assert bench.status(task) == "FAILED"


async def test_a_run_of_which_every_job_had_ended_only_needs_its_end(bench):
    bench.signals.emit = lambda name, **facts: bench.sink.hold.clear() if name == "engine.checkpoint.after" else None
    task = await bench.start({"a": NOOP, "b": {**NOOP, "needs": ["a"]}})
    assert bench.statuses(task) == {"a": "SUCCEEDED"}
    again = bench.crash(task)
    last = msgspec.structs.replace(again.done[0], job_id="b", output=b"5")
    bench.sink.hold.set()
    bench.calls.clear()
    bench.engine.recover([msgspec.structs.replace(again, done=[*again.done, last])])
    await bench.clock.settle()
    assert (bench.calls, bench.output(task)) == ([], 5)


async def test_a_cancellation_asked_for_before_the_crash_is_carried_out_after_it(bench):
    jobs = {"a": NOOP, "w": {**WAIT, "needs": ["a"]}, "s": {"uses": "sleep", "with": {"seconds": 90}}}
    task = await bench.start(jobs)
    again = bench.crash(task, cancel_requested=True)
    bench.engine.recover([again])
    await bench.clock.settle()
    assert bench.status(task) == "CANCELLED"
    assert bench.statuses(task) == {"a": "SUCCEEDED", "w": "SKIPPED", "s": "CANCELLED"}


async def test_crashing_after_every_checkpoint_never_repeats_a_durable_job(bench):
    jobs = {f"j{n}": {**NOOP, **({"needs": [f"j{n - 1}"]} if n else {})} for n in range(12)}
    done_at_start = []

    def die(name, **facts):
        if name == "engine.checkpoint.after":
            bench.engine._desk.closed = True

    bench.signals.emit = die
    task = await bench.start(jobs)
    for _ in range(20):
        if bench.status(task) == "SUCCEEDED":
            break
        done_at_start.append({name for name, status in bench.statuses(task).items() if status == "SUCCEEDED"})
        again = bench.crash(task)
        before = len(bench.calls)
        bench.engine.recover([again])
        await bench.clock.settle()
        assert not done_at_start[-1] & {job for job, _ in bench.calls[before:]}
    assert bench.status(task) == "SUCCEEDED"
    assert len(done_at_start) == 11
    assert {one.status for one in bench.sink.done(task.run.id)} == {JobStatus.SUCCEEDED}

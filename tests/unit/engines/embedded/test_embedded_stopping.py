"""Time-outs, cancellation, parking, fencing, and a store that says no."""

import asyncio

import msgspec

from workflow_scheduler.core.errors import JobFailed, StoreUnavailable
from workflow_scheduler.core.model.run import JobStatus, RunStatus
from workflow_scheduler.testing.factories import make_run

NOOP = {"uses": "noop"}
WAIT = {"uses": "wait"}


async def test_a_job_that_takes_too_long_is_cancelled_and_fails(bench):
    task = await bench.start({"a": {**WAIT, "timeout": "5s"}})
    await bench.clock.advance(4.9)
    assert bench.statuses(task) == {"a": "RUNNING"}
    await bench.clock.advance(0.1)
    assert bench.cancelled == ["a"]
    error = bench.error(task, "a")
    assert (error["code"], error["message"]) == ("timeout", "the job took longer than its timeout of 5 s")


async def test_a_timeout_is_retried_under_the_policy(bench):
    task = await bench.start({"a": {**WAIT, "timeout": "5s", "retry": {"attempts": 2, "delay": "1s"}}})
    await bench.clock.advance(6)
    await bench.release("a", "second time")
    assert bench.calls == [("a", 1), ("a", 2)]
    assert bench.output(task) == "second time"


async def test_a_timer_of_a_finished_job_does_nothing(bench):
    task = await bench.start({"a": {**WAIT, "timeout": "5s"}, "b": {**WAIT, "needs": ["a"]}})
    await bench.release("a")
    await bench.clock.advance(10)
    assert bench.statuses(task) == {"a": "SUCCEEDED", "b": "RUNNING"}
    assert len(bench.engine._desk.timers) == 0


async def test_a_run_that_takes_too_long_fails_and_cancels_its_jobs(bench):
    task = await bench.start({"a": WAIT, "b": {**NOOP, "needs": ["a"], "run_if": "all_done"}}, timeout="1m")
    await bench.clock.advance(60)
    assert bench.statuses(task) == {"a": "CANCELLED", "b": "SKIPPED"}
    assert bench.status(task) == "FAILED"
    assert bench.error(task)["message"] == "the run took longer than its timeout of 60 s"


async def test_the_timeout_of_a_run_counts_from_its_first_start(bench):
    run = make_run(started_at=bench.clock.now() - 50_000_000)
    task = await bench.start({"a": WAIT}, run=run, timeout="1m")
    await bench.clock.advance(10)
    assert bench.status(task) == "FAILED"


async def test_cancelling_a_run_stops_its_jobs_and_starts_nothing_more(bench):
    jobs = {"a": WAIT, "b": {**NOOP, "needs": ["a"]}, "s": {"uses": "sleep", "with": {"seconds": 90}}}
    task = await bench.start(jobs)
    await bench.engine.cancel(task.run)
    await bench.clock.settle()
    assert bench.statuses(task) == {"a": "CANCELLED", "b": "SKIPPED", "s": "CANCELLED"}
    assert (bench.status(task), bench.error(task)["code"]) == ("CANCELLED", "cancelled")
    assert bench.sink.ends == {task.run.id: 1}
    await bench.clock.advance(100)
    assert bench.sink.ends == {task.run.id: 1}


async def test_cancelling_twice_or_something_unknown_does_no_harm(bench):
    task = await bench.start({"a": WAIT})
    for run in (task.run, task.run, make_run()):
        await bench.engine.cancel(run)
    await bench.clock.settle()
    await bench.engine.cancel(task.run)
    assert bench.sink.ends == {task.run.id: 1}


async def test_a_run_whose_cancellation_was_asked_for_before_it_came_here_runs_nothing(bench):
    task = await bench.start({"a": NOOP, "b": {**NOOP, "needs": ["a"]}}, run=make_run(cancel_requested=True))
    assert bench.calls == []
    assert (bench.status(task), bench.statuses(task)) == ("CANCELLED", {"a": "SKIPPED", "b": "SKIPPED"})


async def test_a_job_that_finishes_although_it_was_told_to_stop_keeps_its_result(bench):
    async def stubborn(config, context):
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return "finished"

    bench.types["stubborn"] = bench.job_type("stubborn", stubborn)
    task = await bench.start({"a": {"uses": "stubborn"}})
    await bench.engine.cancel(task.run)
    await bench.clock.settle()
    assert bench.sink.jobs[task.run.id]["a"].output == b'"finished"'
    assert bench.status(task) == "CANCELLED"


async def test_a_job_that_does_not_stop_is_left_behind_after_its_grace(bench):
    go = asyncio.get_running_loop().create_future()

    async def deaf(config, context):
        while not go.done():
            try:
                await asyncio.shield(go)
            except asyncio.CancelledError:
                continue

    bench.types["deaf"] = bench.job_type("deaf", deaf)
    task = await bench.start({"a": {"uses": "deaf", "timeout": "1s"}})
    await bench.clock.advance(1 + bench.limits.cancel_grace_seconds)
    assert bench.error(task, "a")["code"] == "timeout"
    assert "did not stop" in bench.sink.logs[-1].line
    go.set_result(None)
    await bench.clock.settle()
    assert bench.sink.ends == {task.run.id: 1}


async def test_a_job_that_cancels_itself_has_failed(bench):
    async def cancels(config, context):
        raise asyncio.CancelledError

    bench.types["cancels"] = bench.job_type("cancels", cancels)
    task = await bench.start({"a": {"uses": "cancels"}})
    assert bench.error(task, "a")["code"] == "interrupted"


async def test_a_sleeping_job_is_parked_and_gives_its_slot_away(bench):
    jobs = {
        "s": {"uses": "sleep", "with": {"seconds": 3600, "output": "rested"}},
        "a": NOOP,
        "b": {**NOOP, "needs": ["s"]},
    }
    task = await bench.start(jobs, parallel=1)
    record = bench.sink.jobs[task.run.id]["s"]
    assert (record.status, record.wake_at) == (JobStatus.PAUSED, bench.clock.now() + 3_600_000_000)
    assert ("a", 1) in bench.calls
    await bench.clock.advance(3599)
    assert bench.statuses(task)["s"] == "PAUSED"
    await bench.clock.advance(1)
    assert bench.status(task) == "SUCCEEDED"
    assert bench.sink.jobs[task.run.id]["s"].output == b'"rested"'
    assert bench.calls.count(("s", 1)) == 1


async def test_a_wait_follows_the_wall_clock_when_somebody_sets_it(bench):
    task = await bench.start({"s": {"uses": "sleep", "with": {"seconds": 7200}}})
    bench.clock.jump(7200)
    await bench.clock.advance(60)
    assert bench.status(task) == "SUCCEEDED"


async def test_a_time_that_is_past_does_not_park(bench):
    task = await bench.start({"s": {"uses": "sleep", "with": {"seconds": -1, "output": 1}}})
    assert (bench.output(task), bench.sink.calls) == (1, 0)


async def test_a_fenced_run_is_dropped_without_a_word(bench):
    task = bench.task({"a": NOOP, "b": {**NOOP, "needs": ["a"]}, "w": WAIT})
    dropped = []
    bench.engine.connect(on_drop=dropped.append)
    bench.sink.fenced.add(task.run.id)
    bench.engine.submit([task])
    await bench.clock.settle()
    assert bench.engine.active == 0
    assert dropped == [task.run]
    assert bench.cancelled == ["w"]
    assert ("b", 1) not in bench.calls
    assert bench.sink.ends == {}


async def test_a_run_that_comes_again_under_a_newer_fence_replaces_the_old_one(bench):
    task = await bench.start({"a": WAIT})
    newer = msgspec.structs.replace(task, run=msgspec.structs.replace(task.run, fence=2))
    bench.engine.submit([newer])
    await bench.clock.settle()
    assert bench.cancelled == ["a"]
    await bench.release("a", "new")
    assert bench.sink.ends == {task.run.id: 1}
    assert bench.sink.runs[task.run.id].fence == 2


async def test_a_run_of_which_the_store_refuses_a_result_fails_and_does_not_hold_up_its_neighbours(bench, caplog):
    tasks = [bench.task({"a": NOOP, "b": {**NOOP, "needs": ["a"]}}) for _ in range(5)]
    bench.sink.broken.add((tasks[2].run.id, "a"))
    bench.engine.submit(tasks)
    await bench.clock.settle()
    assert [bench.status(task) for task in tasks] == ["SUCCEEDED", "SUCCEEDED", "FAILED", "SUCCEEDED", "SUCCEEDED"]
    assert bench.error(tasks[2])["code"] == "not_stored"
    assert bench.calls.count(("b", 1)) == 4
    assert bench.engine.active == 0
    assert tasks[2].run.id in caplog.text


async def test_an_end_that_the_store_refuses_becomes_a_plain_failure(bench, caplog):
    task = bench.task({"a": NOOP})
    bench.sink.broken.add((task.run.id, "a"))
    bench.engine.submit([task])
    await bench.clock.settle()
    assert bench.error(task)["code"] == "not_stored"
    assert bench.sink.ends == {task.run.id: 1}
    assert task.run.id in caplog.text


async def test_an_end_that_waits_for_a_checkpoint_under_way_comes_once(bench):
    task = await bench.start({"a": WAIT, "b": WAIT})
    bench.sink.hold.clear()
    await bench.release("a")
    await bench.release("b")
    assert bench.sink.ends == {}
    bench.sink.hold.set()
    await bench.clock.settle()
    assert bench.sink.ends == {task.run.id: 1}
    assert bench.statuses(task) == {"a": "SUCCEEDED", "b": "SUCCEEDED"}


async def test_log_lines_are_kept_in_order_with_the_job_and_its_attempt(bench):
    async def prints(config, context):
        context.log("one")
        context.log("two", "stderr")
        await asyncio.get_running_loop().run_in_executor(None, context.log, "from a thread")
        context.log("bad \0 \ud800 é")
        raise JobFailed("x")

    bench.types["prints"] = bench.job_type("prints", prints)
    task = await bench.start({"a": {"uses": "prints"}})
    while bench.status(task) != "FAILED":
        await bench.clock.settle()
    lines = bench.sink.logs
    assert [(one.line, one.stream) for one in lines] == [
        ("one", "stdout"), ("two", "stderr"), ("from a thread", "stdout"), ("bad \ufffd ? é", "stdout"),
    ]  # fmt: skip
    assert [one.seq for one in lines] == sorted({one.seq for one in lines})
    assert {(one.job_id, one.attempt, one.run_id) for one in lines} == {("a", 1, task.run.id)}


async def test_logs_are_bounded_per_job(bench):
    def chatty(config, context):
        for _ in range(300):
            context.log("x" * 10_000)

    bench.types["chatty"] = bench.job_type("chatty", chatty, inline=True)
    await bench.start({"a": {"uses": "chatty"}, "b": {"uses": "chatty"}})
    for job in ("a", "b"):
        lines = [one for one in bench.sink.logs if one.job_id == job]
        assert len(lines) == 100
        assert (lines[-1].stream, lines[-1].line.split(":")[0]) == ("system", "truncated")


async def test_jobs_reach_secrets_and_events_through_the_engine(bench):
    sent = []

    class Secrets:
        async def get(self, tenant_id, name):
            return f"{tenant_id}:{name}"

    async def emit(run, job_id, event, key):
        sent.append((run.id, job_id, event, key))
        return "e1"

    async def uses_all(config, context):
        return [await context.secret("token"), await context.emit({"type": "x"}, "k"), context.idempotency_key]

    bench.types["all"] = bench.job_type("all", uses_all)
    bench.engine.connect(secrets=Secrets(), emit=emit)
    task = await bench.start({"a": {"uses": "all"}})
    assert bench.output(task) == [f"{task.run.tenant_id}:token", "e1", f"{task.run.id}:a"]
    assert sent == [(task.run.id, "a", {"type": "x"}, "k")]


async def test_closing_leaves_runs_as_their_last_checkpoint_left_them(bench):
    task = await bench.start({"a": NOOP, "w": {**WAIT, "needs": ["a"]}})
    await bench.engine.close()
    assert bench.cancelled == ["w"]
    assert bench.statuses(task) == {"a": "SUCCEEDED", "w": "RUNNING"}
    assert bench.sink.ends == {}
    bench.engine.submit([bench.task({"a": NOOP})])
    assert bench.engine.active == 0


async def test_describe_knows_only_runs_that_are_here(bench):
    assert await bench.engine.describe(make_run()) is None
    task = await bench.start({"a": WAIT})
    assert (await bench.engine.describe(task.run)).status is RunStatus.RUNNING


async def test_a_job_whose_start_waits_for_a_checkpoint_never_starts_after_a_cancel(bench):
    task = await bench.start({"a": WAIT, "b": {**WAIT, "needs": ["a"]}})
    bench.sink.hold.clear()
    await bench.release("a")
    await bench.engine.cancel(task.run)
    bench.sink.hold.set()
    await bench.clock.settle()
    assert bench.calls == [("a", 1)]
    assert bench.statuses(task) == {"a": "SUCCEEDED", "b": "CANCELLED"}
    assert bench.status(task) == "CANCELLED"


async def test_a_job_that_finds_the_store_away_begins_again_when_it_is_back(bench):
    task = await bench.start({"a": WAIT})
    for pause in (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        await bench.release("a", StoreUnavailable("away"))
        await bench.clock.advance(pause - 0.01)
        assert bench.gates["a"].done()
        await bench.clock.advance(0.01)
        assert not bench.gates["a"].done()
    await bench.release("a", "there")
    assert bench.status(task) == "SUCCEEDED"
    assert bench.output(task) == "there"
    assert set(bench.calls) == {("a", 1)}  # no attempt was spent


async def test_waiting_for_the_store_counts_for_the_timeout_and_can_be_cancelled(bench):
    task = await bench.start({"a": {**WAIT, "timeout": "5s"}})
    await bench.release("a", StoreUnavailable("away"))
    await bench.clock.advance(5)
    assert bench.error(task, "a")["code"] == "timeout"
    task = await bench.start({"b": WAIT})
    await bench.release("b", StoreUnavailable("away"))
    await bench.engine.cancel(task.run)
    await bench.clock.settle()
    assert bench.status(task) == "CANCELLED"

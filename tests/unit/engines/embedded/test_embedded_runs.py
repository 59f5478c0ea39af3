"""Runs on the embedded engine: order, results, checkpoints, outputs."""

import asyncio

import msgspec

from workflow_scheduler.core.errors import JobFailed, RetryAfter
from workflow_scheduler.core.model.run import JobStatus, RunStatus
from workflow_scheduler.testing.factories import make_run

NOOP = {"uses": "noop"}
WAIT = {"uses": "wait"}


async def test_a_run_of_one_inline_job_is_one_write(bench):
    task = await bench.start({"a": {"uses": "noop", "with": {"output": {"x": 1}}}})
    assert bench.status(task) == "SUCCEEDED"
    assert bench.output(task) == {"x": 1}
    assert bench.sink.calls == 0
    (record,) = bench.sink.history
    assert (record.status, record.attempt, record.output) == (JobStatus.SUCCEEDED, 1, b'{"x":1}')
    assert record.started_at == record.ended_at == bench.clock.now()
    assert bench.engine.active == 0


async def test_the_end_carries_both_times_and_the_fence(bench):
    task = await bench.start({"a": WAIT}, run=make_run(fence=7))
    await bench.clock.advance(3)
    await bench.release("a")
    change = bench.sink.runs[task.run.id]
    assert (change.fence, change.ended_at - change.started_at) == (7, 3_000_000)
    assert bench.sink.jobs[task.run.id]["a"].fence == 7


async def test_a_job_that_takes_time_is_seen_running(bench):
    task = await bench.start({"a": WAIT})
    assert bench.status(task) == "RUNNING"
    assert bench.statuses(task) == {"a": "RUNNING"}
    await bench.release("a", {"n": 2})
    assert bench.output(task) == {"n": 2}
    assert bench.sink.ends == {task.run.id: 1}


async def test_jobs_run_in_order_and_in_parallel_up_to_the_limit(bench):
    jobs = {"a": WAIT, "b": WAIT, "c": WAIT, "d": {**NOOP, "needs": ["a", "b", "c"]}}
    task = await bench.start(jobs, parallel=2)
    assert set(bench.gates) == {"a", "b"}
    await bench.release("b")
    assert set(bench.gates) == {"a", "b", "c"}
    await bench.release("c")
    await bench.release("a")
    assert bench.statuses(task) == dict.fromkeys("abcd", "SUCCEEDED")
    assert bench.status(task) == "SUCCEEDED"


async def test_a_job_starts_only_when_what_it_needs_is_durable(bench):
    bench.sink.hold.clear()
    task = await bench.start({"a": NOOP, "b": {**NOOP, "needs": ["a"]}})
    assert bench.calls == [("a", 1)]
    bench.sink.hold.set()
    await bench.clock.settle()
    assert bench.calls == [("a", 1), ("b", 1)]
    assert bench.status(task) == "SUCCEEDED"


async def test_a_job_that_needs_nothing_new_does_not_wait_for_a_checkpoint(bench):
    bench.sink.hold.clear()
    await bench.start({"a": NOOP, "b": {**NOOP, "needs": ["a"]}, "c": NOOP}, parallel=1)
    assert bench.calls == [("a", 1), ("c", 1)]
    bench.sink.hold.set()


async def test_results_of_one_turn_share_one_checkpoint(bench):
    jobs = {"a": NOOP} | {f"m{n}": {**NOOP, "needs": ["a"]} for n in range(200)}
    jobs["z"] = {**NOOP, "needs": [f"m{n}" for n in range(200)]}
    task = await bench.start(jobs)
    assert bench.status(task) == "SUCCEEDED"
    assert bench.sink.calls == 2


async def test_results_of_several_runs_share_one_checkpoint(bench):
    tasks = [bench.task({"a": NOOP, "b": {**NOOP, "needs": ["a"]}}) for _ in range(50)]
    bench.engine.submit(tasks)
    await bench.clock.settle()
    assert bench.sink.calls == 1
    assert {bench.status(task) for task in tasks} == {"SUCCEEDED"}


async def test_a_long_inline_run_lets_others_have_their_turn(bench):
    task = bench.task({f"j{n}": NOOP for n in range(1000)})
    bench.engine.submit([task])
    assert len(bench.calls) == bench.limits.inline_jobs_max
    await bench.clock.settle()
    assert len(bench.calls) == 1000
    assert bench.status(task) == "SUCCEEDED"


async def test_several_leaves_give_an_object_of_outputs(bench):
    jobs = {
        "a": {"uses": "noop", "with": {"output": 1}},
        "b": {"uses": "noop", "with": {"output": 2}, "needs": ["a"]},
        "c": {"uses": "noop", "with": {"output": [3]}, "needs": ["a"]},
        "d": {"uses": "noop", "needs": ["a"], "if": "false"},
    }
    assert bench.output(await bench.start(jobs)) == {"b": 2, "c": [3]}


async def test_an_only_leaf_that_was_skipped_gives_null(bench):
    assert bench.output(await bench.start({"a": {**NOOP, "if": "false"}})) is None


async def test_a_workflow_without_jobs_succeeds(bench):
    task = await bench.start({})
    assert (bench.status(task), bench.output(task)) == ("SUCCEEDED", {})


async def test_expressions_see_input_event_jobs_env_and_run(bench):
    shown = {
        "n": "${input.n + 1}",
        "amount": "${event.data.amount}",
        "before": "${jobs.a.output.x}${steps.a.status}",
        "env": "${env.STAGE}",
        "url": "${run.url}",
        "workflow": "${run.workflow}",
    }
    jobs = {
        "a": {"uses": "noop", "with": {"output": {"x": "y"}}},
        "b": {"uses": "noop", "needs": ["a"], "with": {"output": shown}, "env": {"STAGE": "${input.n}-prod"}},
    }
    bench.engine.connect(public_url="https://flows.test/")
    task = await bench.start(jobs, event=b'{"data":{"amount":120}}')
    assert bench.output(task) == {
        "n": 2,
        "amount": 120,
        "before": "ySUCCEEDED",
        "env": "1-prod",
        "url": f"https://flows.test/runs/{task.run.id}",
        "workflow": "order-flow",
    }
    assert bench.contexts["b"].env == {"STAGE": "1-prod"}
    assert bench.contexts["b"].variables["jobs"]["a"]["output"] == {"x": "y"}


async def test_a_missing_value_fails_the_job_and_says_which(bench):
    task = await bench.start({"a": {"uses": "noop", "with": {"output": "${input.nope}"}}})
    error = bench.error(task, "a")
    assert (error["code"], error["retryable"]) == ("expression_failed", False)
    assert "jobs.a.with.output: ${input.nope}" in error["message"]
    assert bench.calls == []


async def test_a_configuration_that_does_not_fit_after_filling_in_fails_the_job(bench):
    task = await bench.start({"a": {"uses": "noop", "with": {"seconds": "${input}"}}})
    assert bench.error(task, "a")["code"] == "config_invalid"


async def test_a_job_type_that_is_gone_fails_the_job_not_the_engine(bench):
    task = bench.task({"a": NOOP})
    del bench.types["noop"]
    bench.engine.submit([task])
    await bench.clock.settle()
    assert bench.error(task, "a")["code"] == "job_type_unknown"


async def test_a_condition_decides_with_the_results_so_far(bench):
    jobs = {
        "a": {"uses": "noop", "with": {"output": {"go": True}}},
        "yes": {**NOOP, "needs": ["a"], "if": "jobs.a.output.go"},
        "no": {**NOOP, "needs": ["a"], "if": "!jobs.a.output.go"},
        "after": {**NOOP, "needs": ["no"]},
    }
    task = await bench.start(jobs)
    assert bench.statuses(task) == {"a": "SUCCEEDED", "yes": "SUCCEEDED", "no": "SKIPPED", "after": "SKIPPED"}
    assert bench.error(task, "no")["code"] == "condition_false"
    assert bench.status(task) == "SUCCEEDED"


async def test_a_condition_that_cannot_be_decided_fails_the_job(bench):
    task = await bench.start({"a": {**NOOP, "if": "input.nope"}})
    assert bench.error(task, "a")["code"] == "condition_unknown"
    assert bench.status(task) == "FAILED"


async def test_a_failure_names_the_job_and_its_reason(bench):
    jobs = {"a": {"uses": "fail", "with": {"output": "disk is full"}}, "b": {**NOOP, "needs": ["a"]}}
    task = await bench.start(jobs)
    assert bench.statuses(task) == {"a": "FAILED", "b": "SKIPPED"}
    assert bench.error(task, "b")["code"] == "upstream_failed"
    error = bench.error(task)
    assert (error["code"], error["job"]) == ("job_failed", "a")
    assert error["message"] == "job `a` failed: disk is full"


async def test_a_run_with_a_failure_fails_even_when_its_handler_succeeded(bench):
    jobs = {"a": {"uses": "fail"}, "h": {**NOOP, "needs": ["a"], "run_if": "at_least_one_failed"}}
    task = await bench.start(jobs)
    assert bench.statuses(task) == {"a": "FAILED", "h": "SUCCEEDED"}
    assert bench.status(task) == "FAILED"


async def test_errors_from_outside_our_tree_keep_their_class_as_code(bench):
    task = await bench.start({"a": WAIT})
    await bench.release("a", KeyError("x"))
    error = bench.error(task, "a")
    assert (error["code"], error["message"], error["retryable"]) == ("KeyError", "KeyError: 'x'", False)


async def test_a_job_cannot_end_the_process(bench):
    async def leave(config, context):
        raise SystemExit(1)

    bench.types["leave"] = bench.job_type("leave", leave)
    task = await bench.start({"a": {"uses": "leave"}})
    assert "end the process" in bench.error(task, "a")["message"]


async def test_an_output_that_is_not_json_or_is_too_large_fails_the_job(bench):
    jobs = {"a": WAIT, "b": WAIT}
    task = await bench.start(jobs)
    await bench.release("a", object())
    await bench.release("b", "x" * (bench.limits.output_bytes_max + 1))
    assert bench.error(task, "a")["code"] == "output_invalid"
    assert bench.error(task, "b")["code"] == "output_too_large"


async def test_fail_fast_cancels_running_jobs(bench):
    task = await bench.start({"a": WAIT, "b": WAIT, "c": {**NOOP, "needs": ["b"]}}, fail_fast=True)
    await bench.release("a", JobFailed("no"))
    assert bench.statuses(task) == {"a": "FAILED", "b": "CANCELLED", "c": "SKIPPED"}
    assert bench.cancelled == ["b"]
    assert bench.error(task)["jobs"] == ["a"]


async def test_retries_wait_without_holding_anything_and_then_run_again(bench):
    job = {"uses": "fail", "retry": {"attempts": 3, "delay": "10s", "backoff": "exponential"}}
    task = await bench.start({"a": job})
    record = bench.sink.jobs[task.run.id]["a"]
    assert (record.status, record.attempt, record.wake_at) == (JobStatus.QUEUED, 2, bench.clock.now() + 10_000_000)
    assert msgspec.json.decode(record.error)["message"] == "broken"
    await bench.clock.advance(9.9)
    assert bench.calls == [("a", 1)]
    await bench.clock.advance(0.1)
    assert bench.calls == [("a", 1), ("a", 2)]
    await bench.clock.advance(20)
    assert bench.calls == [("a", 1), ("a", 2), ("a", 3)]
    assert bench.status(task) == "FAILED"
    assert bench.sink.jobs[task.run.id]["a"].attempt == 3


async def test_retry_after_is_heeded(bench):
    task = await bench.start({"a": {**WAIT, "retry": {"attempts": 2, "delay": "1s"}}})
    await bench.release("a", RetryAfter("busy", retry_after_seconds=30))
    await bench.clock.advance(29)
    assert len(bench.calls) == 1
    await bench.clock.advance(1)
    await bench.release("a", "ok")
    assert bench.output(task) == "ok"


async def test_starting_the_same_run_twice_runs_it_once(bench):
    task = bench.task({"a": WAIT})
    first, second = await bench.engine.start(task), await bench.engine.start(task)
    await bench.clock.settle()
    assert (first.already, second.already) == (False, True)
    assert bench.calls == [("a", 1)]
    assert (await bench.engine.describe(task.run)).status is RunStatus.RUNNING
    await bench.release("a")
    assert await bench.engine.describe(task.run) is None


async def test_signals_tell_what_happens(bench):
    await bench.start({"a": NOOP, "b": {**NOOP, "needs": ["a"]}})
    assert bench.signals.names() == [
        "engine.job.started", "engine.job.finished", "engine.checkpoint.before", "engine.checkpoint.after",
        "engine.job.started", "engine.job.finished", "engine.run.finished",
    ]  # fmt: skip


async def test_ten_thousand_jobs_in_a_row_do_not_recurse(bench):
    jobs = {"j0": NOOP} | {f"j{n}": {**NOOP, "needs": [f"j{n - 1}"], "if": "false"} for n in range(1, 5000)}
    task = bench.task(jobs)
    bench.engine.submit([task])
    await asyncio.wait_for(bench.clock.settle(), 30)
    assert bench.status(task) == "SUCCEEDED"

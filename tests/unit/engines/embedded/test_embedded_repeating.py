"""Jobs that are repeated: `map`, `for_each` and `while` on the engine."""

import msgspec
import pytest


def many(count, **more):
    return {"list": {"uses": "noop", "with": {"output": list(range(count))}},
            "load": {"needs": ["list"], "map": "${jobs.list.output}", "uses": "noop",
                     "with": {"output": "${item * 10}"}, **more}}  # fmt: skip


def after(output):
    return {"uses": "noop", "needs": ["load"], "run_if": "all_done", "with": {"output": output}}


async def test_a_map_gathers_outputs_in_the_order_of_the_items(bench):
    jobs = {"load": {"map": "${input.names}", "uses": "wait", "with": {"output": "${item}-${iteration.index}"}},
            "after": after({"all": "${jobs.load.output}", "n": "${jobs.load.count}"})}  # fmt: skip
    run = bench.task({}).run
    run = msgspec.structs.replace(run, input=b'{"names":["a","b","c"]}')
    task = await bench.start(jobs, run=run)
    for name in ("load[2]", "load[0]", "load[1]"):
        await bench.release(name)
    assert bench.output(task) == {"all": ["a-0", "b-1", "c-2"], "n": 3}
    assert bench.statuses(task) == {
        "load": "SUCCEEDED", "load[0]": "SUCCEEDED", "load[1]": "SUCCEEDED", "load[2]": "SUCCEEDED",
        "after": "SUCCEEDED"}  # fmt: skip


async def test_an_empty_list_succeeds_with_an_empty_list(bench):
    task = await bench.start({**many(0), "after": after({"n": "${jobs.load.count}", "o": "${jobs.load.output}"})})
    assert bench.output(task) == {"n": 0, "o": []}


async def test_a_list_may_stand_in_the_file(bench):
    task = await bench.start({"load": {"map": [1, "${input.n + 1}"], "uses": "noop", "with": {"output": "${item}"}}})
    assert bench.output(task) == [1, 2]


@pytest.mark.parametrize(
    ("value", "what"), [({"a": 1}, "an object"), ("abc", "a text"), (3, "a number"), (None, "null")]
)
async def test_a_map_over_no_list_fails_and_names_job_and_value(bench, value, what):
    jobs = many(0)
    jobs["list"]["with"]["output"] = value
    task = await bench.start(jobs)
    error = bench.error(task, "load")
    assert error["code"] == "not_a_list"
    assert f"`map` of job `load` wants a list and got {what}: {msgspec.json.encode(value).decode()}" == error["message"]


async def test_only_so_many_instances_run_at_once_as_the_job_and_the_run_allow(bench):
    jobs = {"load": {"map": "${[1,2,3,4,5]}", "max_parallel": 2, "uses": "wait"}, "other": {"uses": "wait"}}
    task = await bench.start(jobs, parallel=4)
    assert sorted(bench.gates) == ["load[0]", "load[1]", "other"]
    await bench.release("load[1]")
    assert "load[2]" in bench.gates
    assert "load[3]" not in bench.gates
    for place in (0, 2, 3, 4):
        await bench.release(f"load[{place}]")
    await bench.release("other")
    assert bench.status(task) == "SUCCEEDED"


async def test_a_failed_instance_leaves_null_and_the_others_go_on(bench):
    jobs = many(3, allow_failure=True)
    jobs["load"] |= {"uses": "check"}
    bench.types["check"] = bench.job_type("check", lambda config, _: 1 // 0 if config.output == 10 else config.output)
    bench.types["check"].inline = True
    task = await bench.start({**jobs, "after": after({"o": "${jobs.load.output}", "s": "${jobs.load.status}"})})
    assert bench.output(task) == {"o": [0, None, 20], "s": "FAILED"}
    error = bench.error(task, "load")
    assert (error["code"], error["failed"]) == ("instance_failed", [1])
    assert error["message"].startswith("1 of 3 instances of job `load` failed; load[1]: ZeroDivisionError")


async def test_each_instance_has_its_own_attempts(bench):
    tries = []

    def flaky(config, context):
        tries.append((context.job_id, context.attempt))
        if context.attempt <= config.output:
            raise ConnectionError("away")
        return context.attempt

    bench.types["flaky"] = bench.job_type("flaky", flaky, inline=True)
    bench.types["flaky"].retryable = lambda error: True
    jobs = {"load": {"map": [0, 1, 2], "uses": "flaky", "with": {"output": "${item}"}, "retry": {"attempts": 3}}}
    task = await bench.start(jobs)
    await bench.clock.advance(10)
    assert bench.output(task) == [1, 2, 3]
    assert len(tries) == 6


async def test_fail_fast_of_a_map_stops_the_other_instances(bench):
    jobs = {"load": {"map": "${[1,2,3,4]}", "max_parallel": 2, "fail_fast": True, "uses": "wait"}}
    task = await bench.start(jobs)
    await bench.release("load[0]", ValueError("broken"))
    assert bench.statuses(task) == {"load": "FAILED", "load[0]": "FAILED", "load[1]": "CANCELLED"}
    assert bench.status(task) == "FAILED"


async def test_fail_fast_of_the_workflow_stops_at_the_first_failed_instance(bench):
    task = await bench.start({"load": {"map": "${[1,2,3]}", "max_parallel": 2, "uses": "wait"},
                              "other": {"uses": "wait"}}, fail_fast=True)  # fmt: skip
    await bench.release("load[0]", ValueError("broken"))
    assert bench.statuses(task) == {
        "load": "FAILED", "load[0]": "FAILED", "load[1]": "CANCELLED", "other": "CANCELLED"}  # fmt: skip


async def test_cancelling_the_run_ends_every_instance_once(bench):
    task = await bench.start({"load": {"map": "${[1,2,3]}", "max_parallel": 2, "uses": "wait"}})
    await bench.engine.cancel(task.run)
    await bench.clock.settle()
    assert bench.statuses(task) == {"load": "CANCELLED", "load[0]": "CANCELLED", "load[1]": "CANCELLED"}
    assert bench.status(task) == "CANCELLED"
    assert bench.sink.ends[task.run.id] == 1


async def test_too_many_items_fail_the_job(narrow):
    bench = narrow(instances_max=2)
    task = await bench.start(many(3))
    assert "got a list of 3 items; 2 are allowed" in bench.error(task, "load")["message"]


async def test_finished_instances_are_not_run_again_after_a_crash(bench):
    jobs = {"load": {"map": "${['a','b','c']}", "max_parallel": 2, "uses": "wait", "with": {"output": "${item}"}}}
    task = await bench.start(jobs)
    await bench.release("load[1]")
    again = bench.crash(task)
    bench.calls.clear()
    bench.engine.submit([again])
    await bench.clock.settle()
    assert sorted(bench.calls) == [("load[0]", 2), ("load[2]", 2)]
    await bench.release("load[2]")
    await bench.release("load[0]")
    assert bench.output(again) == ["a", "b", "c"]


async def test_a_retry_delay_of_an_instance_survives_a_crash(bench):
    jobs = {"load": {"map": [1], "uses": "wait", "retry": {"attempts": 2, "delay": "1m", "on": ["ValueError"]}}}
    task = await bench.start(jobs)
    await bench.release("load[0]", ValueError("x"))
    again = bench.crash(task)
    bench.engine.submit([again])
    await bench.clock.advance(59)
    assert bench.calls == [("load[0]", 1)]
    await bench.clock.advance(2)
    assert bench.calls == [("load[0]", 1), ("load[0]", 2)]


async def test_a_cancelled_run_that_is_taken_over_ends_its_instances(bench):
    jobs = {"load": {"map": "${[1,2,3]}", "max_parallel": 2, "uses": "wait", "retry": {"attempts": 2, "delay": "9m",
                     "on": ["ValueError"]}}}  # fmt: skip
    task = await bench.start(jobs)
    await bench.release("load[0]", ValueError("x"))
    again = bench.crash(task, cancel_requested=True)
    bench.engine.submit([again])
    await bench.clock.settle()
    assert bench.status(again) == "CANCELLED"
    assert set(bench.statuses(again).values()) == {"CANCELLED"}


# Loops


async def test_for_each_goes_one_by_one_and_sees_the_output_before(bench):
    jobs = {"load": {"for_each": [1, 2, 3], "uses": "noop",
                     "with": {"output": "${(iteration.index == 0 ? 0 : iteration.previous) + item}"}}}  # fmt: skip
    task = await bench.start(jobs)
    assert bench.output(task) == [1, 3, 6]
    assert [job for job, _ in bench.calls] == ["load[0]", "load[1]", "load[2]"]


async def test_for_each_stops_at_the_first_failure_unless_told_otherwise(bench):
    for more, ended in (({}, 1), ({"fail_fast": False}, 2)):
        bench.calls.clear()
        await bench.start({"load": {"for_each": [1, 2], "uses": "fail", **more}})
        assert len(bench.calls) == ended


async def test_a_while_loop_asks_before_each_iteration(bench):
    jobs = {"load": {"while": "iteration.index == 0 || iteration.previous < 3", "max_iterations": 10, "uses": "noop",
                     "with": {"output": "${iteration.index + 1}"}},
            "after": after({"o": "${jobs.load.output}", "n": "${jobs.load.count}"})}  # fmt: skip
    task = await bench.start(jobs)
    assert bench.output(task) == {"o": [1, 2, 3], "n": 3}


async def test_a_while_that_does_not_hold_runs_nothing(bench):
    task = await bench.start({"load": {"while": "false", "max_iterations": 1, "uses": "noop"}})
    assert bench.output(task) == []
    assert bench.calls == []


async def test_a_while_that_holds_beyond_its_bound_fails_with_what_there_is(bench):
    task = await bench.start({"load": {"while": "true", "max_iterations": 2, "uses": "noop", "with": {"output": 1}}})
    assert bench.error(task, "load")["code"] == "max_iterations"
    assert bench.sink.jobs[task.run.id]["load"].output == b"[1,1]"
    assert len(bench.calls) == 2


async def test_a_while_that_is_unknown_fails_and_says_why(bench):
    task = await bench.start({"load": {"while": "input.no > 1", "max_iterations": 2, "uses": "noop"}})
    error = bench.error(task, "load")
    assert error["code"] == "condition_unknown"
    assert "before iteration 0" in error["message"]


async def test_the_delay_between_iterations_holds_nothing_and_survives_a_crash(bench):
    jobs = {"load": {"for_each": [1, 2], "delay": "10m", "uses": "noop", "with": {"output": "${item}"}},
            "other": {"uses": "noop"}}  # fmt: skip
    task = await bench.start(jobs, parallel=1)
    assert bench.statuses(task)["load[1]"] == "QUEUED"
    assert bench.statuses(task)["other"] == "SUCCEEDED"
    again = bench.crash(task)
    bench.engine.submit([again])
    await bench.clock.advance(599)
    assert ("load[1]", 1) not in bench.calls
    await bench.clock.advance(2)
    assert bench.status(again) == "SUCCEEDED"
    assert [one for one in bench.calls if one[0].startswith("load")] == [("load[0]", 1), ("load[1]", 1)]


async def test_a_loop_goes_on_where_it_was_after_a_crash(bench):
    jobs = {
        "load": {
            "while": "iteration.index < 3",
            "max_iterations": 5,
            "uses": "wait",
            "with": {"output": "${iteration.index}"},
        }
    }
    task = await bench.start(jobs)
    await bench.release("load[0]")
    again = bench.crash(task)
    bench.engine.submit([again])
    await bench.clock.settle()
    for place in (1, 2):
        await bench.release(f"load[{place}]")
    assert bench.output(again) == [0, 1, 2]
    assert bench.calls == [("load[0]", 1), ("load[1]", 1), ("load[1]", 2), ("load[2]", 1)]


async def test_an_iteration_starts_only_when_the_one_before_is_on_disk(bench):
    task = bench.task({"load": {"for_each": [1, 2], "uses": "noop"}})
    bench.sink.hold.clear()
    bench.engine.submit([task])
    await bench.clock.settle()
    assert bench.calls == [("load[0]", 1)]
    bench.sink.hold.set()
    await bench.clock.settle()
    assert bench.status(task) == "SUCCEEDED"


async def test_a_job_that_ended_before_it_was_cancelled_keeps_its_end(bench):
    task = await bench.start({"bad": {"uses": "fail"}, "good": {"uses": "noop"}}, fail_fast=True)
    assert bench.statuses(task) == {"bad": "FAILED", "good": "SUCCEEDED"}


async def test_an_if_of_a_repeated_job_is_judged_once(bench):
    task = await bench.start({"load": {"map": [1, 2], "if": "input.n > 1", "uses": "noop"}})
    assert bench.statuses(task) == {"load": "SKIPPED"}


async def test_ten_thousand_items_are_gathered_in_order(bench):
    jobs = {"list": {"uses": "noop", "with": {"output": list(range(10_000))}},
            "load": {"needs": ["list"], "map": "${jobs.list.output}", "max_parallel": 100, "uses": "noop",
                     "with": {"output": "${item}"}}}  # fmt: skip
    task = bench.task(jobs, parallel=100)
    bench.engine.submit([task])
    for _ in range(200):
        await bench.clock.settle()
        if task.run.id in bench.sink.ends:
            break
    assert bench.output(task) == list(range(10_000))

"""The limit of child processes at once: a job that needs one waits for it, in its turn, outside its own time."""


def with_children(bench):
    """Give the bench a job type of which those with a command run in a child process."""
    kind = bench.types["child"] = bench.job_type("child", bench.wait)
    kind.starts_process = lambda fields: "command" in fields
    return {"uses": "child", "with": {"command": "x"}}


async def test_child_processes_have_a_limit_of_their_own(narrow):
    bench = narrow(processes_max=2)
    child = with_children(bench)
    jobs = {f"c{number}": child for number in range(4)} | {"thread": {"uses": "child"}, "other": {"uses": "wait"}}
    task = await bench.start(jobs, parallel=10)
    assert sorted(bench.gates) == ["c0", "c1", "other", "thread"]
    await bench.release("c1")
    assert sorted(bench.gates) == ["c0", "c1", "c2", "other", "thread"]
    for name in ("thread", "other", "c0", "c2", "c3"):
        await bench.release(name)
    assert bench.status(task) == "SUCCEEDED"


async def test_a_job_that_waits_for_a_process_does_not_run_out_of_its_time(narrow):
    bench = narrow(processes_max=1)
    child = with_children(bench)
    await bench.start({"first": child})
    task = await bench.start({"second": {**child, "timeout": "10s"}})
    await bench.clock.advance(3600)
    assert list(bench.gates) == ["first"]
    await bench.release("first")
    await bench.clock.advance(9)
    assert task.run.id not in bench.sink.ends
    await bench.release("second")
    assert bench.status(task) == "SUCCEEDED"


async def test_processes_are_given_in_the_order_of_asking(narrow):
    bench = narrow(processes_max=1)
    child = with_children(bench)
    for number in range(4):
        await bench.start({f"c{number}": child})
    for number in range(4):
        await bench.release(f"c{number}")
    assert list(bench.gates) == ["c0", "c1", "c2", "c3"]


async def test_one_that_waits_can_be_cancelled_and_one_that_sleeps_holds_nothing(narrow):
    bench = narrow(processes_max=1)
    child = with_children(bench)
    await bench.start({"sleep": {"uses": "sleep", "with": {"seconds": 60}}})
    await bench.start({"first": child})
    waiting = await bench.start({"second": child})
    third = await bench.start({"third": child})
    await bench.engine.cancel(waiting.run)
    await bench.clock.settle()
    await bench.release("first")
    assert list(bench.gates) == ["first", "third"]
    await bench.release("third")
    assert bench.status(waiting) == "CANCELLED"
    assert bench.status(third) == "SUCCEEDED"

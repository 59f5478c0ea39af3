import asyncio
import os
import threading
from pathlib import Path

import pytest

from workflow_scheduler.core.errors import JobFailed, Rejected
from workflow_scheduler.jobs import python
from workflow_scheduler.testing.job_context import FakeJobContext, FakeResources

PROJECT = str(Path(__file__).parent / "project")


@pytest.fixture
def resources():
    lent = FakeResources(python_path=[PROJECT])
    yield lent
    lent.close()


async def call(resources, function=None, *, context=None, **more):
    if function is not None:
        more["function"] = f"shop.orders:{function}"
    config = python.Config.model_validate(more)
    return await python.run(config, context or FakeJobContext(resources=resources))


@pytest.mark.parametrize("isolation", [None, "thread", "process"])
async def test_arguments_and_result(resources, isolation):
    assert await call(resources, "total", args=[10, 30], kwargs={"tax": 0.5}, isolation=isolation) == 60.0


async def test_a_plain_function_runs_in_a_thread(resources):
    assert (await call(resources, "thread_name")).startswith("wfs-job")


@pytest.mark.parametrize("isolation", [None, "loop"])
async def test_a_coroutine_function_runs_on_the_loop(resources, isolation):
    output = await call(resources, "describe", args=["x"], isolation=isolation)
    assert output == {"name": "x", "thread": threading.main_thread().name}


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_coroutine_function_may_run_elsewhere(resources, isolation):
    assert (await call(resources, "describe", args=["x"], isolation=isolation))["name"] == "x"


async def test_a_plain_function_never_runs_on_the_loop(resources):
    with pytest.raises(Rejected, match="would block the event loop"):
        await call(resources, "total", isolation="loop")


async def test_a_process_of_its_own(resources):
    context = FakeJobContext(resources=resources)
    assert await call(resources, "process_id", isolation="process", context=context) != os.getpid()
    assert context.lines == [("stdout", "working")]


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_failure_carries_the_last_lines_of_the_traceback(resources, isolation):
    with pytest.raises(JobFailed) as caught:
        await call(resources, "broken", isolation=isolation)
    first, *rest = caught.value.detail.splitlines()
    assert first == "ValueError: no such order"
    assert "orders.py" in rest[0]
    assert "in broken" in rest[0]
    assert len(rest) == 2 or rest[2].strip().startswith("^")


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_an_exception_may_say_that_it_is_final(resources, isolation):
    with pytest.raises(Rejected, match="never again"):
        await call(resources, "refused", isolation=isolation)


@pytest.mark.parametrize(
    ("function", "isolation"), [("leaves", "thread"), ("leaves", "process"), ("leaves_loop", None)]
)
async def test_sys_exit_ends_the_job_and_not_the_service(resources, function, isolation):
    with pytest.raises(JobFailed, match="SystemExit: 3"):
        await call(resources, function, isolation=isolation)


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_output_must_be_json(resources, isolation):
    with pytest.raises((Rejected, JobFailed), match="not JSON"):
        await call(resources, "unjsonable", isolation=isolation)


@pytest.mark.parametrize("function", ["no.such.module:f", "shop.orders:nothing", "shop.orders:Store.nothing"])
async def test_unknown_functions_are_refused_with_a_remedy(resources, function):
    with pytest.raises(Rejected, match="cannot import") as caught:
        await python.run(python.Config(function=function), FakeJobContext(resources=resources))
    assert "installed" in caught.value.fix


async def test_what_is_not_callable_is_refused(resources):
    with pytest.raises(Rejected, match="not a function"):
        await python.run(python.Config(function="os.path:sep"), FakeJobContext(resources=resources))


async def test_nested_names(resources):
    assert await call(resources, "Store.name") == "corner"


async def test_the_process_has_a_clean_environment(resources, monkeypatch):
    monkeypatch.setenv("SLACK_BOT_TOKEN", "xoxb")
    output = await call(resources, "environment", isolation="process", env={"OWN": "1"})
    assert output["OWN"] == "1"
    assert output["WFS_IDEMPOTENCY_KEY"] == "run-1:job"
    assert "SLACK_BOT_TOKEN" not in output


async def test_memory_is_bounded(resources):
    with pytest.raises(JobFailed, match=r"used its 256 MiB of memory \(memory_mb_max\)\nMemoryError"):
        await call(resources, "hungry", isolation="process", memory_mb_max=256)


async def test_cpu_time_is_bounded(resources):
    with pytest.raises(JobFailed, match="1 s of CPU time"):
        await call(resources, "spinning", isolation="process", cpu_seconds_max=1)


async def test_cancel_ends_the_process(resources):
    ready = asyncio.Event()
    context = FakeJobContext(resources=resources, on_line=lambda line, _: ready.set() if line == "ready" else None)
    task = asyncio.create_task(call(resources, "sleeping", isolation="process", context=context, grace=5))
    async with asyncio.timeout(10):
        await ready.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_code_gets_input_event_and_jobs_and_sets_output(resources):
    variables = {"input": {"n": 2}, "event": {"id": "e1"}, "jobs": {"a": {"output": 40}}, "env": {}, "run": {}}
    context = FakeJobContext(resources=resources, variables=variables)
    code = "output = {'sum': input['n'] + jobs['a']['output'], 'event': event['id']}\nprint('done')"
    assert await call(resources, code=code, context=context) == {"sum": 42, "event": "e1"}
    assert context.lines == [("stdout", "done")]


@pytest.mark.parametrize(
    "code",
    [
        "def main():\n    return 7",
        "async def main():\n    return 7",
        "def main(input):\n    return input",
        "output = 7\nimport sys\nsys.exit(0)",
        "from shop.orders import total\noutput = int(total(3, 4))",
    ],
)
async def test_code_may_define_main(resources, code):
    context = FakeJobContext(resources=resources, variables={"input": 7, "event": None, "jobs": {}})
    assert await call(resources, code=code, context=context) == 7


async def test_code_without_output_gives_null(resources):
    assert await call(resources, code="x = 1") is None


async def test_code_failure_shows_the_line(resources):
    with pytest.raises(JobFailed) as caught:
        await call(resources, code="x = 1\n\nx / 0\n")
    lines = caught.value.detail.splitlines()
    assert lines[0] == "ZeroDivisionError: division by zero"
    assert 'File "<job>", line 3' in lines[1]
    assert lines[2].strip() == "x / 0"


async def test_code_that_does_not_parse(resources):
    with pytest.raises(JobFailed, match="SyntaxError"):
        await call(resources, code="def (")


async def test_a_result_that_is_not_finite_fails(resources):
    with pytest.raises(JobFailed, match="not JSON compliant"):
        await call(resources, code="output = float('nan')")


async def test_code_that_kills_its_process(resources):
    with pytest.raises(JobFailed, match="ended by signal 9"):
        await call(resources, code="import os\nos.kill(os.getpid(), 9)")


async def test_code_that_leaves_without_a_result(resources):
    with pytest.raises(JobFailed, match="left no result"):
        await call(resources, code="import os\nos._exit(0)")


async def test_dates_sets_and_dataclasses_become_json(resources):
    code = "from datetime import date\nfrom uuid import UUID\noutput = [date(2027, 3, 14), {1}, UUID(int=1)]"
    assert await call(resources, code=code) == ["2027-03-14", [1], "00000000-0000-0000-0000-000000000001"]

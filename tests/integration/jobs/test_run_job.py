import asyncio
import os
from pathlib import Path

import pytest

from workflow_scheduler.core.errors import Forbidden, JobFailed, Rejected
from workflow_scheduler.jobs import run
from workflow_scheduler.testing.job_context import FakeJobContext


def config(command: str, **more: object) -> run.Config:
    return run.Config.model_validate({"command": command, **more})


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


async def gone(pid: int) -> None:
    """Wait for a killed process to be taken off the machine; it is not our child, so nobody tells us."""
    async with asyncio.timeout(10):
        while alive(pid):
            await asyncio.to_thread(os.sched_yield)


async def test_output_holds_exit_code_and_standard_output():
    context = FakeJobContext()
    output = await run.run(config("echo one; echo two >&2; printf three"), context)
    assert output == {"exit_code": 0, "stdout": "one\nthree"}
    assert sorted(context.lines) == [("stderr", "two"), ("stdout", "one"), ("stdout", "three")]


async def test_json_output_is_parsed():
    assert await run.run(config("echo '{\"files\": [1, 2]}'", output="json"), FakeJobContext()) == {"files": [1, 2]}


async def test_json_output_that_is_not_json_fails():
    with pytest.raises(JobFailed, match="not JSON"):
        await run.run(config("echo hello", output="json"), FakeJobContext())


async def test_json_output_beyond_the_limit_fails():
    command = "head -c 5000000 /dev/zero | tr '\\0' 1"
    with pytest.raises(JobFailed, match="larger than"):
        await run.run(config(command, output="json"), FakeJobContext())


async def test_failure_names_exit_code_and_last_lines():
    with pytest.raises(JobFailed) as caught:
        await run.run(config("echo fine; echo broken >&2; exit 3"), FakeJobContext())
    assert caught.value.detail == "the command ended with exit code 3:\nbroken"
    assert run.retryable(caught.value)


async def test_failure_by_signal_names_the_signal():
    with pytest.raises(JobFailed, match="ended by SIGKILL"):
        await run.run(config("kill -KILL $$"), FakeJobContext())


async def test_environment_is_clean_and_says_what_the_job_belongs_to(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://secret")
    context = FakeJobContext(env={"FROM_JOB": "a", "BOTH": "job"})
    command = 'echo "$FROM_JOB $BOTH $OWN [$DATABASE_URL] $WFS_RUN_ID $WFS_JOB_ID $WFS_IDEMPOTENCY_KEY"; env | wc -l'
    output = await run.run(config(command, env={"OWN": "o", "BOTH": "own"}), context)
    first, count = output["stdout"].splitlines()
    assert first == "a own o [] run-1 job run-1:job"
    assert int(count) < 25


async def test_working_directory(tmp_path):
    output = await run.run(config("pwd", cwd=str(tmp_path)), FakeJobContext())
    assert output["stdout"].strip() == str(tmp_path)


@pytest.mark.parametrize("more", [{"cwd": "/no/such/folder"}, {"shell": "/no/such/shell"}])
async def test_what_cannot_start_is_not_tried_again(more):
    with pytest.raises(Rejected, match="cannot start") as caught:
        await run.run(config("true", **more), FakeJobContext())
    assert not run.retryable(caught.value)


async def test_nul_in_the_command_is_refused():
    with pytest.raises(Rejected, match="cannot start"):
        await run.run(config("echo \0"), FakeJobContext())


async def test_standard_output_is_bounded_to_its_tail():
    output = await run.run(config("seq 1 100000"), FakeJobContext())
    assert len(output["stdout"]) == 65_536
    assert output["stdout"].endswith("99999\n100000\n")
    assert output["truncated"] is True


async def test_lines_come_while_the_command_runs():
    seen = asyncio.Event()
    context = FakeJobContext(on_line=lambda line, _stream: seen.set() if line == "ready" else None)
    task = asyncio.create_task(run.run(config("echo ready; sleep 60"), context))
    async with asyncio.timeout(10):
        await seen.wait()
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def started(command: str, grace: float) -> tuple[asyncio.Task[object], list[int]]:
    pids: list[int] = []
    ready = asyncio.Event()

    def keep(line: str, _stream: str) -> None:
        if line.isdigit():
            pids.append(int(line))
        if line == "ready":
            ready.set()

    task = asyncio.create_task(run.run(config(command, grace=grace), FakeJobContext(on_line=keep)))
    async with asyncio.timeout(10):
        await ready.wait()
    return task, pids


async def test_cancel_ends_the_whole_group():
    task, pids = await started("sleep 60 & echo $!; echo $$; echo ready; wait", grace=5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(pids) == 2
    for pid in pids:
        await gone(pid)


async def test_cancel_at_any_moment_leaves_nothing_behind():
    """A process may print before the loop has handed it over; several at a time make that happen."""

    async def one():
        task, pids = await started("sleep 60 & echo $!; echo ready; wait", grace=5)
        task.cancel()
        await asyncio.wait([task])
        await gone(pids[0])

    for _ in range(5):
        await asyncio.gather(*(one() for _ in range(8)))


async def test_cancel_lets_the_command_clean_up(tmp_path):
    mark = tmp_path / "mark"
    task, _ = await started(f"trap 'echo cleaned > {mark}; exit 1' TERM; echo ready; sleep 60 & wait", grace=5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert mark.read_text() == "cleaned\n"


async def test_a_command_that_ignores_sigterm_is_killed_after_the_grace():
    task, pids = await started("trap '' TERM; echo $$; echo ready; while :; do sleep 1; done", grace=0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(pids[0])


async def test_a_second_cancel_kills_at_once():
    task, pids = await started("trap 'echo again' TERM; echo $$; echo ready; while :; do sleep 1; done", grace=50)
    task.cancel()
    await asyncio.to_thread(lambda: None)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            await task
    await gone(pids[0])


async def test_background_processes_end_with_the_command():
    lines: list[int] = []
    context = FakeJobContext(on_line=lambda line, _stream: lines.append(int(line)))
    async with asyncio.timeout(5):
        await run.run(config("sleep 60 & echo $!"), context)
    await gone(lines[0])


async def test_a_process_that_fled_does_not_hold_the_job():
    context = FakeJobContext()
    async with asyncio.timeout(10):
        output = await run.run(config("setsid sleep 5 & echo done"), context)
    assert output["stdout"] == "done\n"


async def test_bytes_that_are_not_text_are_replaced():
    output = await run.run(config("printf 'a\\377b\\n'"), FakeJobContext())
    assert output["stdout"] == "a\ufffdb\n"


async def test_memory_is_bounded_and_the_message_says_so():
    hungry = "python3 -c 'bytearray(1 << 30)'"
    with pytest.raises(JobFailed, match=r"bounded to 200 MiB of memory \(memory_mb_max\)"):
        await run.run(config(hungry, memory_mb_max=200), FakeJobContext())
    assert (await run.run(config("echo small", memory_mb_max=200), FakeJobContext()))["stdout"] == "small\n"


async def test_cpu_time_is_bounded_and_the_message_says_so():
    for command in ("while :; do :; done", "python3 -c 'while True: pass'; exit $?"):
        with pytest.raises(JobFailed, match="used its 1 s of CPU time"):
            await run.run(config(command, cpu_seconds_max=1), FakeJobContext())


async def test_a_tenant_that_may_not_run_code_runs_no_command():
    context = FakeJobContext()
    context.resources.code_rule.allowed = False
    with pytest.raises(Forbidden, match="not allowed for this tenant"):
        await run.run(config("true"), context)

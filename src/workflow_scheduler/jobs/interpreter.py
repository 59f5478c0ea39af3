"""Python in a process of its own: the request goes in as JSON on standard input, the result comes back in a file."""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import msgspec

from workflow_scheduler.core.errors import JobFailed, Rejected
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.jobs.subprocesses import ChildEnd, ChildSpec, clean_environment, run_child

RESULT_BYTES_MAX = 16 << 20
_CHILD = str(Path(__file__).with_name("child.py"))
_VARIABLES = ("input", "event", "jobs", "run")


class Limits(msgspec.Struct, frozen=True):
    """What the process may use (None: no bound of our own), and its time between SIGTERM and SIGKILL."""

    memory_mb_max: int | None
    cpu_seconds_max: int | None
    grace_seconds: float


class _Reply(msgspec.Struct):
    """What child.py writes: the output, or the failure."""

    output: Any = None
    error: str | None = None
    retryable: bool = True


async def call_in_process(
    call: tuple[str, list[Any], dict[str, Any]], context: JobContext, env: Mapping[str, str], limits: Limits
) -> Any:
    """Call the function (path, positional and named arguments) in a process of its own and return its result."""
    function, args, kwargs = call
    return await _run({"function": function, "args": args, "kwargs": kwargs}, context, env, limits)


async def execute_in_process(code: str, context: JobContext, env: Mapping[str, str], limits: Limits) -> Any:
    """Execute code in a process of its own and return its output."""
    variables = {key: context.variables.get(key) for key in _VARIABLES}
    return await _run({"code": code, "variables": variables}, context, env, limits)


async def _run(request: dict[str, Any], context: JobContext, env: Mapping[str, str], limits: Limits) -> Any:
    request["sys_path"] = [*(folder for folder in sys.path if folder), *context.resources.python_path]
    request["memory_mb_max"] = limits.memory_mb_max
    request["cpu_seconds_max"] = limits.cpu_seconds_max
    with tempfile.TemporaryFile() as result:
        spec = ChildSpec(
            argv=(sys.executable, "-I", "-u", _CHILD, str(result.fileno())),
            env=clean_environment(context, env),
            stdin=msgspec.json.encode(request),
            grace_seconds=limits.grace_seconds,
            result=result,
        )
        end = await run_child(spec, context.log)
        reply = _reply(result)
    if reply is None:
        raise JobFailed(_death(end, limits))
    if reply.error is not None:
        text = _with_limit(reply.error, limits)
        raise JobFailed(text) if reply.retryable else Rejected(text)
    return reply.output


def _reply(result: IO[bytes]) -> _Reply | None:
    size = result.seek(0, 2)
    if size > RESULT_BYTES_MAX:
        raise JobFailed(
            f"the output is larger than {RESULT_BYTES_MAX} bytes",
            fix="Write the data to a file or a bucket and return its address.",
        )
    result.seek(0)
    try:
        return msgspec.json.decode(result.read(), type=_Reply)
    except msgspec.MsgspecError:
        return None


def _with_limit(text: str, limits: Limits) -> str:
    """Say so where code failed because it reached its bound of memory."""
    if limits.memory_mb_max is None or not text.startswith("MemoryError"):
        return text
    return f"the process used its {limits.memory_mb_max} MiB of memory (memory_mb_max)\n{text}"


def _death(end: ChildEnd, limits: Limits) -> str:
    if end.exit_code == -signal.SIGXCPU:
        reason = f"the process used its {limits.cpu_seconds_max} s of CPU time"
    elif end.exit_code < 0:
        reason = f"the process was ended by signal {-end.exit_code}"
        if limits.memory_mb_max is not None:
            reason += f"; its memory was bounded to {limits.memory_mb_max} MiB"
    else:
        reason = f"the process ended with exit code {end.exit_code} and left no result"
    return "\n".join([reason, *end.stderr.text().strip().splitlines()[-5:]])

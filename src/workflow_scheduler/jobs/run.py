"""Run a shell command.

The command runs in a process group of its own, in a clean environment: a few variables of the service (`PATH HOME
LANG …`), the job's `env`, and `WFS_RUN_ID WFS_JOB_ID WFS_ATTEMPT WFS_IDEMPOTENCY_KEY`. What it prints is kept line
by line. Exit code 0 is success; anything else fails the attempt. On cancel or time-out the whole group gets SIGTERM
and, after `grace`, SIGKILL; what the command leaves running in its group when it ends is killed as well, and so is the
group when the service itself is killed. What has left the group by then is found by the variable `WFS_SERVICE` in its
environment and killed when a service starts on the same machine again.
`memory_mb_max` and `cpu_seconds_max` bound each process of the command.

The output is `{"exit_code": 0, "stdout": "…"}` with the last 64 KiB of standard output, and `"truncated": true` where
it printed more; with `output: json`, standard output is parsed and the parsed value is the output.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from pydantic import Field

from workflow_scheduler.core.errors import JobFailed, SchedulerError
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.jobs.credentials import require_code
from workflow_scheduler.jobs.subprocesses import TAIL_BYTES, ChildEnd, ChildSpec, clean_environment, run_child

name = "run"
title = "Run a shell command"
inline = False
needs_code_allowance = True
shell_fields = ("command",)
examples = ({"command": "echo hello"}, {"command": "echo '{\"files\": [1]}'", "output": "json"})
JSON_BYTES_MAX = 4 << 20
_SHELL_OFFSET = 128  # a shell's exit code for a child that a signal ended
_MESSAGE_LINES = 5
_OUT_OF_TIME = frozenset({-signal.SIGXCPU, _SHELL_OFFSET + signal.SIGXCPU})


class Config(ClosedConfig):
    """The command and its surroundings."""

    command: str = Field(
        title="Command",
        description="The command line, given to the shell.",
        min_length=1,
        json_schema_extra={"widget": "code", "language": "shell"},
    )
    shell: str = Field(
        default="/bin/sh", title="Shell", description="The program that gets `-c` and the command.", min_length=1
    )
    cwd: str | None = Field(default=None, title="Working directory", description="The service's own by default.")
    env: dict[str, str] = Field(default_factory=dict, title="Environment", description="Variables for the command.")
    output: Literal["text", "json"] = Field(
        default="text", title="Output", description="json: standard output is parsed and becomes the job's output."
    )
    memory_mb_max: int | None = Field(
        default=None, title="Memory", description="Address space of each of its processes, in MiB.", ge=8
    )
    cpu_seconds_max: int | None = Field(
        default=None, title="CPU time", description="CPU time of each of its processes, in seconds.", ge=1
    )
    grace: Duration = Field(
        default=10.0, title="Grace", description="Time between SIGTERM and SIGKILL when the job is stopped.", le=50
    )


def starts_process(fields: Mapping[str, Any]) -> bool:  # noqa: ARG001 - a command always does
    """Return True: every command is a child process."""
    return True


async def run(config: Config, context: JobContext) -> Any:
    """Run the command to its end."""
    await require_code(context, "running a command")
    spec = ChildSpec(
        argv=(*_bounds(config), config.shell, "-c", config.command),
        env=clean_environment(context, config.env),
        cwd=config.cwd,
        grace_seconds=config.grace,
        stdout_bytes_max=JSON_BYTES_MAX if config.output == "json" else TAIL_BYTES,
    )
    end = await run_child(spec, context.log)
    if end.exit_code != 0:
        raise JobFailed(_failure(end, config))
    if config.output == "json":
        return _parsed(end)
    cut = {"truncated": True} if end.stdout.truncated else {}
    return {"exit_code": 0, "stdout": end.stdout.text(), **cut}


def retryable(error: Exception) -> bool:
    """Return True for a command that failed, False for one that could not be started."""
    return isinstance(error, SchedulerError) and error.retryable


def _bounds(config: Config) -> tuple[str, ...]:
    """Return what stands before a command to bound it: a shell that sets the limits and becomes the command."""
    limits = []
    if config.memory_mb_max is not None:
        limits.append(f"ulimit -v {config.memory_mb_max << 10}")
    if config.cpu_seconds_max is not None:
        limits.append(f"ulimit -S -t {config.cpu_seconds_max} && ulimit -H -t {config.cpu_seconds_max + 1}")
    return ("/bin/sh", "-c", " && ".join([*limits, 'exec "$@"']), "sh") if limits else ()


def _failure(end: ChildEnd, config: Config) -> str:
    if config.cpu_seconds_max is not None and end.exit_code in _OUT_OF_TIME:
        reason = f"the command used its {config.cpu_seconds_max} s of CPU time (cpu_seconds_max)"
    elif end.exit_code < 0:
        reason = f"the command was ended by {_signal_name(-end.exit_code)}"
    else:
        reason = f"the command ended with exit code {end.exit_code}"
    if config.memory_mb_max is not None:
        reason += f"; each process was bounded to {config.memory_mb_max} MiB of memory (memory_mb_max)"
    lines = (end.stderr.text().strip() or end.stdout.text().strip()).splitlines()[-_MESSAGE_LINES:]
    return "\n".join([reason + (":" if lines else ""), *lines])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _parsed(end: ChildEnd) -> Any:
    if end.stdout.truncated:
        raise JobFailed(
            f"standard output is larger than {JSON_BYTES_MAX} bytes and cannot be the job's output",
            fix="Write the data to a file or a bucket and print its address.",
        )
    try:
        return msgspec.json.decode(end.stdout.bytes())
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise JobFailed(
            f"standard output is not JSON: {error}", fix="Print exactly one JSON value, and messages to standard error."
        ) from error

"""Run a Python function or a piece of Python code.

`function: "package.module:name"` calls a function with `args` and `kwargs`. A coroutine function runs on the event
loop, a plain function in a warm thread, either in a process of its own with `isolation: process`. `code` always runs
in a process of its own, as it is written (`${…}` is not filled in): it finds `input`, `event` and `jobs` as
variables, and its output is the variable `output` or, failing that, what its function `main` returns.

A thread cannot be stopped from outside: when such a job is cancelled or times out, its result is thrown away but the
function runs on. A process is stopped with SIGTERM and, after `grace`, SIGKILL; `memory_mb_max` and `cpu_seconds_max`
bound what it may use.

The output must be a JSON value. What the code prints is the job's log; a function finds its job with
`workflow_scheduler.jobs.current.current_job()`. An exception whose attribute `retryable` is False is not tried again.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

from pydantic import Field, model_validator

from workflow_scheduler.core.errors import Rejected, SchedulerError
from workflow_scheduler.core.model.workflow import Duration
from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig
from workflow_scheduler.jobs import functions
from workflow_scheduler.jobs.credentials import require_code
from workflow_scheduler.jobs.current import inside_job
from workflow_scheduler.jobs.interpreter import Limits, call_in_process, execute_in_process

name = "python"
title = "Run Python"
inline = False
needs_code_allowance = True
raw_fields = ("code",)
examples = (
    {"function": "os.path:join", "args": ["a", "b"]},
    {"code": "output = {'greeting': 'hello'}"},
)


class Config(ClosedConfig):
    """A function with its arguments, or code."""

    function: str | None = Field(
        default=None,
        title="Function",
        description="The function to call, as package.module:name.",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*:[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$",
    )
    args: list[Any] = Field(default_factory=list, title="Arguments", description="Positional arguments.")
    kwargs: dict[str, Any] = Field(default_factory=dict, title="Keyword arguments", description="Named arguments.")
    isolation: Literal["loop", "thread", "process"] | None = Field(
        default=None,
        title="Isolation",
        description="Where the function runs: by default a coroutine on the loop and a plain function in a thread.",
    )
    code: str | None = Field(
        default=None,
        title="Code",
        description="Python code instead of a function; set `output` or define `main()`.",
        json_schema_extra={"widget": "code", "language": "python"},
    )
    env: dict[str, str] = Field(
        default_factory=dict, title="Environment", description="Variables for a process of its own."
    )
    memory_mb_max: int | None = Field(
        default=None, title="Memory", description="Address space of the process, in MiB.", ge=32
    )
    cpu_seconds_max: int | None = Field(
        default=None, title="CPU time", description="CPU time of the process, in seconds.", ge=1
    )
    grace: Duration = Field(
        default=5.0, title="Grace", description="Time between SIGTERM and SIGKILL when the job is stopped.", le=50
    )

    @model_validator(mode="after")
    def _one_of(self) -> Config:
        if (self.function is None) == (self.code is None):
            message = "write either `function` or `code`"
            raise ValueError(message)
        own_process = self.code is not None or self.isolation == "process"
        if self.code is not None and (self.args or self.kwargs):
            message = "`args` and `kwargs` belong to `function`; code finds its input in the variable `input`"
            raise ValueError(message)
        if self.code is not None and self.isolation not in (None, "process"):
            message = "code always runs in a process of its own; leave `isolation` out"
            raise ValueError(message)
        if not own_process and (self.env or self.memory_mb_max or self.cpu_seconds_max):
            message = "`env`, `memory_mb_max` and `cpu_seconds_max` need `isolation: process`"
            raise ValueError(message)
        return self


def starts_process(fields: Mapping[str, Any]) -> bool:
    """Return whether the job runs in a child process: code does, a function where `isolation` says so."""
    return "code" in fields or fields.get("isolation") not in (None, "loop", "thread")


async def run(config: Config, context: JobContext) -> Any:
    """Call the function, or execute the code, where `isolation` says."""
    await require_code(context, "running Python")
    limits = Limits(config.memory_mb_max, config.cpu_seconds_max, config.grace)
    if config.code is not None:
        return await execute_in_process(config.code, context, config.env, limits)
    if config.function is None:
        raise Rejected("the job names no function")
    if config.isolation == "process":
        call = (config.function, config.args, config.kwargs)
        return await call_in_process(call, context, config.env, limits)
    return await _call_here(config, config.function, context)


def retryable(error: Exception) -> bool:
    """Return whether the failure was the code's own, and not a call that can never work."""
    return isinstance(error, SchedulerError) and error.retryable


async def _call_here(config: Config, path: str, context: JobContext) -> Any:
    function = functions.loaded(path)
    if function is None:
        function = await context.resources.workers.call(partial(functions.load, path, context.resources.python_path))
    is_coroutine = inspect.iscoroutinefunction(function)
    if config.isolation == "loop" and not is_coroutine:
        raise Rejected(
            f"`{path}` is a plain function and would block the event loop",
            fix="Make it `async def`, or leave `isolation` out to run it in a thread.",
        )
    try:
        with inside_job(context):
            if is_coroutine and config.isolation != "thread":
                result = await function(*config.args, **config.kwargs)
            else:
                result = await context.resources.workers.call(partial(_blocking, function, config))
    except (Exception, SystemExit) as error:
        raise functions.failure(error) from error
    return functions.plain(result, path)


def _blocking(function: Callable[..., Any], config: Config) -> Any:
    result = function(*config.args, **config.kwargs)
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    return result

"""The process in which Python jobs run; started as a script, isolated, with nothing but the standard library.

It reads one JSON request from standard input, limits itself, runs the function or the code, and writes one JSON reply
to the file descriptor given as its argument. Standard output and standard error belong to the job.
"""

from __future__ import annotations

import asyncio
import ctypes
import dataclasses
import importlib
import inspect
import json
import linecache
import os
import resource
import signal
import sys
import traceback
from datetime import date, time
from enum import Enum
from typing import Any
from uuid import UUID

TRACEBACK_LINES = 8
SOURCE_NAME = "<job>"
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve the one request."""
    result_descriptor = int(sys.argv[1])
    request = json.load(sys.stdin.buffer)
    sys.stdin = open(os.devnull)  # noqa: PTH123, SIM115 - stays open as long as the process
    try:
        _prepare(request)
        reply = {"output": _call(request) if "function" in request else _execute(request)}
        encoded = json.dumps(reply, default=_plain, allow_nan=False)
    except (Exception, SystemExit, KeyboardInterrupt) as error:  # noqa: BLE001 - whatever the job raises is its result
        retryable = getattr(error, "retryable", None) is not False
        encoded = json.dumps({"error": _last_lines(error), "retryable": retryable})
    sys.stdout.flush()
    with os.fdopen(result_descriptor, "w", encoding="utf-8") as result:
        result.write(encoded)


def _prepare(request: dict[str, Any]) -> None:
    """Set the limits, end with the parent, and find modules where the service finds them."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    memory_mb, cpu_seconds = request["memory_mb_max"], request["cpu_seconds_max"]
    if memory_mb is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + 1))
    sys.path.extend(folder for folder in request["sys_path"] if folder not in sys.path)


def _call(request: dict[str, Any]) -> Any:
    module_name, _, attributes = request["function"].partition(":")
    target: Any = importlib.import_module(module_name)
    for attribute in attributes.split("."):
        target = getattr(target, attribute)
    return _finish(target(*request["args"], **request["kwargs"]))


def _execute(request: dict[str, Any]) -> Any:
    source: str = request["code"]
    linecache.cache[SOURCE_NAME] = (len(source), None, source.splitlines(keepends=True), SOURCE_NAME)
    namespace: dict[str, Any] = {"__name__": "__job__", **request["variables"]}
    try:
        exec(compile(source, SOURCE_NAME, "exec"), namespace)  # noqa: S102 - running the user's code is this job's task
    except SystemExit as error:
        if error.code not in (None, 0):
            raise
    if "output" in namespace:
        return namespace["output"]
    function = namespace.get("main")
    if not callable(function):
        return None
    wanted = inspect.signature(function).parameters
    return _finish(function(**{key: value for key, value in request["variables"].items() if key in wanted}))


def _finish(result: Any) -> Any:
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def _plain(value: Any) -> Any:
    """Return the JSON form of what json does not know."""
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (set, frozenset)):
        return list(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    message = f"the output is not JSON: it holds a {type(value).__name__}"
    raise TypeError(message)


def _last_lines(error: BaseException) -> str:
    head = "".join(traceback.format_exception_only(type(error), error)).strip()
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    lines = "".join(traceback.format_tb(trace)).rstrip().splitlines()[-TRACEBACK_LINES:]
    return "\n".join([head, *lines])


if __name__ == "__main__":
    main()

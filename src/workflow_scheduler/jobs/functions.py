"""Users' Python functions: found by `package.module:name`, and their failures put into words."""

from __future__ import annotations

import importlib
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import msgspec

from workflow_scheduler.core.errors import JobFailed, Rejected, SchedulerError

TRACEBACK_LINES = 8
_OWN_FRAMES = ("/workflow_scheduler/jobs/", "/concurrent/futures/", "/asyncio/")
_loaded: dict[str, Callable[..., Any]] = {}
_forgetting = threading.Lock()  # two threads that empty the import caches at once fail with a KeyError (CPython 3.11)


def loaded(path: str) -> Callable[..., Any] | None:
    """Return the function if it was imported before; never imports."""
    return _loaded.get(path)


def load(path: str, python_path: Sequence[str]) -> Callable[..., Any]:
    """Import and return `package.module:name`; `python_path` is searched after sys.path.

    Raises:
        Rejected: there is no such module or function.
        JobFailed: the module failed while it was imported.

    """
    module_name, _, attributes = path.partition(":")
    with _forgetting:
        sys.path.extend(folder for folder in python_path if folder not in sys.path)
        importlib.invalidate_caches()
    try:
        target: Any = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            target = getattr(target, attribute)
    except (ImportError, AttributeError) as error:
        raise Rejected(
            f"cannot import `{path}`: {error}",
            fix="Check the spelling, and that the module is installed or lies in the service's working directory.",
        ) from error
    except (Exception, SystemExit) as error:
        raise failure(error) from error
    target = getattr(target, "__workflow_job__", target)  # what client.job decorated
    if not callable(target):
        raise Rejected(f"`{path}` is not a function but {type(target).__name__}")
    _loaded[path] = target
    function: Callable[..., Any] = target
    return function


def failure(error: BaseException) -> SchedulerError:
    """Return the error of a job for an exception of users' code.

    An exception with an attribute `retryable = False` becomes Rejected: the job is not tried again.
    """
    if isinstance(error, SchedulerError):
        return error
    detail = last_lines(error)
    return Rejected(detail) if getattr(error, "retryable", None) is False else JobFailed(detail)


def last_lines(error: BaseException) -> str:
    """Return the exception in one line, and below it the last lines of its traceback, without our own frames."""
    head = "".join(traceback.format_exception_only(type(error), error)).strip()
    frames = traceback.format_list(traceback.extract_tb(_first_foreign(error.__traceback__)))
    lines = "".join(frames).rstrip().splitlines()[-TRACEBACK_LINES:]
    return "\n".join([head, *lines])


def plain(value: Any, path: str) -> Any:
    """Return the function's result as plain JSON values.

    Raises:
        Rejected: it holds something that has no JSON form.

    """
    try:
        return msgspec.to_builtins(value, str_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise Rejected(f"`{path}` returned something that is not JSON: {error}") from error


def _first_foreign(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and any(part in trace.tb_frame.f_code.co_filename for part in _OWN_FRAMES):
        trace = trace.tb_next
    return trace

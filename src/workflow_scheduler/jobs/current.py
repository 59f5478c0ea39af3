"""The job that users' Python code runs in: its context for those who ask, and what the code prints as its log.

While a function runs on the loop or in a thread, what it prints and what it logs through `logging` goes to the job's
log. `print` still reaches the service's own output for everything outside of jobs. Code asks for its job with
`current_job()`, for example for the idempotency key, and for what came with its event with `attachment()`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO, cast

from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.jobs.lines import LINE_BYTES_MAX


class _Inside:
    """A job and the beginnings of lines that it has printed so far."""

    def __init__(self, context: JobContext) -> None:
        self.context = context
        self.loop = _running()
        self._open = {"stdout": "", "stderr": ""}

    def write(self, text: str, stream: str) -> None:
        *lines, rest = (self._open[stream] + text).split("\n")
        for line in lines:
            self.context.log(line, stream)
        while len(rest) > LINE_BYTES_MAX:
            self.context.log(rest[:LINE_BYTES_MAX], stream)
            rest = rest[LINE_BYTES_MAX:]
        self._open[stream] = rest

    def close(self) -> None:
        for stream, rest in self._open.items():
            if rest:
                self.context.log(rest, stream)
                self._open[stream] = ""


_inside: ContextVar[_Inside | None] = ContextVar("wfs_job", default=None)


def current_job() -> JobContext | None:
    """Return the context of the job that this code runs in, or None outside of jobs."""
    inside = _inside.get()
    return None if inside is None else inside.context


def attachment(ref: str) -> bytes:
    """Return the content of what a reference names (`event.data.attachments[0].ref`), for functions in a thread.

    A coroutine awaits `current_job().resources.attachments.open(tenant_id, ref)` instead.

    Raises:
        Rejected: the tenant has no such attachment.
        RuntimeError: this is no thread of a job.

    """
    inside = _inside.get()
    loop = None if inside is None else inside.loop
    if inside is None or loop is None or loop is _running():
        message = "attachment() is for plain functions of a job; a coroutine awaits current_job().resources.attachments"
        raise RuntimeError(message)
    opened = inside.context.resources.attachments.open(inside.context.tenant_id, ref)
    return asyncio.run_coroutine_threadsafe(opened, loop).result()[1]


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@contextmanager
def inside_job(context: JobContext) -> Iterator[None]:
    """Let everything that happens in this block, and in threads and tasks begun in it, belong to the job."""
    _install()
    inside = _Inside(context)
    token = _inside.set(inside)
    try:
        yield
    finally:
        _inside.reset(token)
        inside.close()


class _Router:
    """Stands before sys.stdout or sys.stderr and sends what a job prints to its log."""

    def __init__(self, original: TextIO, stream: str) -> None:
        self._original = original
        self._stream = stream

    def write(self, text: str) -> int:
        inside = _inside.get()
        if inside is None:
            return self._original.write(text)
        inside.write(text, self._stream)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _LogHandler(logging.Handler):
    """Sends log records of a job to its log."""

    def emit(self, record: logging.LogRecord) -> None:
        inside = _inside.get()
        if inside is None:
            return
        try:
            text = self.format(record)
        except Exception:  # noqa: BLE001 - a broken log call of users' code must not fail the job
            self.handleError(record)
            return
        for line in text.split("\n"):
            inside.context.log(line[:LINE_BYTES_MAX], "stderr")


_handler = _LogHandler()
_handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))


def _install() -> None:
    """Put the routers and the handler in place; again where somebody has replaced them since."""
    if not isinstance(sys.stdout, _Router):
        sys.stdout = cast("TextIO", _Router(sys.stdout, "stdout"))
    if not isinstance(sys.stderr, _Router):
        sys.stderr = cast("TextIO", _Router(sys.stderr, "stderr"))
    root = logging.getLogger()
    if _handler not in root.handlers:
        root.addHandler(_handler)

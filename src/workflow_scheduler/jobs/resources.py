"""What one process lends to its jobs: outbound HTTP, a warm pool of threads, and the folders of users' modules."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

from workflow_scheduler.core.ports.attachments import Attachments
from workflow_scheduler.core.ports.connections import Connections
from workflow_scheduler.core.ports.resources import CodeRule, Dialer, Outbound

T = TypeVar("T")


class ThreadWorkers:
    """A pool of at most `workers_max` threads, started on first use and kept warm."""

    def __init__(self, workers_max: int) -> None:
        """Remember the size; no thread is started yet."""
        self._workers_max = workers_max
        self._pool: ThreadPoolExecutor | None = None

    async def call(self, function: Callable[[], T]) -> T:
        """Run `function` in a thread, with the caller's context variables, and return its result."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._workers_max, thread_name_prefix="wfs-job")
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, partial(context.run, function))

    def close(self) -> None:
        """Take no more calls; waiting ones are dropped, running ones end by themselves."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None


class PatientWorkers:
    """Threads for calls that may hang in somebody else's library: the process does not wait for them when it ends."""

    def __init__(self, workers_max: int) -> None:
        """Allow so many calls at once; each has a thread of its own."""
        self._places = asyncio.Semaphore(workers_max)

    async def call(self, function: Callable[[], T]) -> T:
        """Run `function` in a thread, with the caller's context variables, and return its result."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        context = contextvars.copy_context()

        def settle(result: T | None, error: BaseException | None) -> None:
            self._places.release()
            if done.cancelled():
                return
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(cast("T", result))

        def work() -> None:
            result, failure = None, None
            try:
                result = context.run(function)
            except BaseException as error:  # noqa: BLE001 -- the caller gets it
                failure = error
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(settle, result, failure)

        await self._places.acquire()
        threading.Thread(target=work, name="wfs-source", daemon=True).start()
        return await done

    def close(self) -> None:
        """Wait for nothing: running calls end by themselves, or with the process."""


@dataclass(kw_only=True, slots=True)
class JobResources:
    """The Resources of a process (see core/ports/resources.py). Users' modules are in `python_path`, after sys.path."""

    outbound: Outbound
    workers: ThreadWorkers
    dialer: Dialer
    connections: Connections
    code_rule: CodeRule
    attachments: Attachments
    python_path: Sequence[str] = ()

"""The end of tasks in which libraries of others work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_SECONDS = 0.5


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks until they have ended.

    A library may swallow a cancellation: `asyncio.wait_for` of Python 3.11 returns what came at the same moment instead
    of raising (python/cpython#86296). A reader that missed it would go on for ever, and take messages from the one that
    has its place now. The caller's own cancellation is put off until then.
    """
    left = set(tasks)
    interrupted = False
    while left:
        for task in left:
            task.cancel()
        try:
            await asyncio.wait(left, timeout=AGAIN_SECONDS)
        except asyncio.CancelledError:
            interrupted = True
        for task in [one for one in left if one.done()]:
            left.discard(task)
            if not task.cancelled():
                task.exception()
    if interrupted:
        raise asyncio.CancelledError

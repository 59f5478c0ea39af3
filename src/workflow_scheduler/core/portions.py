"""Work that waits in tables: settled in portions, for ever."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn

from workflow_scheduler.core.errors import SchedulerError


async def settle_for_ever(
    settle: Callable[[], Awaitable[int]],
    portion: int,
    rest: Callable[[], Awaitable[None]],
    refused: Callable[[SchedulerError], None],
) -> NoReturn:
    """Call `settle` until it finds less than a whole `portion`, then `rest`, and again.

    What it raises because the store takes nothing now is given to `refused`; it stays, and is tried after the rest.
    """
    while True:
        try:
            while await settle() >= portion:
                pass
        except SchedulerError as error:
            refused(error)
        await rest()

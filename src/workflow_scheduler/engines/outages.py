"""Jobs outlive the absence of the service's own store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.time.clock import Clock

FIRST_PAUSE_SECONDS: Final = 0.1
LONGEST_PAUSE_SECONDS: Final = 5.0


async def through_outages(work: Any, again: Callable[[], Any], clock: Clock) -> Any:
    """Await a job's `work`; each time the service's store is away, begin again with `again` when it may be back.

    What the store cannot do is no failure of the job, and no attempt of its is spent. What the job did before stays
    safe to repeat in the same way as after a kill: its idempotency key is the same.

    Raises whatever else the job raises.
    """
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await work if asyncio.iscoroutine(work) else work
        except StoreUnavailable:
            await clock.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
            work = again()

"""Commits of which nobody knows whether they happened: the connection was lost on the way.

Whoever waited was told to try again. Where the commit did happen the repeated event is a duplicate that starts nothing,
so the runs of the first one are looked up as soon as the store answers, and those that are there are launched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Accepted, Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.portable import intake

DOUBTFUL_RUNS_MAX = 20_000
# The server may still be carrying out the commit of a lost connection at the first look.
LOOKS_SECONDS = (1.0, 5.0, 15.0)
RETRY_SECONDS = 1.0
_RUNS_PER_LOOK = 200


class Doubts:
    """Settles what became of runs whose commit had no answer."""

    def __init__(self, store: Store, clock: Clock, launch: Callable[[Sequence[Accepted], int], None]) -> None:
        """Look in `store`; `launch(accepted, now)` starts what turns out to be there."""
        self._store = store
        self._clock = clock
        self._launch = launch
        self._runs = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def full(self) -> bool:
        """Whether so much is in doubt that nothing more should be taken."""
        return self._runs >= DOUBTFUL_RUNS_MAX

    def add(self, accepted: Sequence[Accepted]) -> None:
        """Take events whose commit failed; those without runs need no look."""
        doubtful = [one for one in accepted if one.runs]
        if doubtful:
            self._runs += len(doubtful)
            task = asyncio.get_running_loop().create_task(self._settle(doubtful))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _settle(self, doubtful: list[Accepted]) -> None:
        for wait in LOOKS_SECONDS:
            await self._clock.sleep(wait)
            found = await self._look([run for one in doubtful for run in one.runs])
            if found:
                self._launch([_with(one, found) for one in doubtful], self._clock.now())
                break  # it was one transaction: what is not there now never will be
        self._runs -= len(doubtful)

    async def _look(self, runs: Sequence[Run]) -> set[str]:
        """Return the ids of the runs that are stored and wait to be launched; the store is waited for."""
        found: set[str] = set()
        tenants: dict[str, list[str]] = {}
        for run in runs:
            tenants.setdefault(run.tenant_id, []).append(run.id)
        for tenant_id, ids in tenants.items():
            for start in range(0, len(ids), _RUNS_PER_LOOK):
                found |= await self._read(tenant_id, ids[start : start + _RUNS_PER_LOOK])
        return found

    async def _read(self, tenant_id: str, ids: Sequence[str]) -> set[str]:
        while True:
            try:
                return await intake.queued_among(self._store, tenant_id, ids)
            except StoreUnavailable:
                await self._clock.sleep(RETRY_SECONDS)


def _with(accepted: Accepted, found: set[str]) -> Accepted:
    return Accepted(accepted.event, accepted.decisions, [run for run in accepted.runs if run.id in found])

"""Runs that were under way at several crashes: each goes on alone, so that the one that is the cause shows itself.

A crash is counted against every run that was under way. After two of them a run is a suspect: it waits here, and is
counted only when its own turn comes. The run that ends the process again and again reaches the limit of deliveries and
is buried; its neighbours finish in their turns.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import JobRecord, JobStatus, Run
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.stores.portable import claims

DELIVERIES_MAX = 5
TURN_SECONDS = 2.0
_RETRY_SECONDS = 1.0
_ENDED = frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.SKIPPED, JobStatus.CANCELLED})


class Follows(Protocol):
    """Knows when runs end."""

    async def wait(self, tenant_id: str, run_id: str, seconds: float) -> bool:
        """Wait for the end of a run, for at most `seconds`; return whether it has ended."""
        ...


class Suspects:
    """The queue of suspects of this instance."""

    def __init__(
        self,
        store: Store,
        follows: Follows,
        resume: Callable[[Run], Awaitable[None]],
        bury: Callable[[Run], Awaitable[None]],
    ) -> None:
        """Continue a run with `resume`, give it up with `bury`."""
        self._store = store
        self._follows = follows
        self._resume = resume
        self._bury = bury
        self._waiting: deque[Run] = deque()
        self._came = asyncio.Event()

    def add(self, run: Run) -> None:
        """Put a run in line."""
        self._waiting.append(run)
        self._came.set()

    async def loop(self, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Give each suspect its turn; for ever."""
        while True:
            if not self._waiting:
                self._came.clear()
                await self._came.wait()
            try:
                await self._turn(self._waiting[0])
                self._waiting.popleft()
            except StoreUnavailable:
                await sleep(_RETRY_SECONDS)

    async def _turn(self, run: Run) -> None:
        """Continue one run; the next one follows when it has ended, or has lived on for a while."""
        if worn_out(run, await _jobs(self._store, run)):
            await self._bury(run)
            return
        if not await self._store.transact(claims.count_delivery(run)):
            return
        await self._resume(msgspec.structs.replace(run, deliveries=run.deliveries + 1))
        if await self._follows.wait(run.tenant_id, run.id, TURN_SECONDS):
            return
        if _only_waits(await _jobs(self._store, run)):
            await self._store.transact(claims.clear_deliveries(run))


def worn_out(run: Run, done: Sequence[JobRecord]) -> bool:
    """Return whether a run was delivered too often; each job that ended earns it one more delivery."""
    return run.deliveries - sum(job.status in _ENDED for job in done) > DELIVERIES_MAX


def _only_waits(jobs: Sequence[JobRecord]) -> bool:
    """Return whether the run waits for a time or for people, with no job at work that could end the process."""
    waiting = any(job.status is JobStatus.PAUSED or job.wake_at is not None for job in jobs if job.status not in _ENDED)
    return waiting and not any(job.status is JobStatus.RUNNING for job in jobs)


async def _jobs(store: Store, run: Run) -> list[JobRecord]:
    """Return the records of a run's jobs; those that cannot be read are the business of whoever resumes the run."""
    try:
        return await claims.jobs_of(store, run)
    except (ValueError, TypeError):
        return []

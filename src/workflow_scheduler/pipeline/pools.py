"""Pools: claims of jobs on resources, durable in the store, for every instance alike.

What a job here gives back may let a job of another instance begin; that one finds out within a second. Claims whose
run has ended, or has gone to another owner, without giving them back are removed within STALE_SECONDS.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

import structlog

from workflow_scheduler.core.dag.pools import Claimed, Want
from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.portable import pools

POLL_SECONDS = 1.0
STALE_SECONDS = 5.0
T = TypeVar("T")
_log = structlog.get_logger(__name__)


class Claims(Protocol):
    """An engine in this process whose jobs wait for resources."""

    @property
    def claiming(self) -> int:
        """How many jobs here wait for resources."""
        ...

    def claimed(self, run_id: str, job_id: str, turn: tuple[int, int], state: Claimed) -> None:
        """Take in that a claim was granted or refused; `turn` is its fence and attempt.

        What is known already changes nothing.
        """
        ...


class Pools:
    """Asks and gives back on behalf of an engine. A store that is away is waited for."""

    def __init__(self, store: Store, clock: Clock, owner: str) -> None:
        """Serve the runs of the instance `owner`; `engine` is set by the composition root."""
        self._store = store
        self._clock = clock
        self._owner = owner
        self.engine: Claims | None = None

    async def ask(self, run: Run, job_id: str, attempt: int, wants: Sequence[Want]) -> Claimed:
        """Claim `wants` for an attempt, all or nothing, and return how that stands."""
        asker = pools.Asker(run, job_id, attempt)
        return await self._persist(
            lambda: self._store.transact(pools.ask(self._store.dialect, asker, wants, self._clock.now()))
        )

    async def give_back(self, run: Run, job_id: str, attempt: int) -> None:
        """Give back what an attempt holds, or give up what it waits for."""
        asker = pools.Asker(run, job_id, attempt)
        told = await self._persist(lambda: self._store.transact(pools.give_back(self._store.dialect, asker)))
        self._hand_over(told)

    async def loop(self) -> None:
        """Look for what other instances granted, and for what nobody gave back; for ever."""
        last = self._clock.monotonic()
        while True:
            await self._clock.sleep(POLL_SECONDS)
            try:
                if self.engine is not None and self.engine.claiming:
                    self._hand_over(await pools.settled(self._store, self._owner))
                if self._clock.monotonic() - last >= STALE_SECONDS:
                    last = self._clock.monotonic()
                    await self.sweep()
            except StoreUnavailable:
                continue

    async def sweep(self) -> None:
        """Give back what nobody else will, and look at pools whose capacity may have changed."""
        for tenant_id, run_id, fence in await pools.stale(self._store):
            _log.info("resources.given_back", run=run_id, tenant=tenant_id)
            work = pools.remove(self._store.dialect, tenant_id, run_id, fence)
            self._hand_over(await self._store.transact(work))
        for tenant_id in await pools.waiting_tenants(self._store):
            self._hand_over(await self._store.transact(pools.settle(self._store.dialect, tenant_id)))

    def _hand_over(self, told: Sequence[pools.Told]) -> None:
        if self.engine is not None:
            for one in told:
                self.engine.claimed(one.run_id, one.job_id, (one.fence, one.attempt), one.state)

    async def _persist(self, attempt: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await attempt()
            except StoreUnavailable as error:
                _log.warning("resources.wait", error=error.detail)
                await self._clock.sleep(POLL_SECONDS)

"""Telling jobs on an engine elsewhere that what they wait for has come about.

A wake stays in the store until the worker has taken it in, so it is told again after a while: a signal that was lost,
or came before the job was parked, costs time and nothing else.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.model.run import Wake
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.portable import wakes

POLL_SECONDS = 1.0
AGAIN_SECONDS = 30.0
READ_ROWS = 500
_log = structlog.get_logger(__name__)


class Tells(Protocol):
    """An engine elsewhere whose jobs can wait."""

    @property
    def name(self) -> str:
        """The name in definitions."""
        ...

    async def tell(self, wake: Wake) -> None:
        """Tell the run; one that is over needs nothing."""
        ...


class RemoteWakes:
    """Looks once a second for wakes of the runs of this instance."""

    def __init__(self, store: Store, clock: Clock, owner: str, engine: Tells) -> None:
        """Tell `engine`."""
        self._store = store
        self._clock = clock
        self._owner = owner
        self._engine = engine
        self._told: dict[tuple[str, str, str], float] = {}

    async def loop(self) -> None:
        """Look, for ever."""
        while True:
            try:
                await self._look()
            except SchedulerError as error:
                _log.warning("wakes.wait", engine=self._engine.name, error=error.detail)
            await self._clock.sleep(POLL_SECONDS)

    async def _look(self) -> None:
        now = self._clock.monotonic()
        seen: dict[tuple[str, str, str], float] = {}
        place: wakes.Place | None = wakes.FIRST
        while place is not None:
            found, place = await wakes.found(self._store, self._owner, place, READ_ROWS, self._engine.name)
            for wake in found:
                key = (wake.run_id, wake.job_id, wake.name)
                told_at = self._told.get(key)
                if told_at is None or now - told_at >= AGAIN_SECONDS:
                    await self._engine.tell(wake)
                    told_at = now
                seen[key] = told_at
        self._told = seen

"""Tells a week and a day before credentials end, each once, whichever instance looks and however often it starts."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from workflow_scheduler.core.portions import settle_for_ever
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.portable import expiry

LOOK_SECONDS = 60.0
READ_ROWS = 100

_log = structlog.get_logger(__name__)


class Expiring:
    """Looks once a minute for credentials that end soon."""

    def __init__(self, store: Store, clock: Clock, on_fact: Callable[[], None]) -> None:
        """Find them in `store`; `on_fact` is called when something was told."""
        self._store = store
        self._clock = clock
        self._on_fact = on_fact

    async def loop(self) -> None:
        """Tell what is due, for ever."""
        await settle_for_ever(
            self.tell_some,
            READ_ROWS,
            lambda: self._clock.sleep(LOOK_SECONDS),
            lambda error: _log.warning("expiring.failed", error=error.detail),
        )

    async def tell_some(self) -> int:
        """Tell some of what is due, and return how much there was.

        Raises:
            StoreUnavailable: the store takes nothing now; it stays due.

        """
        now = self._clock.now()
        found = await expiry.due(self._store, now, READ_ROWS)
        told = [await self._store.transact(one.tell(now)) for one in found]
        if any(told):
            self._on_fact()
        return len(found)

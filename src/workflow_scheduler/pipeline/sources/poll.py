"""The loop of polled sources: page after page, each stored with its cursor before the next one is asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from workflow_scheduler.core.errors import LeaseLost, NotConnected
from workflow_scheduler.core.ports.sources import Polled
from workflow_scheduler.core.time.clock import MINUTE_US, SECOND_US, Clock
from workflow_scheduler.pipeline.sources.attempts import went_well, went_wrong
from workflow_scheduler.pipeline.sources.hearing import Hearing, Held
from workflow_scheduler.pipeline.sources.lending import Lender, LentIO, Pulse
from workflow_scheduler.stores.portable.sources import Report

PAGES_MAX = 100
PAGE_SECONDS_MAX = 300.0
POLL_SECONDS_MIN = 1.0

_encode = msgspec.json.encode


class Poller:
    """Carries out one poll of a source."""

    def __init__(self, lender: Lender, hearing: Hearing, clock: Clock) -> None:
        """Lend through `lender`; store through `hearing`."""
        self._lender = lender
        self._hearing = hearing
        self._clock = clock

    async def run(self, held: Held, pulse: Pulse) -> Report:
        """Ask for pages until there are no more, and return how that went.

        Raises:
            LeaseLost: another instance holds the source now.

        """
        io = self._lender.lend(held.row.tenant_id, pulse, held.kept, self._hearing.memory(held))
        try:
            every = max(POLL_SECONDS_MIN, float(held.module.poll_seconds(held.config)))
            held.looked_away(self._clock.now(), MINUTE_US + round(2 * every * SECOND_US))
            more = await self._pages(held, io, pulse)
        except LeaseLost:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a type raises, its source is tried again
            return went_wrong(held.row, error, pulse, self._clock, held.row.failures)
        return went_well(held.row, pulse, self._clock.now(), 0.0 if more else every)

    async def _pages(self, held: Held, io: LentIO, pulse: Pulse) -> bool:
        """Take up to PAGES_MAX pages; return whether there are more, for another turn."""
        cursor, stored = held.cursor, held.row.cursor
        for _ in range(PAGES_MAX):
            page = await self._page(held, cursor, io)
            pulse.alive(page.lag)
            if page.expires_at is not None:
                pulse.credentials_end = page.expires_at
            cursor = page.cursor
            moved = _encode(cursor)
            if page.heard or page.items or moved != (stored if stored is not None else b"null"):
                await self._hearing.take(held, page.heard, moved, page.items)
                stored = moved
            if not page.more:
                return False
        return True

    async def _page(self, held: Held, cursor: Any, io: LentIO) -> Polled:
        try:
            async with asyncio.timeout(PAGE_SECONDS_MAX):
                page: Polled = await held.module.poll(held.config, cursor, io)
        except TimeoutError as error:
            raise NotConnected(f"the poll took longer than {PAGE_SECONDS_MAX:g} s") from error
        return page

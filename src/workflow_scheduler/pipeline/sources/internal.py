"""The source of internal events: it turns the facts of the outbox into events.

An event is accepted first and its fact removed afterwards. A crash in between, or a second instance at work on the
same facts, repeats an event under the same key, which is refused as a double.
"""

from __future__ import annotations

import asyncio
from itertools import groupby

from workflow_scheduler.core.errors import SchedulerError, Unavailable
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.stores.portable import claims, outbox
from workflow_scheduler.stores.portable.outbox import OutboxRow

POLL_SECONDS = 1.0
READ_ROWS = 200
PROVIDER = "event"
ANY = "*"


class InternalSource:
    """Looks into the outbox once a second, and at once after `hint`."""

    def __init__(self, store: Store, inbox: Inbox, clock: Clock) -> None:
        """Read from `store`, accept through `inbox`."""
        self._store = store
        self._inbox = inbox
        self._clock = clock
        self._hinted = asyncio.Event()

    def hint(self) -> None:
        """Say that this instance has stored a fact."""
        self._hinted.set()

    async def loop(self) -> None:
        """Accept what is there, for ever."""
        while True:
            self._hinted.clear()
            try:
                while await self.accept_some() == READ_ROWS:
                    pass
            except Unavailable:
                await self._clock.sleep(POLL_SECONDS)
                continue
            await self._pause()

    async def _pause(self) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(POLL_SECONDS))
        hinted = asyncio.ensure_future(self._hinted.wait())
        try:
            await asyncio.wait((sleeping, hinted), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            hinted.cancel()

    async def accept_some(self) -> int:
        """Accept up to READ_ROWS facts as events, and return how many there were.

        Raises:
            Unavailable: the store or the inbox takes nothing now; the facts stay.

        """
        rows = await outbox.waiting(self._store, READ_ROWS)
        if not rows:
            return 0
        try:
            await self._accept(rows)
        except Unavailable:
            raise
        except SchedulerError:
            for row in rows:
                await self._accept_alone(row)
        return len(rows)

    async def _accept(self, rows: list[OutboxRow]) -> None:
        now = self._clock.now()
        await self._inbox.accept_all([_event(row, now) for row in rows])
        for tenant_id, accepted in groupby(rows, key=lambda row: row.tenant_id):
            await self._store.transact(outbox.remove(tenant_id, [row.id for row in accepted]))

    async def _accept_alone(self, row: OutboxRow) -> None:
        """Accept one fact; one that cannot become an event is listed as quarantined, so that it holds up no other."""
        try:
            await self._accept([row])
        except Unavailable:
            raise
        except SchedulerError as error:
            now = self._clock.now()
            await self._store.transact(claims.quarantine(row.tenant_id, "outbox", row.id, error.detail, now))
            await self._store.transact(outbox.remove(row.tenant_id, [row.id]))


def _event(row: OutboxRow, now: int) -> Event:
    return Event(
        id=mint(now),
        tenant_id=row.tenant_id,
        provider=PROVIDER,
        source=row.source,
        type=row.type,
        event_key=row.id,
        time=row.at,
        received_at=now,
        data=row.data,
        subject=row.subject,
        index_keys=(row.type, ANY),
    )

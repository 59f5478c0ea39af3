"""From what a source heard to stored events: in portions, each in one transaction with the cursor that covers it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec
import structlog

from workflow_scheduler.core.errors import BadRequest, LeaseLost, SchedulerError, Unavailable
from workflow_scheduler.core.inbound.storable import check_storable
from workflow_scheduler.core.model.attachment import Attachment, reference
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.ports.store import CursorMove, SourceId, Store
from workflow_scheduler.core.registry import Heard
from workflow_scheduler.core.time.clock import MINUTE_US, Clock
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.stores.portable import attachments as stored_attachments
from workflow_scheduler.stores.portable import claims, source_items
from workflow_scheduler.stores.portable.sources import SourceRow

PORTION_EVENTS = 500
PORTION_BYTES = 8 << 20
RETRY_SECONDS, RETRY_SECONDS_MAX = 0.2, 5.0
_KEY_MAX = 300
_NOTHING: Mapping[str, str | None] = MappingProxyType({})

_log = structlog.get_logger(__name__)


class Held:
    """A source that this instance holds, with the trigger by whose configuration it is heard.

    `outage_us` is the instant since which things may have gone unheard, None where nothing has.
    """

    __slots__ = ("config", "kept", "module", "outage_us", "row", "trigger")

    def __init__(self, row: SourceRow, trigger: Trigger, module: Any, config: Any, kept: dict[str, Any]) -> None:
        """Keep the parts; there was an outage where the row says so."""
        self.row = row
        self.trigger = trigger
        self.module = module
        self.config = config
        self.kept = kept
        self.outage_us = row.down_since

    @property
    def cursor(self) -> Any:
        """The stored cursor or position, None at the very beginning."""
        return None if self.row.cursor is None else msgspec.json.decode(self.row.cursor)

    def looked_away(self, now: int, patience_us: int = MINUTE_US) -> None:
        """Take note when nobody has looked at the peer for longer than usual, as after a stop of the service."""
        seen = self.row.alive_at
        if self.outage_us is None and seen is not None and now - seen > patience_us:
            self.outage_us = seen


class StoredItems:
    """Implements core.ports.sources.Items on the rows of one source."""

    def __init__(self, store: Store, source: SourceId) -> None:
        """Read from `store`."""
        self._store = store
        self._source = source

    async def between(self, after: str, upto: str | None, limit: int) -> list[tuple[str, str]]:
        """Return names and versions, by name: those behind `after`, none behind `upto`."""
        return await source_items.between(self._store, self._source, after, upto, limit)


class Hearing:
    """Stores what sources heard. A full inbox or a store that is away is waited for: nothing is read meanwhile."""

    def __init__(self, store: Store, inbox: Inbox, clock: Clock) -> None:
        """Write through `inbox`; list what cannot be stored in `store`."""
        self._store = store
        self._inbox = inbox
        self._clock = clock

    def memory(self, held: Held) -> StoredItems:
        """Return what is remembered of the listing of a source."""
        return StoredItems(self._store, held.row.id)

    async def take(
        self, held: Held, heard: Sequence[Heard], cursor: bytes | None, items: Mapping[str, str | None] = _NOTHING
    ) -> None:
        """Store everything that was heard; the last transaction moves the cursor (JSON; None leaves it).

        That transaction remembers and forgets `items` of a listing as well (core.ports.sources.Polled).

        Raises:
            LeaseLost: another instance holds the source now.

        """
        whole = [self._event(held, one) for one in heard]
        files = {event.id: one.attachments for event, one in zip(whole, heard, strict=True) if one.attachments}
        good = [event for event in whole if await self._storable(held, event)]
        portions = list(_portions(good)) or [[]]
        for portion in portions:
            for event in portion:
                await self._keep(event, files.get(event.id, ()))
            move = self._move(held, None, bool(portion))
            if portion is portions[-1]:
                move = msgspec.structs.replace(move, cursor=cursor, items=items)
            await self._write(held, portion, move)

    def _move(self, held: Held, cursor: bytes | None, some: bool) -> CursorMove:
        row, now = held.row, self._clock.now()
        return CursorMove(
            tenant_id=row.tenant_id,
            type=row.type,
            key=row.key,
            fence=row.fence,
            cursor=cursor,
            event_at=now if some else None,
            at=now,
        )

    async def _write(self, held: Held, events: Sequence[Event], move: CursorMove) -> None:
        wait = RETRY_SECONDS
        while True:
            try:
                await self._inbox.accept_all(events, move)
            except Unavailable:
                wait = await self._patience(wait)
            except LeaseLost:
                raise
            except SchedulerError as error:
                await self._write_apart(held, events, move, error)
                return
            else:
                return

    async def _keep(self, event: Event, attachments: Sequence[Attachment]) -> None:
        """Store the attachments of an event before the event itself, however long the store is away."""
        wait = RETRY_SECONDS
        while attachments:
            try:
                await stored_attachments.keep(self._store, event.tenant_id, event.id, attachments)
            except Unavailable:
                wait = await self._patience(wait)
            else:
                return

    async def _patience(self, wait: float) -> float:
        """Wait for about `wait` seconds, and return for how long to wait the next time."""
        await self._clock.sleep(wait * (0.5 + self._clock.random()))
        return min(wait * 2, RETRY_SECONDS_MAX)

    async def _write_apart(self, held: Held, events: Sequence[Event], move: CursorMove, error: SchedulerError) -> None:
        """Write events one by one, because one of them is refused: it is listed as quarantined and holds up no other.

        Raises:
            SchedulerError: what is refused is not an event, but the cursor.

        """
        if not events:
            raise error
        if len(events) == 1:
            await self._quarantine(held, events[0], error.detail)
        else:
            step = msgspec.structs.replace(move, cursor=None, items=_NOTHING)
            for event in events:
                await self._write(held, [event], step)
        await self._write(held, [], move)

    async def _storable(self, held: Held, event: Event) -> bool:
        try:
            check_storable(event)
        except BadRequest as error:
            await self._quarantine(held, event, error.detail)
            return False
        return True

    async def _quarantine(self, held: Held, event: Event, detail: str) -> None:
        row = held.row
        _log.warning("source.unstorable", type=row.type, source=row.key, event=event.event_key, error=detail)
        key = f"{row.type}/{row.key}/{event.event_key}".encode(errors="replace").decode().replace("\x00", "")[:_KEY_MAX]
        await self._store.transact(claims.quarantine(row.tenant_id, "sources", key, detail, self._clock.now()))

    def _event(self, held: Held, heard: Heard) -> Event:
        row = held.row
        if held.outage_us is not None and heard.time is not None and heard.time >= held.outage_us:
            heard = heard.healed()
        whole = msgspec.structs.replace(
            heard,
            source=heard.source or f"/{row.type}/{row.key}",
            index_keys=heard.index_keys or (row.key,),
        )
        event = self._inbox.event(whole, tenant_id=row.tenant_id, provider=row.type)
        return _with_references(event, heard.attachments) if heard.attachments else event


def _with_references(event: Event, attachments: Sequence[Attachment]) -> Event:
    """Return the event with the reference of each attachment beside what its data says of it."""
    data = msgspec.json.decode(event.data)
    for one in attachments:
        data["attachments"][one.number]["ref"] = reference(event.id, one.number)
    return msgspec.structs.replace(event, data=msgspec.json.encode(data))


def _portions(events: Sequence[Event]) -> Iterator[list[Event]]:
    portion: list[Event] = []
    size = 0
    for event in events:
        if portion and (len(portion) >= PORTION_EVENTS or size + len(event.data) > PORTION_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(event)
        size += len(event.data)
    if portion:
        yield portion

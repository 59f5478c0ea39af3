"""Events: list, show, and the decisions taken about them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.model.attachment import StoredAttachment
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.ports.store import Page, Store
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.sentences import decided
from workflow_scheduler.services.shapes import decision_shape, event_shape, shaped
from workflow_scheduler.stores.portable.attachments import AttachmentRepository
from workflow_scheduler.stores.portable.decisions import DecisionRepository, DecisionRow
from workflow_scheduler.stores.portable.events import EventFilter, EventRepository
from workflow_scheduler.stores.portable.rows import Malformed, quarantine
from workflow_scheduler.stores.portable.scan import between


def decision_line(row: DecisionRow) -> dict[str, Any]:
    """Return a recorded decision in its shape, with its sentence."""
    shape = decision_shape(row)
    return {**shape, "summary": decided(shape)}


class Events:
    """What can be asked about events."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Read from `store`."""
        self._store = store
        self._clock = clock
        self._events = EventRepository(store)
        self._decisions = DecisionRepository(store)
        self._attachments = AttachmentRepository(store)

    async def page(
        self,
        principal: Principal,
        wanted: EventFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page:
        """Return events, the newest first.

        A page may hold fewer than `limit` items while `next` is set; follow it to the end.
        """
        tenant, now = principal.tenant_id, self._clock.now()
        rows, after = await self._events.page(tenant, wanted or EventFilter(), limit, cursor, now)
        items, broken = shaped(rows, "events", lambda event: event.id, event_shape)
        await quarantine(self._store, tenant, broken, now)
        return Page(items, after)

    async def show(self, principal: Principal, event_id: str) -> dict[str, Any]:
        """Return one event with everything stored about it, secrets masked.

        Raises:
            NotFound: the tenant has no such event.

        """
        tenant, now = principal.tenant_id, self._clock.now()
        row = await self._events.get(tenant, event_id, now)
        items, broken = shaped([row], "events", lambda event: event.id, event_shape)
        await quarantine(self._store, tenant, broken, now)
        return items[0]

    async def attachments(self, principal: Principal, event_id: str) -> list[dict[str, Any]]:
        """Return what is known of the stored attachments of an event.

        Raises:
            NotFound: the tenant has no such event.

        """
        tenant = principal.tenant_id
        await self._events.get(tenant, event_id, self._clock.now())
        found = await self._attachments.of_event(tenant, event_id)
        return [
            {
                "number": one.number, "name": one.name, "content_type": one.content_type, "size": one.size,
                "sha256": one.sha256, "ref": one.ref,
            }
            for one in found
        ]  # fmt: skip

    async def attachment(
        self, principal: Principal, event_id: str, number: int
    ) -> tuple[StoredAttachment, AsyncIterator[bytes]]:
        """Return a stored attachment of an event, and its content part by part.

        Raises:
            NotFound: the tenant has no such event, or it no such attachment.

        """
        tenant = principal.tenant_id
        await self._events.get(tenant, event_id, self._clock.now())
        found = await self._attachments.get(tenant, event_id, number)
        return found, self._attachments.content(tenant, found)

    async def decisions(
        self, principal: Principal, event_id: str, *, limit: int = 100, cursor: str | None = None
    ) -> Page:
        """Return the recorded decisions of one event; the cursor is a trigger's id.

        Raises:
            NotFound: the tenant has no such event.

        """
        tenant, now = principal.tenant_id, self._clock.now()
        await self._events.get(tenant, event_id, now)
        rows = await self._decisions.of_event(tenant, event_id, now, after=cursor or "", limit=limit + 1)
        following = _trigger_id(rows[limit - 1]) if len(rows) > limit else None
        return Page(await self._shaped(tenant, rows[:limit], now), following)

    async def trigger_decisions(
        self, principal: Principal, trigger_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> Page:
        """Return the newest decisions of one trigger, also of a deleted one; the cursor is an event's id.

        Raises:
            NotFound: the tenant has no such trigger and never decided anything about one.

        """
        tenant, now = principal.tenant_id, self._clock.now()
        rows, following = await self._decisions.of_trigger(tenant, trigger_id, between(cursor, None, None), limit, now)
        if not rows and following is None and not await self._decisions.triggers(tenant, [trigger_id]):
            raise NotFound(f"there is no trigger `{trigger_id}`", fix="list the triggers: GET /api/v1/triggers")
        return Page(await self._shaped(tenant, rows, now), following)

    async def _shaped(self, tenant_id: str, rows: list[DecisionRow | Malformed], now: int) -> list[dict[str, Any]]:
        items, broken = shaped(rows, "decisions", lambda row: f"{row.event_id}/{row.trigger_id}", decision_line)
        await quarantine(self._store, tenant_id, broken, now)
        return items


def _trigger_id(row: DecisionRow | Malformed) -> str:
    return row.trigger_id if isinstance(row, DecisionRow) else row.id.partition("/")[2]

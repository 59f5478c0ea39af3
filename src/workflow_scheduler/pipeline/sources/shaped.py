"""Groups of events whose time has come: their run hangs on one event with one key, whoever looks at them.

What is only remembered (starts within a rate, values that were seen) is forgotten here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
import structlog

from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.portions import settle_for_ever
from workflow_scheduler.core.ports.store import Store, Work
from workflow_scheduler.core.shaping.shape import DUE, PROVIDER
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.pipeline import shaping
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.pipeline.sources.own import accept_own
from workflow_scheduler.stores.portable import shapes
from workflow_scheduler.stores.portable.shapes import Group

POLL_SECONDS = 0.5
READ_ROWS = 200
_RUN = frozenset({"debounce", "batch", "absence"})
_HELD = "event:"

_log = structlog.get_logger(__name__)


class Shaped:
    """Looks twice a second for groups whose time has come."""

    def __init__(self, store: Store, cache: CandidateCache, inbox: Inbox, clock: Clock) -> None:
        """Find groups in `store`; runs start through `inbox`."""
        self._store = store
        self._cache = cache
        self._inbox = inbox
        self._clock = clock

    async def loop(self) -> None:
        """Settle what is due, for ever."""
        await settle_for_ever(
            self.settle_some,
            READ_ROWS,
            lambda: self._clock.sleep(POLL_SECONDS),
            lambda error: _log.warning("shaped.failed", error=error.detail),
        )

    async def settle_some(self) -> int:
        """Settle up to READ_ROWS groups, and return how many there were.

        Raises:
            SchedulerError: the store or the inbox takes nothing now; the groups stay.

        """
        groups = await shapes.due(self._store, self._clock.now(), READ_ROWS)
        events = [event for one in groups if (event := await self._event(one)) is not None]
        await asyncio.gather(*(accept_own(self._inbox, event) for event in events))
        if groups:
            await self._store.transact(_close(self._store.dialect, groups))
        return len(groups)

    async def _event(self, one: Group) -> Event | None:
        """Return the event of a group that starts a run; None for what is only remembered."""
        held = one.id.kind == "throttle" and one.id.name.startswith(_HELD)
        if one.id.kind not in _RUN and not held:
            return None
        rows = await shapes.gathered(self._store, one.id)
        content = rows[0].data if held and rows else shaping.gathered_input(rows, one.value)
        if one.id.kind == "absence":
            content = msgspec.json.encode({"absent_since": to_iso(one.opened_at), "count": one.count})
        said = shaping.Said(one.id.owner, one.id.kind, one.id.name, one.due_at, one.count, one.overlap_key)
        event = Event(
            id=mint(self._clock.now()),
            tenant_id=one.id.tenant_id,
            provider=PROVIDER,
            source=f"/triggers/{one.trigger_id}",
            type=DUE,
            event_key=f"{one.id.kind}:{one.due_at}:{one.count}:{one.id.name}"[:400],
            time=one.due_at,
            received_at=self._clock.now(),
            data=content,
            attributes=msgspec.json.encode(said),
            target_trigger_id=one.trigger_id,
            depth=one.depth,
        )
        return event if await self._cache.find(event) else None


def _close(dialect: str, groups: Sequence[Group]) -> Work[None]:
    """Remove the groups that are still those that were looked at."""
    for tenant_id, owner in sorted({(one.id.tenant_id, one.id.owner) for one in groups}):
        yield from shaping.lock(dialect, tenant_id, owner)
    for one in groups:
        found = yield from shapes.find(one.id)
        if found is not None and (found.due_at, found.count) == (one.due_at, one.count):
            yield from shapes.remove(one.id)

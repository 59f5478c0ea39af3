"""The live feed: what just changed, for open pages and `events tail`; a bounded ring, never the record."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection
from typing import Any

import msgspec

RING_SIZE = 10_000
TOPICS = ("events", "runs", "triggers", "schedules", "backfills", "system")


class LiveItem(msgspec.Struct, frozen=True, gc=False):
    """One change. `id` grows by one; `at` is microseconds UTC; `data` is small and JSON-able."""

    id: int
    topic: str
    tenant_id: str
    type: str
    at: int
    data: Any


class LiveFeed:
    """Keeps the last changes and wakes whoever follows them."""

    def __init__(self, first_id: int = 1) -> None:
        """Number items from `first_id`; a new process begins higher than an old one ended (its start time)."""
        self._ring: deque[LiveItem] = deque(maxlen=RING_SIZE)
        self._next = first_id
        self._wakers: set[asyncio.Event] = set()
        self._closed = False

    def publish(self, topic: str, tenant_id: str, kind: str, data: Any, at: int) -> None:
        """Add one change."""
        self._ring.append(LiveItem(self._next, topic, tenant_id, kind, at, data))
        self._next += 1
        if self._wakers:
            for waker in self._wakers:
                waker.set()

    def close(self) -> None:
        """End every subscription, so that open pages do not hold the service up when it stops."""
        self._closed = True
        for waker in self._wakers:
            waker.set()

    @property
    def last_id(self) -> int:
        """The id of the newest item."""
        return self._next - 1

    def since(self, tenant_id: str, topics: Collection[str], last_id: int) -> list[LiveItem] | None:
        """Return the items after `last_id`, or None when some of them have left the ring."""
        oldest = self._ring[0].id if self._ring else self._next
        if last_id + 1 < oldest or last_id > self.last_id:
            return None
        return [
            item
            for item in _after(self._ring, last_id)
            if item.tenant_id == tenant_id and (not topics or item.topic in topics)
        ]

    async def subscribe(
        self, tenant_id: str, topics: Collection[str], last_id: int | None = None
    ) -> AsyncIterator[LiveItem | None]:
        """Yield changes as they come; None means that some were missed and the reader must load anew."""
        position = self.last_id if last_id is None else last_id
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            while not self._closed:
                waker.clear()
                newest = self.last_id
                items = self.since(tenant_id, topics, position)
                position = newest
                if items is None:
                    yield None
                for item in items or ():
                    yield item
                if position == self.last_id and not self._closed:
                    await waker.wait()
        finally:
            self._wakers.discard(waker)


def _after(ring: deque[LiveItem], last_id: int) -> list[LiveItem]:
    if not ring or last_id >= ring[-1].id:
        return []
    skip = max(0, last_id + 1 - ring[0].id)
    return [ring[index] for index in range(skip, len(ring))]

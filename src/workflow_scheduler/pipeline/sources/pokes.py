"""Peers that say when they are to be asked: their source is polled at once, by whichever instance takes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core.errors import NotFound
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.registry import Poke, PushRequest
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.portable import sources

_NOBODY = "No source listens to this channel."


class Pokes:
    """Takes what peers say to polled sources."""

    def __init__(self, store: Store, types: Mapping[str, ModuleType], clock: Clock, wake: Callable[[], None]) -> None:
        """Find sources in `store`; `wake` lets this instance look for those that are due."""
        self._store = store
        self._types = types
        self._clock = clock
        self._wake = wake

    async def receive(self, provider: str, request: PushRequest) -> None:
        """Let the source be polled that a request is about; returns after that is stored.

        Raises:
            NotFound: the request is not about a source, or does not prove that it comes from its peer.

        """
        module: Any = self._types.get(provider)
        poke: Poke | None = None if module is None else module.poke(request)
        if poke is None:
            raise NotFound(_NOBODY)
        found = await sources.one(self._store, (poke.tenant_id, provider, poke.key))
        cursor = None if found is None or found.cursor is None else msgspec.json.decode(found.cursor)
        if found is None or not module.knows(cursor, poke.proof):
            raise NotFound(_NOBODY)
        await self._store.transact(sources.poke(found.id, self._clock.now()))
        self._wake()

"""Events that were kept and not run: those of a suspended trigger, and those that `on_unknown: hold` could not decide.

Released, an event is heard again by its trigger alone, under a key that is the same for every attempt: repeated after a
crash, a release starts nothing twice. The first decision stays and says that the event was released or discarded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.errors import Conflict, SchedulerError
from workflow_scheduler.core.match.released import release_key
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.trigger import Mode
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.replay import Accepts, replayed_event
from workflow_scheduler.stores.portable import kept
from workflow_scheduler.stores.portable.events import EventRepository, StoredEvent
from workflow_scheduler.stores.portable.triggers import TriggerRepository

HELD_MAX = 1_000
_AT_ONCE = 100


class Held:
    """Releases and discards what triggers keep."""

    def __init__(self, store: Store, clock: Clock, inbox: Accepts) -> None:
        """Read from `store`; what is released goes through the inbox like anything heard."""
        self._store = store
        self._clock = clock
        self._inbox = inbox
        self._events = EventRepository(store)
        self._triggers = TriggerRepository(store)

    async def release(self, principal: Principal, trigger_id: str, limit: int = HELD_MAX) -> dict[str, Any]:
        """Let up to `limit` kept events be decided again, the oldest first; `more` says whether some are left.

        Raises:
            NotFound: there is no such trigger.
            Conflict: the trigger is still suspended or off: it would only keep them again.

        """
        record = await self._triggers.get(principal.tenant_id, trigger_id)
        if record.mode != Mode.ENABLED:
            raise Conflict(
                f"the trigger is {record.mode}: it would start nothing",
                fix=f"workflow-scheduler trigger enable {trigger_id}",
            )
        ids, more = await self._kept(principal, trigger_id, limit)
        stored = await self._events.several(principal.tenant_id, ids, self._clock.now())
        readable = [event for event in stored if isinstance(event, StoredEvent)]
        failed = [{"id": name, "message": "the event is no longer stored"} for name in _missing(ids, readable)]
        runs = 0
        for start in range(0, len(readable), _AT_ONCE):
            portion = readable[start : start + _AT_ONCE]
            for answer in await asyncio.gather(*(self._again(principal, trigger_id, event) for event in portion)):
                if isinstance(answer, dict):
                    failed.append(answer)
                else:
                    runs += answer
        return {"count": len(ids) - len(failed), "runs": runs, "failed": failed, "more": more}

    async def discard(self, principal: Principal, trigger_id: str, limit: int = HELD_MAX) -> dict[str, Any]:
        """Give up to `limit` kept events up, the oldest first; they stay stored and can be replayed by hand.

        Raises:
            NotFound: there is no such trigger.

        """
        await self._triggers.get(principal.tenant_id, trigger_id)
        ids, more = await self._kept(principal, trigger_id, limit)
        await self._store.transact(kept.mark(principal.tenant_id, trigger_id, ids, Reason.DISCARDED))
        return {"count": len(ids), "more": more}

    async def _kept(self, principal: Principal, trigger_id: str, limit: int) -> tuple[list[str], bool]:
        most = min(max(1, limit), HELD_MAX)
        ids = await kept.of_trigger(self._store, principal.tenant_id, trigger_id, most + 1)
        return ids[:most], len(ids) > most

    async def _again(self, principal: Principal, trigger_id: str, original: StoredEvent) -> int | dict[str, str]:
        """Let one event be decided again; return how many runs started, or why it could not be."""
        event = replayed_event(original, principal.user_id, self._clock.now())
        event = msgspec.structs.replace(
            event, event_key=release_key(original.id, trigger_id), target_trigger_id=trigger_id
        )
        try:
            receipt = await self._inbox.accept(event)
            await self._store.transact(kept.mark(principal.tenant_id, trigger_id, [original.id], Reason.RELEASED))
        except SchedulerError as error:
            return {"id": original.id, "message": error.detail}
        return len(receipt.run_ids)


def _missing(ids: Sequence[str], found: Sequence[StoredEvent]) -> list[str]:
    known = {event.id for event in found}
    return [name for name in ids if name not in known]

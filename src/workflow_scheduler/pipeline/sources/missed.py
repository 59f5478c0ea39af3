"""Rounds whose window is over although members are missing: they are run as they are, told, or forgotten.

Any number of instances may look at the same round: the run hangs on one event with one key, what is told on one row of
the outbox, and the round itself is emptied under the lock of its trigger.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import structlog

from workflow_scheduler.core.dependencies.need import lacking
from workflow_scheduler.core.dependencies.rounds import MISSED, Rule
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.system_event import SOURCE_TRIGGERS, SYSTEM_EVENTS, SystemEvent
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.portions import settle_for_ever
from workflow_scheduler.core.ports.store import Store, Work
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.pipeline import joins as state
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.pipeline.sources.own import accept_own
from workflow_scheduler.stores.portable import joins, outbox
from workflow_scheduler.stores.portable.joins import Round

POLL_SECONDS = 1.0
READ_ROWS = 200

_log = structlog.get_logger(__name__)


class Misses:
    """Looks once a second for rounds that are over."""

    def __init__(
        self, store: Store, cache: CandidateCache, inbox: Inbox, clock: Clock, on_fact: Callable[[], None]
    ) -> None:
        """Find rounds in `store`; runs start through `inbox`; `on_fact` is called when something was told."""
        self._store = store
        self._cache = cache
        self._inbox = inbox
        self._clock = clock
        self._on_fact = on_fact

    async def loop(self) -> None:
        """Settle what is over, for ever."""
        await settle_for_ever(
            self.settle_some,
            READ_ROWS,
            lambda: self._clock.sleep(POLL_SECONDS),
            lambda error: _log.warning("missed.failed", error=error.detail),
        )

    async def settle_some(self) -> int:
        """Settle up to READ_ROWS rounds, and return how many there were.

        Raises:
            SchedulerError: the store or the inbox takes nothing now; the rounds stay.

        """
        rounds = await joins.due(self._store, self._clock.now(), READ_ROWS)
        for one in rounds:
            await self._settle(one)
        return len(rounds)

    async def _settle(self, one: Round) -> None:
        event = self._event(one, b"{}")
        bucket = () if one.missed_at is not None else await self._cache.find(event)
        rule = bucket[0].rule if bucket else None
        if rule is not None and rule.on_miss == "run":
            said = await self._said(one, rule, bucket[0].trigger)
            if said is not None:
                await accept_own(self._inbox, self._event(one, msgspec.json.encode(said)))
        said = None
        if rule is not None and rule.on_miss == "tell":
            said = await self._said(one, rule, bucket[0].trigger)
        if await self._store.transact(_close(one, rule, said, self._clock.now())):
            self._on_fact()

    async def _said(self, one: Round, rule: Rule, trigger: Trigger) -> state.Missing | None:
        """Return what is to be said of a round; None when nothing has arrived that counts."""
        rows = [part for part in await joins.arrived(self._store, one.id) if part.name in rule.names]
        if not rows or one.due_at is None:
            return None
        names = sorted(part.name for part in rows)
        return state.Missing(
            trigger_id=trigger.id,
            trigger_name=trigger.name,
            workflow_id=trigger.workflow_id,
            workflow_name=trigger.workflow,
            correlation=msgspec.Raw((one.value or "null").encode()),
            missing=lacking(rule.need, names),
            arrived=names,
            over_at=to_iso(one.due_at),
            round=one.id.correlation,
            number=one.id.number,
            due_at=one.due_at,
        )

    def _event(self, one: Round, data: bytes) -> Event:
        now = self._clock.now()
        return Event(
            id=mint(now),
            tenant_id=one.id.tenant_id,
            provider="workflow",
            source=f"/triggers/{one.id.trigger_id}",
            type=MISSED,
            event_key=_key(one),
            time=one.due_at or now,
            received_at=now,
            data=data,
            target_trigger_id=one.id.trigger_id,
        )


def _key(one: Round) -> str:
    return f"missed:{one.id.correlation}:{one.id.number}:{one.due_at}"


def _close(one: Round, rule: Rule | None, said: state.Missing | None, now: int) -> Work[bool]:
    """Empty a round if it is still the one that was looked at; return whether something was told."""
    yield from joins.lock(one.id.tenant_id, one.id.trigger_id)
    found = yield from joins.find(one.id)
    if found is None or found.due_at != one.due_at:
        return False
    if found.missed_at is not None:
        yield from joins.remove(one.id)
        return False
    if said is not None:
        data = {name: getattr(said, name) for name in SYSTEM_EVENTS[MISSED]}
        fact = SystemEvent(
            tenant_id=one.id.tenant_id, type=MISSED, source=SOURCE_TRIGGERS, subject=one.id.trigger_id, data=data
        )
        yield outbox.put(fact, now, f"{one.id.trigger_id}:{_key(one)}"[:400])
    yield from state.over(rule if rule is not None and rule.on_miss != "forget" else None, one.id, now)
    return said is not None

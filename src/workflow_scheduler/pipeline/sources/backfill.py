"""The backfill source: nominal times that are run afterwards, with event, decision and run in one transaction.

A time that the schedule never fired is started under the key of its own fire: the database then lets the fire or the
backfill have it, and never both. A time that has an event already is repeated under a key of the backfill. The caller's
guard and bookkeeping are part of the same transaction, so that a crash leaves either all of a step or nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from workflow_scheduler.core.errors import Conflict
from workflow_scheduler.core.model.backfill import Backfill
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.trigger import Mode
from workflow_scheduler.core.ports.backfill import Begun, Started
from workflow_scheduler.core.ports.catalog import Catalog
from workflow_scheduler.core.ports.store import Accepted, Sql, Work
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.core.time.due import Start
from workflow_scheduler.core.time.payload import clock_event
from workflow_scheduler.pipeline.candidates import CandidateCache, Compiled
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.pipeline.intents import decide, without_runs
from workflow_scheduler.stores.portable import intake

T = TypeVar("T")
BACKFILL_SOURCE = "/backfills/"
STALE_RETRIES_MAX = 20


class BackfillSource:
    """Starts the runs of backfills."""

    def __init__(self, catalog: Catalog, cache: CandidateCache, inbox: Inbox, clock: Clock, signals: Signals) -> None:
        """Look triggers up through `catalog`; the runs are launched by the inbox's launcher."""
        self._catalog = catalog
        self._cache = cache
        self._inbox = inbox
        self._clock = clock
        self._signals = signals

    async def start(
        self,
        backfill: Backfill,
        begun: Sequence[Begun],
        guard: Callable[[], Work[bool]],
        settle: Callable[[Sequence[Started]], Work[None]],
    ) -> bool:
        """Start runs of the live version for the times `begun`; return False when the guard did not hold.

        Raises:
            Conflict: the trigger is not live any more.
            StoreUnavailable: whether it was written is not known; read the backfill again.

        """
        epoch_now = Sql("SELECT wfs_epoch()" if self._inbox.dialect == "postgres" else "SELECT epoch FROM index_epoch")
        for _ in range(STALE_RETRIES_MAX):
            epoch = self._cache.epoch
            compiled = await self._compiled(backfill)
            now = self._clock.now()
            events = [_event(backfill, one, compiled, now) for one in begun]
            decided = [_decided(event, compiled, backfill, now, self._inbox.owner) for event in events]
            held: list[bool] = []

            def work(
                written: list[Accepted],
                decided: Sequence[Accepted] = decided,
                epoch: int = epoch,
                held: list[bool] = held,
            ) -> Work[bool]:
                held.append((yield from guard()))
                if not held[0]:
                    return True
                current = yield epoch_now
                if current[0][0] != epoch:
                    return False
                started = yield from _write(begun, decided, written)
                yield from settle(started)
                return True

            self._signals.emit("backfill.step.before")
            if await self._inbox.carry_out(work):
                self._signals.emit("backfill.step.after")
                return held[0]
            await self._cache.refresh()
        return False

    async def _compiled(self, backfill: Backfill) -> Compiled:
        """Return the live trigger as if it were enabled, since a person asked, and without its rule of overlap."""
        trigger = await self._catalog.trigger(backfill.tenant_id, backfill.trigger_id)
        if trigger is None:
            raise Conflict(
                f"The trigger `{backfill.trigger}` of `{backfill.workflow}` is not live.",
                fix=f"Deploy it, then resume the backfill: workflow-scheduler backfills resume {backfill.id}",
            )
        compiled = self._cache.compile(replace(trigger, mode=Mode.ENABLED, workflow_paused=False, overlap=None))
        if compiled.error is not None:
            raise Conflict(f"The trigger `{backfill.trigger}` cannot be read: {compiled.error}")
        return compiled


def _event(backfill: Backfill, begun: Begun, compiled: Compiled, now: int) -> Event:
    start = Start(begun.fire, begun.fire.utc)
    event = clock_event(compiled.module, compiled.config, compiled.trigger, start, now)
    extra = {"attributes": msgspec.json.encode({"backfill_id": backfill.id}), "user_id": backfill.user_id}
    if begun.repeats is not None:
        return replace(event, **extra, source=BACKFILL_SOURCE + backfill.id, replay_of=begun.repeats,
                       input=backfill.input)  # fmt: skip
    return replace(event, **extra, input=backfill.input)


def _decided(event: Event, compiled: Compiled, backfill: Backfill, now: int, owner: str) -> Accepted:
    """Judge the trigger's own condition, and mark decision and run as the backfill's."""
    accepted = decide(event, (compiled,), now, owner)
    decisions = [
        replace(one, reason=Reason.BACKFILLED)
        if one.outcome is Outcome.RUN_STARTED and one.reason is Reason.MATCHED
        else one
        for one in accepted.decisions
    ]
    return Accepted(accepted.event, decisions, [replace(run, backfill_id=backfill.id) for run in accepted.runs])


def _write(begun: Sequence[Begun], decided: Sequence[Accepted], written: list[Accepted]) -> Work[list[Started]]:
    """Insert what is new, in the order of the keys, in which the timer inserts as well."""
    started: list[Started] = []
    pairs = sorted(zip(begun, decided, strict=True), key=lambda pair: (pair[1].event.source, pair[1].event.event_key))
    for one, accepted in pairs:
        event = accepted.event
        earlier = yield from intake.put_event(event)
        if earlier is not None:
            started.append(Started(one.fire, earlier, None))
            continue
        refused: dict[str, str] = {}
        for run in accepted.runs:
            other = yield from intake.put_run(run)
            if other is not None:
                refused[run.id] = other
        final = without_runs(accepted, refused)
        for decision in final.decisions:
            yield from intake.put_decision(decision)
        written.append(final)
        started.append(Started(one.fire, event.id, final.runs[0].id if final.runs else None))
    return started

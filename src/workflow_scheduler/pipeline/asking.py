"""Waits as the engine opens and calls them off, and what their due times lead to: reminders, escalation, expiry.

All that is durable about a wait stands in its row, so that any instance does what is due.
"""

from __future__ import annotations

import os
from typing import Any

from msgspec.structs import replace

from workflow_scheduler.core import links
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.links import answer_link, key_context, page_url
from workflow_scheduler.core.match.ladder import Move
from workflow_scheduler.core.match.replies import read_reply
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.model.system_event import SOURCE_WAITS, SystemEvent
from workflow_scheduler.core.model.wait import (
    EARLY_US,
    GROUP,
    Wait,
    WaitRequest,
    WaitStatus,
    is_wait,
    next_step,
    wait_id_of,
)
from workflow_scheduler.core.ports.engine import OpenedWait
from workflow_scheduler.core.ports.store import Store, Work
from workflow_scheduler.core.ports.vault import Vault
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.pipeline.answering import Answering, correlation_key, names_another, record_early
from workflow_scheduler.pipeline.listening import Listening
from workflow_scheduler.pipeline.tracker import Tracker
from workflow_scheduler.stores.portable import events, outbox, waits

POLL_SECONDS = 1.0
DUE_ROWS = 200
ANYBODY = "link"


class Asking:
    """Opens waits for jobs, calls them off, and does what is due."""

    def __init__(self, store: Store, tracker: Tracker, clock: Clock, vault: Vault, signals: Signals) -> None:
        """Write to `store`, waiting through `tracker` while it is away; `vault` seals the keys of links."""
        self._store = store
        self._tracker = tracker
        self._clock = clock
        self._vault = vault
        self._signals = signals
        self._answering = Answering(vault)
        self._swept = 0
        self.public_url = ""

    async def ask(self, run: Run, job_id: str, request: WaitRequest) -> OpenedWait:
        """Register a wait once for (run, job), and return it."""
        wait = await self._tracker.persist(lambda: self._store.transact(self._register(run, job_id, request)))
        self._signals.emit("wait.registered", run_id=run.id, wait_id=wait.id)
        return OpenedWait(id=wait.id, url=page_url(self.public_url, wait.id))

    async def withdraw(self, run: Run, name: str) -> None:
        """Call off the wait of a job that has ended; other names are not of this kind."""
        if is_wait(name):
            await self._tracker.persist(lambda: self._store.transact(self._call_off(run, wait_id_of(name))))

    def _register(self, run: Run, job_id: str, request: WaitRequest) -> Work[Wait]:
        yield from waits.lock(self._store.dialect, run.tenant_id)
        known = yield from waits.of_job(run.tenant_id, run.id, job_id)
        if known is not None and known.status is not WaitStatus.CANCELLED:
            return known
        wait = self._new(run, job_id, request, 1 if known is None else known.number + 1)
        keys = [*request.channel.conversations]
        if request.correlation is not None:
            keys.append(correlation_key(request.correlation))
        yield from waits.insert(wait, keys)
        wait = yield from self._answer_early(wait, keys, run.event_id)
        if wait.status is WaitStatus.OPEN:
            yield outbox.put(self._pending(wait), wait.opened_at)
        return wait

    def _new(self, run: Run, job_id: str, request: WaitRequest, number: int) -> Wait:
        now = self._clock.now()
        wait_id = mint(now)
        wait = Wait(
            tenant_id=run.tenant_id, id=wait_id, run_id=run.id, job_id=job_id, number=number,
            workflow_id=run.workflow_id, workflow=run.workflow, trigger_id=run.trigger_id, status=WaitStatus.OPEN,
            request=request, to=request.to, opened_at=now, started_at=run.started_at or run.created_at,
            started_by=run.user_id, expires_at=None if request.timeout_us is None else now + request.timeout_us,
            key=self._vault.seal(os.urandom(links.KEY_BYTES), key_context(run.tenant_id, wait_id)),
        )  # fmt: skip
        return replace(wait, next_at=next_step(wait))

    def _answer_early(self, wait: Wait, keys: list[str], cause: str) -> Work[Wait]:
        """Take answers that came shortly before the wait was there: by conversation or correlation only.

        `cause` is the event that started the run; it asked for something, and answers nothing.
        """
        now = wait.opened_at
        for event_id in (yield from waits.early(wait.tenant_id, keys, now - EARLY_US)):
            event = yield from events.stored(wait.tenant_id, event_id)
            if event is None or event_id == cause:
                continue
            view = EventView(event)
            reply = read_reply(view)
            if names_another(reply, wait.id):
                continue
            meant = Listening((), trusted=event.provider != "webhook")
            choice, answers = yield from self._answering.judge(view, reply, meant, [wait], now)
            if choice.move is not Move.RESUME:
                continue
            after = yield from waits.give(wait, answers[wait.id])
            if after is None:
                continue
            yield from waits.take_early(wait.tenant_id, event_id)
            yield from record_early(wait, event, choice, now)
            if after.status is not WaitStatus.OPEN:
                return after
        return wait

    def _call_off(self, run: Run, wait_id: str) -> Work[None]:
        yield from waits.lock(self._store.dialect, run.tenant_id)
        wait = yield from waits.get(run.tenant_id, wait_id)
        if wait is not None:
            yield from waits.close(wait, WaitStatus.CANCELLED, self._clock.now())

    # What is due

    async def loop(self) -> None:
        """Do what is due, for ever."""
        while True:
            try:
                while await self.act(self._clock.now()) == DUE_ROWS:
                    pass
                await self._forget_early()
            except SchedulerError:
                pass  # the store is away; the rows are still there afterwards
            await self._clock.sleep(POLL_SECONDS)

    async def act(self, now: int) -> int:
        """Do what is due at `now` for up to DUE_ROWS waits, and return how many there were."""
        found = await waits.due(self._store, now, DUE_ROWS)
        for wait in found:
            await self._store.transact(self._due(wait, now))
        if found:
            self._tracker.woken()
        return len(found)

    async def _forget_early(self) -> None:
        """Drop, now and then, the events that no wait will ask about any more."""
        now = self._clock.now()
        if now - self._swept >= EARLY_US:
            self._swept = now
            await self._store.transact(waits.forget_early(now - EARLY_US))

    def _due(self, seen: Wait, now: int) -> Work[None]:
        yield from waits.lock(self._store.dialect, seen.tenant_id)
        wait = yield from waits.get(seen.tenant_id, seen.id)
        if wait is None or wait.status is not WaitStatus.OPEN or wait.next_at != seen.next_at:
            return
        if wait.has_expired(now):
            yield from waits.expire(wait, now)
            return
        after = _moved(wait, now)
        if (yield from waits.move_on(wait, after)):
            yield outbox.put(self._pending(after), now)

    def _pending(self, wait: Wait) -> SystemEvent:
        data: dict[str, Any] = {
            "workflow_id": wait.workflow_id,
            "workflow_name": wait.workflow,
            "run_id": wait.run_id,
            "job_id": wait.job_id,
            "wait_id": wait.id,
            "ask": wait.request.ask,
            "to": list(wait.to),
            "expires_at": None if wait.expires_at is None else to_iso(wait.expires_at),
            "url": page_url(self.public_url, wait.id),
            "links": self._links(wait),
            "reminder": wait.reminded,
            "escalated": wait.escalated,
        }
        return SystemEvent(
            tenant_id=wait.tenant_id, type="approval_pending", source=SOURCE_WAITS, subject=wait.id, data=data
        )

    def _links(self, wait: Wait) -> dict[str, str]:
        if not wait.request.links:
            return {}
        people = [one for one in wait.to if not one.startswith(GROUP)] or ([] if wait.to else [ANYBODY])
        return {one: answer_link(self._vault, self.public_url, wait, one, self._clock.now()) for one in people}


def _moved(wait: Wait, now: int) -> Wait:
    """Return a wait with the reminders and the escalation that are due by now behind it."""
    request = wait.request
    reminded = sum(1 for after in request.reminders_us if wait.opened_at + after <= now)
    after = replace(wait, reminded=max(reminded, wait.reminded))
    due = request.escalate_after_us
    if due is not None and not wait.escalated and wait.opened_at + due <= now:
        after = replace(after, escalated=True, to=tuple(dict.fromkeys((*wait.to, *request.escalate_to))))
    return after

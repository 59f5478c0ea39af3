"""Replay: stored events are heard again and start new runs, which remember what they repeat."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from workflow_scheduler.core.errors import SchedulerError, ValidationFailed
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.template import SOURCE as TEMPLATES
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.ports.catalog import Catalog, WorkflowRef
from workflow_scheduler.core.ports.judge import Judges
from workflow_scheduler.core.ports.store import Sql, Store, Work
from workflow_scheduler.core.reasons import Outcome
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.services.sentences import TIMERS
from workflow_scheduler.services.shapes import malformed_shape
from workflow_scheduler.stores.portable.events import EventFilter, EventRepository, StoredEvent
from workflow_scheduler.stores.portable.rows import Malformed, numbered

REPLAY_MAX = 1_000
COUNT_MAX = 100_000
_PORTION = 500
_AT_ONCE = 100


class Received(Protocol):
    """The answer to an event that was accepted."""

    @property
    def event_id(self) -> str:
        """The id of the stored event."""
        ...

    @property
    def decisions(self) -> list[Decision]:
        """What was decided."""
        ...

    @property
    def run_ids(self) -> list[str]:
        """The runs that started."""
        ...


class Accepts(Protocol):
    """Stores and decides events (the inbox)."""

    async def accept(self, event: Event) -> Received:
        """Return after the durable commit."""
        ...


class Starts(Protocol):
    """Starts workflows by name (the manual source)."""

    async def start(
        self,
        principal: Principal,
        workflow: str,
        *,
        input: Any = None,  # noqa: A002 - the word of the interface
        idempotency_key: str | None = None,
        confirm: bool = False,
        trigger: str | None = None,
    ) -> Received:
        """Return after the durable commit."""
        ...

    async def start_version(
        self,
        principal: Principal,
        version: WorkflowRef,
        source: str,
        *,
        input: Any = None,  # noqa: A002 - the word of the interface
        idempotency_key: str | None = None,
    ) -> Received:
        """Start a stored version; return after the durable commit."""
        ...


class Finds(Judges, Protocol):
    """Finds and judges candidates (the matcher)."""

    async def candidates(
        self, tenant_id: str, provider: str, index_keys: tuple[str, ...], sub_keys: tuple[str, ...] = ("",)
    ) -> list[Trigger]:
        """Return the live triggers that an event with these keys would be judged for."""
        ...


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to replay: the events with these `ids`, or those that `wanted` names, oldest first, at most `limit`."""

    ids: Sequence[str] = ()
    wanted: EventFilter | None = None
    limit: int = REPLAY_MAX
    dry_run: bool = False


class Replay:
    """Replays events."""

    def __init__(
        self, store: Store, clock: Clock, inbox: Accepts, manual: Starts, matcher: Finds, catalog: Catalog
    ) -> None:
        """Read from `store`; what is replayed goes through the inbox (or the manual source) like anything heard."""
        self._store = store
        self._clock = clock
        self._inbox = inbox
        self._manual = manual
        self._matcher = matcher
        self._catalog = catalog
        self._events = EventRepository(store)

    async def replay(self, principal: Principal, request: ReplayRequest) -> dict[str, Any]:
        """Replay events as new ones (`mode=new_run`), or with `dry_run` say how many and what they would start.

        Each replayed event has a key of its own, `replay:<original>:<new>`, so it starts new runs; they carry
        `replay_of`. At most 1,000 events are replayed by one call; `more` says whether some are left.

        Raises:
            ValidationFailed: neither ids nor a filter is given, or too many ids.

        """
        if not request.ids and request.wanted is None:
            raise ValidationFailed("Say what to replay: give `ids` or a `filter`.")
        if len(request.ids) > REPLAY_MAX:
            raise ValidationFailed(f"At most {REPLAY_MAX} ids can be replayed by one request; split them.")
        ceiling = COUNT_MAX if request.dry_run else min(max(1, request.limit), REPLAY_MAX)
        found, more = await self._collect(principal.tenant_id, request, ceiling)
        missing = sorted(set(request.ids) - {event.id for event in found})
        if request.dry_run:
            return await self._count(found, missing, more=more)
        replayed: list[dict[str, Any]] = []
        failed: list[dict[str, Any]] = [malformed_shape(row) for row in found if isinstance(row, Malformed)]
        failed += [
            {"id": name, "error": {"code": "not_found", "message": "There is no such event."}} for name in missing
        ]
        readable = [row for row in found if isinstance(row, StoredEvent)]
        for start in range(0, len(readable), _AT_ONCE):
            portion = readable[start : start + _AT_ONCE]
            for answer in await asyncio.gather(*(self._once(principal, event) for event in portion)):
                (failed if "error" in answer else replayed).append(answer)
        return {
            "dry_run": False,
            "mode": "new_run",
            "count": len(replayed),
            "runs": sum(len(item["run_ids"]) for item in replayed),
            "items": replayed,
            "failed": failed,
            "more": more,
        }

    async def _collect(
        self, tenant_id: str, request: ReplayRequest, limit: int
    ) -> tuple[list[StoredEvent | Malformed], bool]:
        """Return the events oldest first, and whether there are more than `limit`."""
        now = self._clock.now()
        found: list[StoredEvent | Malformed] = []
        if request.ids:
            for start in range(0, len(request.ids), _PORTION):
                found += await self._events.several(tenant_id, request.ids[start : start + _PORTION], now)
            return found, False
        cursor: str | None = None
        while True:
            portion = min(_PORTION, limit - len(found))
            rows, cursor = await self._events.page(tenant_id, request.wanted or EventFilter(), portion, cursor, now)
            found += rows
            if cursor is None or len(found) >= limit:
                return found[::-1], cursor is not None

    async def _count(
        self, found: Sequence[StoredEvent | Malformed], missing: Sequence[str], *, more: bool
    ) -> dict[str, Any]:
        readable = [event for event in found if isinstance(event, StoredEvent)]
        asked = readable[-REPLAY_MAX:]
        starts: Counter[str] = Counter()
        for event in asked:
            starts.update(await self._would_start(event))
        return {
            "dry_run": True,
            "mode": "new_run",
            "count": len(readable),
            "by_type": dict(Counter(event.type for event in readable)),
            "by_source": dict(Counter(event.source for event in readable).most_common(20)),
            "runs": sum(starts.values()),
            "by_workflow": dict(starts),
            "judged": len(asked),
            "missing": list(missing),
            "unreadable": len(found) - len(readable),
            "more": more,
        }

    async def _would_start(self, event: StoredEvent) -> list[str]:
        """Return the names of the workflows that a replay of `event` would start now."""
        version = _template_version(event)
        if version is not None:
            return [version.name]
        if event.provider == "manual":
            workflow = await self._catalog.workflow(event.tenant_id, event.subject or "")
            return [workflow.name] if workflow is not None and workflow.live_version is not None else []
        if event.target_trigger_id is not None:
            target = await self._catalog.trigger(event.tenant_id, event.target_trigger_id)
            candidates = [] if target is None else [target]
        else:
            candidates = await self._matcher.candidates(
                event.tenant_id, event.provider, event.index_keys, event.sub_keys
            )
        view, now = EventView(event), self._clock.now()
        judged = [(trigger, self._matcher.judge(trigger, view, now)) for trigger in candidates]
        return [trigger.workflow for trigger, verdict in judged if verdict.outcome is Outcome.RUN_STARTED]

    async def _once(self, principal: Principal, original: StoredEvent) -> dict[str, Any]:
        try:
            event = replayed_event(original, principal.user_id, self._clock.now())
            if original.provider == "manual":
                receipt = await self._again_by_hand(principal, original, event)
            else:
                receipt = await self._inbox.accept(event)
        except (SchedulerError, msgspec.MsgspecError, ValueError) as error:
            code = error.code if isinstance(error, SchedulerError) else "malformed"
            return {"id": original.id, "error": {"code": code, "message": str(error)}}
        return {
            "event_id": receipt.event_id,
            "replay_of": original.id,
            "run_ids": receipt.run_ids,
            "decisions": [
                {
                    "trigger_id": decision.trigger_id,
                    "outcome": decision.outcome.value,
                    "reason": decision.reason.value,
                    "run_id": decision.run_id,
                }
                for decision in receipt.decisions
            ],
        }

    async def _again_by_hand(self, principal: Principal, original: StoredEvent, event: Event) -> Received:
        """Start a workflow again that was started by hand: it may have no trigger that the inbox could find."""
        given = None if event.input is None else msgspec.json.decode(event.input)
        version = _template_version(original)
        if version is not None:
            receipt = await self._manual.start_version(
                principal, version, original.source, input=given, idempotency_key=event.event_key
            )
        else:
            receipt = await self._manual.start(
                principal, original.subject or "", input=given, idempotency_key=event.event_key, confirm=True
            )
        await self._store.transact(_mark(original, receipt.event_id, receipt.run_ids))
        return receipt


def replayed_event(original: StoredEvent, user_id: str, now: int) -> Event:
    """Return the event that repeats `original` for `user_id`: the same data and keys, an identity of its own."""
    event_id = mint(now)
    given = None
    if original.provider == "manual":
        data = msgspec.json.decode(original.data)
        given = msgspec.json.encode(data.get("input")) if isinstance(data, dict) else original.data
    return Event(
        id=event_id,
        tenant_id=original.tenant_id,
        provider=original.provider,
        source=original.source,
        type=original.type,
        event_key=f"replay:{original.id}:{event_id}",
        time=original.time,
        received_at=now,
        data=original.data,
        attributes=original.attributes,
        subject=original.subject,
        index_keys=original.index_keys,
        sub_keys=original.sub_keys,
        target_trigger_id=original.target_trigger_id,
        traceparent=original.traceparent,
        user_id=user_id,
        replay_of=original.id,
        input=given,
        scheduled_for=original.time if original.provider in TIMERS else None,
    )


def _template_version(original: StoredEvent) -> WorkflowRef | None:
    """Return the version that the run of a template ran, None for all other events: it is run again as it was."""
    if not original.source.startswith(TEMPLATES):
        return None
    number = msgspec.json.decode(original.attributes)["workflow_version"]
    name = original.source.removeprefix(TEMPLATES)
    return WorkflowRef(original.tenant_id, original.subject or "", name, number, number, paused=False)


def _mark(original: StoredEvent, event_id: str, run_ids: Sequence[str]) -> Work[None]:
    params = {"tenant": original.tenant_id, "original": original.id, "event": event_id}
    yield Sql("UPDATE events SET replay_of = :original WHERE tenant_id = :tenant AND id = :event", params)
    if run_ids:
        names, ids = numbered("run", run_ids)
        yield Sql(
            f"UPDATE runs SET replay_of = :original WHERE tenant_id = :tenant AND id IN ({names})",  # noqa: S608
            {**params, **ids},
        )

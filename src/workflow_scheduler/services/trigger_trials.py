"""Dry runs: what would become of an event for a trigger. Nothing is written and nothing is started."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import msgspec

from workflow_scheduler.core import ids
from workflow_scheduler.core.errors import Conflict, FieldError, ValidationFailed
from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.deployment import TriggerRecord
from workflow_scheduler.core.model.event import Event, EventView
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.trigger import Mode, Trigger
from workflow_scheduler.core.ports.judge import Judges
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.registry import Heard, PushRequest
from workflow_scheduler.core.shaping.shape import Shape
from workflow_scheduler.core.time.clock import Clock, from_iso
from workflow_scheduler.services.definition_shapes import moment, readable
from workflow_scheduler.services.join_play import JoinPlay
from workflow_scheduler.stores.portable import joins
from workflow_scheduler.stores.portable.events import EventRepository
from workflow_scheduler.stores.portable.rows import Malformed

_encode = msgspec.json.encode
_ATTRIBUTES = ("method", "path", "query", "headers", "content_type", "encoding")


class Trials:
    """Judges stored and made-up events for a trigger."""

    def __init__(self, store: Store, clock: Clock, trigger_types: Mapping[str, ModuleType], matcher: Judges) -> None:
        """Read stored events from `store`; judge with `matcher`."""
        self._clock = clock
        self._types = trigger_types
        self._matcher = matcher
        self._store = store
        self._events = EventRepository(store)

    async def run(self, principal: Principal, record: TriggerRecord, body: Mapping[str, Any]) -> dict[str, Any]:
        """Judge the event that `body` gives for a trigger.

        Raises:
            NotFound: there is no such stored event.
            ValidationFailed: the body gives no event.
            BadRequest: the request given cannot be read by the trigger's type.

        """
        trigger = as_trigger(principal.tenant_id, record)
        events = await self._given(principal, trigger, body)
        decisions = [await self._as_of_now(trigger, event, self.judge(trigger, event)) for event in events]
        return {
            "trigger_id": record.id,
            "trigger": record.name,
            "workflow": record.workflow,
            "dry_run": True,
            "decisions": decisions,
            **({name: decisions[0][name] for name in ("outcome", "reason", "predicates")} if decisions else {}),
        }

    def judge(self, trigger: Trigger, event: Event) -> dict[str, Any]:
        """Return the decision that would be recorded for an event, as the API shows it."""
        predicates: list[Predicate] = []
        if event.provider != trigger.type:
            predicates.append(Predicate("type", trigger.type, event.provider, verdict=False))
        elif event.index_keys:
            wanted = self._keys(trigger)
            predicates += (
                [Predicate("key", wanted, list(event.index_keys), verdict=False)] if not _meets(wanted, event) else []
            )
        if predicates:
            outcome, reason = Outcome.FILTERED, Reason.PREDICATE_FALSE
        else:
            judged = self._matcher.judge(trigger, EventView(event), self._clock.now())
            outcome, reason, predicates = judged.outcome, judged.reason, list(judged.verdict.predicates)
        return {
            "trigger_id": trigger.id,
            "trigger": trigger.name,
            "workflow": trigger.workflow,
            "outcome": outcome.value,
            "reason": reason.value,
            "would_start": outcome is Outcome.RUN_STARTED,
            "predicates": [msgspec.to_builtins(line) for line in predicates],
            "event": {
                "id": event.id,
                "source": event.source,
                "type": event.type,
                "subject": event.subject,
                "time": moment(event.time),
                "data": readable(event.data.decode()),
            },
        }

    async def _as_of_now(self, trigger: Trigger, event: Event, decision: dict[str, Any]) -> dict[str, Any]:
        """Return what would become of an end that a trigger lets through which waits for several, as they stand now."""
        if decision["outcome"] != Outcome.RUN_STARTED or not hasattr(self._types.get(trigger.type), "rule"):
            return decision
        play = JoinPlay(trigger, self._types)
        if not play.waits:
            return decision
        for one, arrived in await joins.of_trigger(self._store, trigger.tenant_id, trigger.id):
            play.put(one.id.correlation, one.id.number, {part.name: part.at for part in arrived})
        return play.decide(event, decision)

    def _keys(self, trigger: Trigger) -> list[str]:
        module = self._types[trigger.type]
        return list(module.index_keys(module.Config.model_validate(trigger.config)))

    async def _given(self, principal: Principal, trigger: Trigger, body: Mapping[str, Any]) -> list[Event]:
        event_id, event, request = body.get("event_id"), body.get("event"), body.get("request")
        if body.get("sample") is True:
            event = self._sample(trigger)
        if isinstance(event_id, str):
            found = await self._events.get(principal.tenant_id, event_id, self._clock.now())
            if isinstance(found, Malformed):
                raise Conflict(f"the stored event cannot be read: {found.detail}")
            return [found]
        if isinstance(event, Mapping):
            looks_like_request = "data" not in event and {"body", "headers"} & set(event)
            if not looks_like_request or self._shape(trigger) != "push":
                return [self._made_up(trigger, event)]
            request = event
        if isinstance(request, Mapping):
            return self._heard(trigger, request)
        message = "give `event_id`, `event`, `request` or `sample: true`"
        raise ValidationFailed(message, errors=[FieldError("event", message)])

    def _sample(self, trigger: Trigger) -> Mapping[str, Any]:
        """Return the first example of the trigger's type, as one of its events."""
        module = self._types.get(trigger.type)
        if module is None or not module.examples:
            message = f"the trigger type `{trigger.type}` has no sample"
            raise ValidationFailed(message, errors=[FieldError("sample", message)])
        event: Mapping[str, Any] = module.examples[0].event
        return {"data": event} if module.shape == "timer" else event

    def _shape(self, trigger: Trigger) -> str:
        module = self._types.get(trigger.type)
        return "" if module is None else str(module.shape)

    def _made_up(self, trigger: Trigger, given: Mapping[str, Any]) -> Event:
        now = self._clock.now()
        attributes = {**_object(given, "attributes"), **{key: given[key] for key in _ATTRIBUTES if key in given}}
        return Event(
            id=ids.mint(now),
            tenant_id=trigger.tenant_id,
            provider=str(given.get("provider") or trigger.type),
            source=str(given.get("source") or f"test/{trigger.type}"),
            type=str(given.get("type") or trigger.type),
            subject=None if given.get("subject") is None else str(given["subject"]),
            event_key="test",
            time=_time(given.get("time"), now),
            received_at=now,
            data=_encode(given.get("data")),
            attributes=_encode(attributes),
        )

    def _heard(self, trigger: Trigger, given: Mapping[str, Any]) -> list[Event]:
        if self._shape(trigger) != "push":
            message = f"a trigger of type `{trigger.type}` takes no requests; give `event`"
            raise ValidationFailed(message, errors=[FieldError("request", message)])
        module = self._types[trigger.type]
        now = self._clock.now()
        body = given.get("body", "")
        request = PushRequest(
            method=str(given.get("method") or "POST").upper(),
            path=str(given.get("path") or "/"),
            query=str(given.get("query") or ""),
            headers={str(key).lower(): str(value) for key, value in _object(given, "headers").items()},
            body=body.encode() if isinstance(body, str) else _encode(body),
            received_at=now,
        )
        config = module.Config.model_validate(trigger.config)
        return [_event(trigger, heard, now) for heard in module.parse(config, request)]


def _event(trigger: Trigger, heard: Heard, now: int) -> Event:
    return Event(
        id=ids.mint(now),
        tenant_id=trigger.tenant_id,
        provider=trigger.type,
        source=heard.source,
        type=heard.type,
        subject=heard.subject,
        event_key=heard.event_key or "test",
        time=heard.time or now,
        received_at=now,
        data=heard.data,
        attributes=heard.attributes,
        index_keys=heard.index_keys,
        sub_keys=heard.sub_keys,
    )


def as_trigger(tenant_id: str, record: TriggerRecord) -> Trigger:
    """Return a stored trigger as the matcher takes it."""
    shared = readable(record.shared) or {}
    return Trigger(
        id=record.id,
        tenant_id=tenant_id,
        workflow_id=record.workflow_id,
        workflow=record.workflow,
        workflow_version=record.workflow_version,
        name=record.name,
        type=record.type,
        config=readable(record.config) or {},
        index_key=record.index_key,
        mode=Mode(record.mode),
        mode_reason=record.mode_reason,
        condition=shared.get("condition"),
        on_unknown=shared.get("on_unknown") or "skip",
        input=shared.get("input"),
        engine=shared.get("engine") or "embedded",
        max_depth=shared.get("max_depth") or 10,
        workflow_paused=record.workflow_paused,
        updated_at=record.updated_at,
        shape=None if shared.get("shape") is None else msgspec.convert(shared["shape"], Shape),
        pattern=shared.get("pattern"),
    )


def _meets(wanted: list[str], event: Event) -> bool:
    """Return whether an event would find a trigger with these keys; one without keys is found by its id."""
    return not wanted or bool(set(wanted) & set(event.index_keys))


def _object(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = given.get(name) or {}
    if not isinstance(value, Mapping):
        message = f"`{name}` must be an object"
        raise ValidationFailed(message, errors=[FieldError(f"event.{name}", message)])
    return dict(value)


def _time(given: object, now: int) -> int:
    if given is None:
        return now
    try:
        return from_iso(str(given))
    except (ValueError, OverflowError):
        message = "`time` must be an ISO 8601 instant, for example 2027-03-14T07:30:00Z"
        raise ValidationFailed(message, errors=[FieldError("event.time", message)]) from None

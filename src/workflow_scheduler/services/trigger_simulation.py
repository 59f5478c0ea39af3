"""Trying a changed trigger on the events that were really received, beside the trigger as it is. Nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from workflow_scheduler.core.definition.trigger_check import SHARED_NAMES
from workflow_scheduler.core.errors import FieldError, ValidationFailed
from workflow_scheduler.core.model.deployment import TriggerRecord
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.trigger import Mode, Trigger
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Outcome
from workflow_scheduler.core.shaping.fields import ShapeFields, shape_of
from workflow_scheduler.core.time.clock import Clock, from_iso
from workflow_scheduler.services.definitions import Definitions
from workflow_scheduler.services.join_play import JoinPlay
from workflow_scheduler.services.shape_play import ShapePlay
from workflow_scheduler.services.trigger_trials import Trials, as_trigger
from workflow_scheduler.stores.portable.events import EventFilter, EventRepository, StoredEvent

EVENTS_DEFAULT = 200
EVENTS_MAX = 1_000
DIFFERENCES_SHOWN = 100
FIRES_SHOWN = 100
_PAGE = 100


class Simulation:
    """Judges stored events twice: by the trigger as it is, and as it would be."""

    def __init__(self, store: Store, clock: Clock, definitions: Definitions, trials: Trials) -> None:
        """Read events from `store`; check the change with `definitions`; judge with `trials`."""
        self._clock = clock
        self._definitions = definitions
        self._trials = trials
        self._events = EventRepository(store)

    async def run(self, principal: Principal, record: TriggerRecord, body: Mapping[str, Any]) -> dict[str, Any]:
        """Return how often either would start a run, the events that would, and the events they differ on.

        Events are judged in the order in which they came; a trigger that waits for several keeps its rounds meanwhile.

        `body` may hold `config` and the shared keys to change, `since`, `until` (ISO 8601) and `limit` (events).

        Raises:
            ValidationFailed: the change or the range is wrong.

        """
        live = msgspec.structs.replace(
            as_trigger(principal.tenant_id, record), mode=Mode.ENABLED, workflow_paused=False
        )
        proposed = await self._proposed(live, record, body)
        events, more = await self._stored(live, body)
        outcomes: dict[str, Counter[str]] = {"live": Counter(), "proposed": Counter()}
        differences: list[dict[str, Any]] = []
        fires: list[dict[str, Any]] = []
        plays = [JoinPlay(one, self._definitions.trigger_types) for one in (live, proposed)]
        shapes = [ShapePlay(live), ShapePlay(proposed)]
        for event in reversed(events):
            now, then = (
                shape.decide(event, play.decide(event, self._trials.judge(one, event)))
                for shape, play, one in zip(shapes, plays, (live, proposed), strict=True)
            )
            outcomes["live"][now["outcome"]] += 1
            outcomes["proposed"][then["outcome"]] += 1
            if then["outcome"] == Outcome.RUN_STARTED and len(fires) < FIRES_SHOWN:
                fires.append({**_brief(then["event"]), "new": now["outcome"] != Outcome.RUN_STARTED})
            if now["outcome"] != then["outcome"] and len(differences) < DIFFERENCES_SHOWN:
                differences.append({"event": now["event"], "live": _short(now), "proposed": _short(then)})
        for shape in shapes:
            shape.settle()
        return {
            "trigger_id": record.id,
            "trigger": record.name,
            "dry_run": True,
            "events": len(events),
            "more": more,
            "live": dict(outcomes["live"]),
            "proposed": dict(outcomes["proposed"]),
            "missed": {"live": plays[0].missed, "proposed": plays[1].missed},
            "together": {"live": shapes[0].runs, "proposed": shapes[1].runs},
            "later": {"live": shapes[0].later, "proposed": shapes[1].later},
            "would_start": fires,
            "differences": differences,
        }

    async def _proposed(self, live: Trigger, record: TriggerRecord, body: Mapping[str, Any]) -> Trigger:
        config = body.get("config", live.config)
        if not isinstance(config, Mapping):
            raise _wrong("config", "`config` must be an object")
        shared: dict[str, Any] = {
            "condition": live.condition,
            "on_unknown": live.on_unknown,
            **({} if live.pattern is None else {"pattern": live.pattern}),
            **{key: body[key] for key in SHARED_NAMES if key in body},
            "type": record.type,
        }
        value = {"name": "simulation", "triggers": {record.name: {**config, **shared}}}
        changed = (await self._definitions.read_accepted(value)).triggers[record.name]
        keys = changed.shared
        shaped = any(name in body for name in ShapeFields.model_fields)
        return msgspec.structs.replace(
            live,
            config=changed.plain,
            condition=keys.condition,
            on_unknown=keys.on_unknown,
            pattern=keys.pattern,
            shape=shape_of(keys) if shaped else live.shape,
        )

    async def _stored(self, trigger: Trigger, body: Mapping[str, Any]) -> tuple[list[StoredEvent], bool]:
        """Return the newest events that a trigger of this type could have heard, and whether there are more."""
        limit = body.get("limit", EVENTS_DEFAULT)
        if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= EVENTS_MAX:
            raise _wrong("limit", f"`limit` must be a whole number from 1 to {EVENTS_MAX}")
        wanted = EventFilter(provider=trigger.type, since=_instant(body, "since"), until=_instant(body, "until"))
        found: list[StoredEvent] = []
        cursor: str | None = None
        while len(found) < limit:
            rows, cursor = await self._events.page(trigger.tenant_id, wanted, _PAGE, cursor, self._clock.now())
            heard = [row for row in rows if isinstance(row, StoredEvent)]
            found += [row for row in heard if row.target_trigger_id in {None, trigger.id}]
            if cursor is None:
                break
        return found[:limit], cursor is not None or len(found) > limit


def _brief(event: dict[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("id", "type", "source", "subject", "time")}


def _short(decision: dict[str, Any]) -> dict[str, Any]:
    return {name: decision[name] for name in ("outcome", "reason", "predicates")}


def _instant(body: Mapping[str, Any], name: str) -> int | None:
    given = body.get(name)
    if given is None:
        return None
    try:
        return max(0, from_iso(str(given)))
    except (ValueError, OverflowError):
        raise _wrong(name, f"`{name}` must be an ISO 8601 time, for example 2027-03-14T07:30:00Z") from None


def _wrong(name: str, message: str) -> ValidationFailed:
    return ValidationFailed(message, errors=[FieldError(name, message)])

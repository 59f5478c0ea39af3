"""The clock payload: the data of the event that a due schedule becomes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec

from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.core.time.due import Start

CLOCK_TYPE = "trigger.clock.v1"
CLOCK_SOURCE = "/schedules/"


class ClockPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The facts of one fire. Instants are ISO 8601 UTC; nothing comes from outside the scheduler."""

    trigger_type: str
    schedule_id: str
    scheduled_for: str
    fired_at: str
    timezone: str
    workflow_id: str
    workflow_version: int
    lateness_ms: int
    occurrence_id: str
    coalesced_count: int = 0
    cron: str | msgspec.UnsetType = msgspec.UNSET


CLOCK_SCHEMA: dict[str, Any] = {
    "$id": CLOCK_TYPE,
    "title": "Clock payload",
    "type": "object",
    "additionalProperties": False,
    "required": [
        "triggerType", "scheduleId", "scheduledFor", "firedAt", "timezone", "workflowId", "workflowVersion",
        "latenessMs", "occurrenceId", "coalescedCount",
    ],
    "properties": {
        "triggerType": {"enum": ["schedule", "recurring"], "description": "`schedule` is a one-time schedule."},
        "scheduleId": {"type": "string", "description": "The id of the trigger."},
        "scheduledFor": {"type": "string", "format": "date-time", "description": "The nominal time."},
        "firedAt": {"type": "string", "format": "date-time", "description": "When the scheduler fired."},
        "timezone": {"type": "string", "description": "The zone in which the schedule is written."},
        "workflowId": {"type": "string"},
        "workflowVersion": {"type": "integer", "minimum": 1},
        "cron": {"type": "string", "description": "The expression, for cron triggers."},
        "latenessMs": {"type": "integer", "minimum": 0, "description": "firedAt minus the due time, jitter included."},
        "occurrenceId": {"type": "string", "description": "Names this fire of this schedule for good."},
        "coalescedCount": {"type": "integer", "minimum": 0, "description": "Missed fires that this one covers."},
    },
}  # fmt: skip

_encode = msgspec.json.Encoder().encode
# Schedules that are due at one instant share both of their times.
_iso = lru_cache(maxsize=512)(to_iso)


def occurrence_id(trigger_id: str, nominal: int) -> str:
    """Return the identity of a fire: the trigger and the nominal instant; it is also the event key."""
    return f"{trigger_id}:{_iso(nominal)}"


def clock_payload(module: Any, config: Any, trigger: Trigger, start: Start, fired_at: int) -> bytes:
    """Return the JSON of `trigger.clock.v1` for a run that starts at `fired_at` (microseconds UTC)."""
    return _encode(
        ClockPayload(
            trigger_type="recurring" if getattr(module, "recurring", True) else "schedule",
            schedule_id=trigger.id,
            scheduled_for=_iso(start.fire.utc),
            fired_at=_iso(fired_at),
            timezone=module.timezone(config),
            workflow_id=trigger.workflow_id,
            workflow_version=trigger.workflow_version,
            lateness_ms=max(0, fired_at - start.fire_at) // 1000,
            occurrence_id=occurrence_id(trigger.id, start.fire.utc),
            coalesced_count=start.coalesced,
            cron=getattr(config, "cron", msgspec.UNSET),
        )
    )


def clock_event(module: Any, config: Any, trigger: Trigger, start: Start, now: int) -> Event:
    """Return the event of one fire, heard at `now` (microseconds UTC).

    Its source and key name the trigger and the nominal instant, so that whoever makes it, a fire runs once.
    """
    return Event(
        id=mint(now),
        tenant_id=trigger.tenant_id,
        provider=trigger.type,
        source=CLOCK_SOURCE + trigger.id,
        type=CLOCK_TYPE,
        subject=trigger.workflow_id,
        event_key=occurrence_id(trigger.id, start.fire.utc),
        time=start.fire.utc,
        received_at=now,
        data=clock_payload(module, config, trigger, start, now),
        target_trigger_id=trigger.id,
        scheduled_for=start.fire.utc,
    )

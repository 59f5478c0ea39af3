"""Events that somebody released after they had been kept: how they are told from others."""

from __future__ import annotations

from typing import Final

from workflow_scheduler.core.model.event import Event

_PREFIX: Final = "release:"


def release_key(event_id: str, trigger_id: str) -> str:
    """Return the key under which a kept event is heard again by one trigger."""
    return f"{_PREFIX}{event_id}:{trigger_id}"


def is_released(event: Event) -> bool:
    """Return whether a person let this event go; only a replay can be one."""
    return event.replay_of is not None and event.event_key.startswith(_PREFIX)

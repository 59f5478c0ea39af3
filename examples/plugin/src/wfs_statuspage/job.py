"""Make a short text of an incident.

The output has `text` (name, impact, status and the newest update) and `open`, which is false once it is resolved.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from workflow_scheduler.core.ports.engine import JobContext
from workflow_scheduler.core.registry import Config as ClosedConfig

name = "incident_text"
title = "Text of an incident"
inline = True  # it never waits; a job that does is `async def run` and `inline = False`
needs_code_allowance = False
examples = ({"incident": {"name": "Delayed webhooks", "impact": "major", "status": "resolved"}, "updates": 0},)

_ENDED = frozenset({"resolved", "postmortem", "completed"})


class Config(ClosedConfig):
    """Which incident, and how much of it."""

    incident: dict[str, Any] = Field(title="Incident", description="The data of a `statuspage` event.")
    updates: int = Field(default=1, ge=0, le=20, title="Updates", description="How many updates to quote.")


def run(config: Config, context: JobContext) -> dict[str, Any]:
    """Return the text."""
    incident = config.incident
    status = str(incident.get("status", "unknown"))
    lines = [f"{incident.get('name', 'Incident')} ({incident.get('impact', 'unknown')}): {status}"]
    updates = incident.get("incident_updates")
    quoted = (updates if isinstance(updates, list) else [])[: config.updates]
    lines += [str(update["body"]) for update in quoted if isinstance(update, dict) and update.get("body")]
    context.log(lines[0])
    return {"text": "\n".join(lines), "open": status not in _ENDED}


def retryable(_error: Exception) -> bool:
    """Return False: the same incident gives the same text."""
    return False

"""The events that this system tells of itself, and what their data holds.

They are heard by `event` triggers. Every one is stored in the transaction of the change that it tells of: the ends of
runs with the run, all others through the outbox.
"""

from __future__ import annotations

from typing import Any

import msgspec

SOURCE_ACCESS = "/system/access"
SOURCE_WORKFLOWS = "/system/workflows"
SOURCE_WAITS = "/system/waits"
SOURCE_TRIGGERS = "/system/triggers"
SOURCE_CONNECTIONS = "/system/connections"
SOURCE_DEAD_LETTERS = "/system/dead-letters"

_END_FIELDS = (
    "workflow_id", "workflow_name", "workflow_version", "run_id", "status", "trigger_type", "started_at", "ended_at",
    "output", "error",
)  # fmt: skip
SYSTEM_EVENTS: dict[str, tuple[str, ...]] = {
    "workflow_completed": _END_FIELDS,
    "workflow_failed": _END_FIELDS,
    "workflow_cancelled": _END_FIELDS,
    "workflow_deployed": ("workflow_id", "workflow_name", "workflow_version", "action", "actor"),
    "run_paused": ("workflow_id", "workflow_name", "workflow_version", "run_id", "trigger_type", "started_at"),
    "approval_pending": (
        "workflow_id",
        "workflow_name",
        "run_id",
        "job_id",
        "wait_id",
        "ask",
        "to",
        "expires_at",
        "url",
        "links",
        "reminder",
        "escalated",
    ),
    "trigger_failed": ("trigger_id", "trigger_name", "workflow_id", "workflow_name", "error", "run_id"),
    "source_down": (
        "source",
        "type",
        "trigger_id",
        "trigger_name",
        "workflow_id",
        "workflow_name",
        "since",
        "failures",
        "code",
        "error",
        "remedy",
    ),
    "source_up": ("source", "type", "trigger_id", "trigger_name", "workflow_id", "workflow_name", "since"),
    "credentials_expiring": (
        "connection",
        "kind",
        "source",
        "type",
        "trigger_id",
        "trigger_name",
        "workflow_id",
        "workflow_name",
        "expires_at",
        "lead_days",
        "remedy",
    ),
    "dependency_missed": (
        "trigger_id",
        "trigger_name",
        "workflow_id",
        "workflow_name",
        "correlation",
        "missing",
        "arrived",
        "over_at",
    ),
    "dead_letter": (
        "dead_letter_id",
        "kind",
        "reason",
        "detail",
        "attempts",
        "run_id",
        "event_id",
        "trigger_id",
        "workflow_id",
    ),
    "user_created": ("user_id", "name", "email", "role", "actor"),
    "api_key_created": ("key_id", "name", "role", "user_id", "prefix", "expires_at"),
}
"""Event type -> the fields of its data."""


class SystemEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that becomes an event of the tenant: `type` is one of SYSTEM_EVENTS, `data` has its fields."""

    tenant_id: str
    type: str
    source: str
    subject: str | None
    data: dict[str, Any]

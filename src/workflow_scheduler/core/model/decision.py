"""Decisions: what became of one event for one trigger."""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.reasons import Outcome, Reason


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The one recorded decision for (event, trigger). `predicates` is a JSON array of Predicate objects."""

    tenant_id: str
    event_id: str
    trigger_id: str
    workflow_id: str
    outcome: Outcome
    reason: Reason
    decided_at: int
    predicates: bytes = b"[]"
    run_id: str | None = None

"""How a trigger does: whether it can fire, whether it is late, and how its newest runs ended."""

from __future__ import annotations

from typing import Any

from workflow_scheduler.core.model.deployment import TriggerRecord
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import DAY_US, SECOND_US, Clock
from workflow_scheduler.services.definition_shapes import moment
from workflow_scheduler.services.source_shapes import source_shape, source_status
from workflow_scheduler.stores.portable import sources
from workflow_scheduler.stores.portable.refusals import last_refusal
from workflow_scheduler.stores.portable.triggers import TriggerRepository

RUNS_LOOKED_AT = 5
LATE_US = 60 * SECOND_US


async def trigger_health(
    store: Store, triggers: TriggerRepository, clock: Clock, tenant_id: str, record: TriggerRecord
) -> dict[str, Any]:
    """Return the health of a trigger. A status covers those that come after it in the list of states."""
    now = clock.now()
    runs = await triggers.recent_runs(tenant_id, record.id, RUNS_LOOKED_AT)
    outcomes = await triggers.recent_outcomes(tenant_id, record.id, now - DAY_US)
    late_us = 0 if record.next_fire_at is None else max(0, now - record.next_fire_at)
    status, sentence = _status(record, late_us, [status for _, status in runs])
    heard = await sources.of_trigger(store, tenant_id, record.id)
    source = None if heard is None else source_shape(*heard, now)
    refused = await last_refusal(store, tenant_id, record.id)
    if status == "healthy" and source is not None:
        status, sentence = source_status(source)
    return {
        "trigger_id": record.id,
        "trigger": record.name,
        "workflow": record.workflow,
        "status": status,
        "summary": sentence,
        "mode": record.mode,
        "deployment_status": record.deployment_status,
        "next_fire_at": moment(record.next_fire_at),
        "last_fired_at": moment(record.last_fired_at),
        "late_seconds": late_us / SECOND_US,
        "decisions_24h": outcomes,
        "source": source,
        "refused": None if refused is None else {"at": moment(refused.at), "why": refused.why},
        "runs": [{"run_id": run_id, "status": run_status} for run_id, run_status in runs],
    }


def _status(record: TriggerRecord, late_us: int, runs: list[str]) -> tuple[str, str]:
    """Return the first state that holds and a sentence about it."""
    why = f": {record.mode_reason}" if record.mode_reason else ""
    who = "workflow" if record.workflow_paused else "schedule"
    because = f": {record.paused_reason}" if record.paused_reason else ""
    states = (
        (record.error is not None, "broken", str(record.error)),
        (record.deployment_status != "active", "undeployed", "The version with this trigger is not deployed."),
        (record.mode != "enabled", record.mode, f"The trigger is {record.mode}{why}."),
        (record.workflow_paused or record.schedule_paused, "paused", f"The {who} is paused{because}."),
        (record.completed, "completed", "The schedule has fired for the last time."),
        (late_us > LATE_US, "late", f"A fire is due since {late_us // SECOND_US} s."),
        (set(runs) == {RunStatus.FAILED.value}, "failing", f"The last {len(runs)} runs failed."),
    )
    return next(((name, text) for holds, name, text in states if holds), ("healthy", "The trigger is live."))

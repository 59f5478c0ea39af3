"""Workflows, versions, deployments and triggers in the shapes of the API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from workflow_scheduler.core.model.deployment import DeploymentRecord, TriggerRecord, VersionRecord, WorkflowRecord
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.time.clock import to_iso
from workflow_scheduler.stores.portable.triggers import LastDecision
from workflow_scheduler.stores.portable.turns import waiting_of

_decode = msgspec.json.decode


def moment(instant_us: int | None) -> str | None:
    """Return an instant as ISO 8601 UTC."""
    return None if instant_us is None else to_iso(instant_us)


def workflow_shape(record: WorkflowRecord, definition: str | None, triggers: list[dict[str, Any]]) -> dict[str, Any]:
    """Return a workflow; `definition` is the JSON text of its latest version."""
    return {
        "id": record.id,
        "name": record.name,
        "version": record.latest_version,
        "live_version": record.live_version,
        "deployment_status": record.deployment_status.value,
        "deployment_error": record.deployment_error,
        "paused": record.paused,
        "paused_reason": record.paused_reason,
        "paused_until": moment(record.paused_until),
        "paused_by": record.paused_by,
        "revision": record.revision,
        "definition": readable(definition),
        "triggers": triggers,
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
    }


def readable(text: str | None) -> Any:
    """Return decoded JSON, or None where it is missing or cannot be read."""
    try:
        return None if text is None else _decode(text)
    except ValueError:
        return None


def trigger_shape(record: TriggerRecord, last: LastDecision | None) -> dict[str, Any]:
    """Return a trigger with its shared keys beside its configuration."""
    shared = readable(record.shared) or {}
    return {
        "id": record.id,
        "workflow_id": record.workflow_id,
        "workflow": record.workflow,
        "workflow_version": record.workflow_version,
        "name": record.name,
        "type": record.type,
        "mode": record.mode,
        "mode_reason": record.mode_reason,
        "deployment_status": record.deployment_status,
        "config": readable(record.config),
        "condition": shared.get("condition"),
        "on_unknown": shared.get("on_unknown") or "skip",
        "input": shared.get("input"),
        "overlap": shared.get("overlap"),
        "priority": shared.get("priority") or 0,
        "waiting": 0,
        "description": shared.get("description") or "",
        "index_key": record.index_key,
        "next_fire_at": moment(record.next_fire_at),
        "last_fired_at": moment(record.last_fired_at),
        "completed": record.completed,
        "paused": record.workflow_paused or record.schedule_paused,
        "last_decision": None if last is None else _decision_shape(last),
        "revision": record.revision,
        "error": record.error,
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
    }


def _decision_shape(last: LastDecision) -> dict[str, Any]:
    return {
        "event_id": last.event_id,
        "outcome": last.outcome,
        "reason": last.reason,
        "run_id": last.run_id,
        "decided_at": moment(last.decided_at),
    }


def version_shape(record: VersionRecord, *, live: bool, whole: bool) -> dict[str, Any]:
    """Return a version; with `whole` its definition and source text as well."""
    shape: dict[str, Any] = {
        "version": record.version,
        "live": live,
        "hash": record.hash,
        "format": record.source_format,
        "created_at": moment(record.created_at),
        "created_by": record.created_by,
    }
    if whole:
        shape |= {"definition": readable(record.definition), "source": record.source}
    return shape


def deployment_shape(record: DeploymentRecord) -> dict[str, Any]:
    """Return an entry of the deployment history."""
    return {
        "id": record.id,
        "workflow_id": record.workflow_id,
        "version": record.version,
        "action": record.action,
        "status": record.status,
        "step": record.step,
        "error": record.error,
        "changes": readable(record.changes),
        "actor": record.actor,
        "started_at": moment(record.started_at),
        "ended_at": moment(record.ended_at),
    }


async def count_waiting(store: Store, tenant_id: str, shapes: Sequence[dict[str, Any]]) -> None:
    """Put into triggers how many of their runs wait for their turn; those without a rule have none."""
    bound = {shape["id"]: shape for shape in shapes if shape["overlap"] is not None}
    for trigger_id, number in (await waiting_of(store, tenant_id, "trigger_id", list(bound))).items():
        bound[trigger_id]["waiting"] = number

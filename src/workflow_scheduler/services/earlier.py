"""The triggers of the version before: what was accepted once is not refused because its time has passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from workflow_scheduler.services.definitions import Earlier
from workflow_scheduler.stores.portable.workflows import WorkflowRepository


def earlier_triggers(workflows: WorkflowRepository, tenant_id: str, reference: str | None = None) -> Earlier:
    """Return a function that finds the triggers of a workflow's latest version, or none for a new workflow.

    The workflow is `reference` (id or name); without one, it is the one with the name that the definition has.
    """

    async def find(name: str) -> Mapping[str, Any]:
        record = await workflows.find(tenant_id, reference if reference is not None else name)
        if record is None:
            return {}
        stored = await workflows.version(tenant_id, record.id, record.latest_version)
        triggers: Mapping[str, Any] = msgspec.json.decode(stored.definition).get("triggers") or {}
        return triggers

    return find

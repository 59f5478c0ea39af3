"""The queues of runs that wait for their turn: how long they are, and giving them up but for the latest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Literal, Protocol

import msgspec

from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.run import Run, RunChange, RunStatus
from workflow_scheduler.core.ports.store import Store
from workflow_scheduler.core.reasons import Reason
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.stores.portable import turns
from workflow_scheduler.stores.portable.runs import RunRepository
from workflow_scheduler.stores.portable.triggers import TriggerRepository
from workflow_scheduler.stores.portable.workflows import WorkflowRepository

Keep = Literal["latest", "none"]
AT_ONCE = 100
_FLUSHED = msgspec.json.encode(
    {"code": Reason.OVERLAP_FLUSHED, "message": "the queue in which this run waited was flushed"}
)


class Finishes(Protocol):
    """Records the ends of runs (the tracker)."""

    async def finish(self, change: RunChange, run: Run, *, retracted: Reason | None = None) -> None:
        """Record the end of a run that waited; it stays as it is when its turn has come meanwhile."""
        ...


class Queues:
    """What can be asked and done about waiting runs."""

    def __init__(self, store: Store, clock: Clock, tracker: Finishes) -> None:
        """Read from `store`; runs end through the tracker."""
        self._store = store
        self._clock = clock
        self._tracker = tracker
        self._triggers = TriggerRepository(store)
        self._workflows = WorkflowRepository(store)
        self._runs = RunRepository(store)

    async def flush_trigger(self, principal: Principal, trigger_id: str, keep: Keep = "latest") -> dict[str, Any]:
        """End the waiting runs of a trigger, but the latest of each key where `keep` says so; say how many.

        Raises:
            NotFound: there is no such trigger.

        """
        record = await self._triggers.get(principal.tenant_id, trigger_id)
        return await self._flush(principal.tenant_id, "trigger_id", record.id, keep)

    async def flush_workflow(self, principal: Principal, reference: str, keep: Keep = "latest") -> dict[str, Any]:
        """End the waiting runs of a workflow, but the latest of each key where `keep` says so; say how many.

        Raises:
            NotFound: there is no such workflow.

        """
        record = await self._workflows.get(principal.tenant_id, reference)
        return await self._flush(principal.tenant_id, "workflow_id", record.id, keep)

    async def _flush(self, tenant_id: str, column: str, value: str, keep: Keep) -> dict[str, Any]:
        queue = await turns.queue_of(self._store, tenant_id, column, value)
        latest = {run.overlap_key: run.id for run in queue} if keep == "latest" else {}
        kept = set(latest.values())
        given_up = [run for run in queue if run.id not in kept]
        flushed = 0
        for start in range(0, len(given_up), AT_ONCE):
            flushed += await self._end(tenant_id, given_up[start : start + AT_ONCE])
        left = await turns.waiting_of(self._store, tenant_id, column, [value])
        return {"flushed": flushed, "waiting": left.get(value, 0), "kept": sorted(kept)}

    async def _end(self, tenant_id: str, runs: Sequence[Run]) -> int:
        """End waiting runs; return how many have ended so: the turn of the others has come meanwhile."""
        now = self._clock.now()
        ends = [
            RunChange(
                tenant_id=tenant_id, run_id=run.id, fence=run.fence, status=RunStatus.CANCELLED, ended_at=now,
                error=_FLUSHED,
            )
            for run in runs
        ]  # fmt: skip
        finishing = [
            self._tracker.finish(change, run, retracted=Reason.OVERLAP_FLUSHED)
            for change, run in zip(ends, runs, strict=True)
        ]
        await asyncio.gather(*finishing)
        found = await self._runs.several(tenant_id, [run.id for run in runs])
        return sum(run.error == _FLUSHED for run in found.values())

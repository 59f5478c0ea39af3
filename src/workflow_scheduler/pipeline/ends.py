"""The ends of runs as events: one for `workflow` triggers, one for `event` triggers, and who listens to them."""

from __future__ import annotations

from typing import Any

import msgspec

from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import Run, RunChange, RunStatus
from workflow_scheduler.core.ports.store import Accepted
from workflow_scheduler.core.time.clock import Clock, to_iso
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.intents import decide

_encode = msgspec.json.encode
_END_TYPES = {
    RunStatus.SUCCEEDED: "workflow_completed",
    RunStatus.FAILED: "workflow_failed",
    RunStatus.CANCELLED: "workflow_cancelled",
}


class Ends:
    """Makes the events of ends, and knows for which workflows anybody wants them."""

    def __init__(self, cache: CandidateCache, clock: Clock) -> None:
        """Ask `cache` for listeners."""
        self._cache = cache
        self._clock = clock
        self._known: dict[tuple[str, str], bool] = {}
        self._epoch = -1

    async def heard(self, tenant_id: str, workflow: str) -> bool:
        """Tell whether any trigger is keyed on the ends of this workflow; remembered until the index moves."""
        if self._epoch != self._cache.epoch:
            self._known.clear()
            self._epoch = self._cache.epoch
        key = (tenant_id, workflow)
        known = self._known.get(key)
        if known is None:
            epoch = self._cache.epoch
            known = False
            for event in self._probes(tenant_id, workflow):
                known = known or bool(await self._cache.find(event))
            if epoch == self._cache.epoch:
                self._known[key] = known
        return known

    def _probes(self, tenant_id: str, workflow: str) -> list[Event]:
        shared: dict[str, Any] = {
            "id": "", "tenant_id": tenant_id, "source": "", "type": "", "event_key": "", "time": 0, "received_at": 0
        }  # fmt: skip
        kinds = [Event(provider="event", index_keys=(kind, "*"), **shared) for kind in _END_TYPES.values()]
        return [Event(provider="workflow", index_keys=(workflow,), **shared), *kinds]

    def events(self, change: RunChange, run: Run) -> tuple[Event, Event]:
        """Return the end of a run as two events: one for `workflow` triggers, one for `event` triggers."""
        now = self._clock.now()
        kind = _END_TYPES[change.status]
        data = _encode(
            {
                "workflow_id": run.workflow_id,
                "workflow_name": run.workflow,
                "workflow_version": run.version,
                "run_id": run.id,
                "status": change.status,
                "trigger_type": run.trigger_type,
                "started_at": _iso(change.started_at or run.started_at),
                "ended_at": _iso(change.ended_at),
                "output": msgspec.Raw(change.output or b"null"),
                "error": msgspec.Raw(change.error or b"null"),
            }
        )
        shared: dict[str, Any] = {
            "tenant_id": run.tenant_id,
            "type": kind,
            "subject": run.workflow_id,
            "event_key": f"{run.id}:{change.status}",
            "time": change.ended_at or now,
            "received_at": now,
            "data": data,
            "depth": run.depth + 1,
            "cause_run_id": run.id,
            "traceparent": run.traceparent,
        }
        upstream = Event(
            id=mint(now), provider="workflow", source=f"/workflows/{run.workflow}", index_keys=(run.workflow,), **shared
        )
        internal = Event(id=mint(now), provider="event", source="/system/workflows", index_keys=(kind, "*"), **shared)
        return upstream, internal

    async def decided(self, change: RunChange, run: Run, now: int, owner: str) -> list[Accepted]:
        """Return the events of an end with what is decided about them; none where nobody listens.

        Runs that they start belong to the instance `owner`.
        """
        if not await self.heard(run.tenant_id, run.workflow):
            return []
        return [decide(event, await self._cache.find(event), now, owner) for event in self.events(change, run)]


def _iso(instant: int | None) -> str | None:
    return None if instant is None else to_iso(instant)

"""What the pipeline tells the outside while it works: metrics and the live feed."""

from __future__ import annotations

from collections.abc import Sequence

from workflow_scheduler.core.model.run import FINAL, RunChange
from workflow_scheduler.core.ports.store import Accepted
from workflow_scheduler.core.reasons import Outcome
from workflow_scheduler.core.time.clock import SECOND_US, Clock
from workflow_scheduler.pipeline.live import LiveFeed
from workflow_scheduler.telemetry.metrics import Metrics


class PipelineObserver:
    """Counts accepted events, their decisions and the changes of runs."""

    def __init__(self, metrics: Metrics, live: LiveFeed, clock: Clock) -> None:
        """Add to `metrics` and publish to `live`."""
        self._metrics = metrics
        self._live = live
        self._clock = clock

    def accepted(self, accepted: Sequence[Accepted], now: int) -> None:
        """Count events that were stored and the runs they started."""
        metrics, publish = self._metrics, self._live.publish
        done = self._clock.now()
        for one in accepted:
            event = one.event
            provider = event.provider
            metrics.received(provider)
            for decision in one.decisions:
                if decision.outcome is Outcome.RUN_STARTED:
                    metrics.started(provider, (done - event.received_at) / SECOND_US)
                else:
                    metrics.filtered(provider, decision.outcome)
            runs = [run.id for run in one.runs]
            facts = {"id": event.id, "type": event.type, "source": event.source, "provider": provider, "runs": runs}
            publish("events", event.tenant_id, "event.accepted", facts, now)
            for run in one.runs:
                facts = {"id": run.id, "workflow": run.workflow, "status": run.status, "trigger_type": run.trigger_type}
                publish("runs", run.tenant_id, "run.created", facts, now)

    def duplicate(self, provider: str) -> None:
        """Count an event that had been stored before."""
        self._metrics.duplicate(provider)

    def changed(self, changes: Sequence[RunChange]) -> None:
        """Count runs that ended, and publish every change."""
        now = self._clock.now()
        for change in changes:
            if change.status in FINAL:
                self._metrics.finished(change.status)
            self._live.publish(
                "runs", change.tenant_id, "run.changed", {"id": change.run_id, "status": change.status}, now
            )

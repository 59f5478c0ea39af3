"""The engines, and what they borrow from the process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from workflow_scheduler.app.pipeline import Pipeline
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.engine import Engine
from workflow_scheduler.core.registry import Heard
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines.embedded.desk import Limits
from workflow_scheduler.engines.embedded.driver import EmbeddedEngine
from workflow_scheduler.engines.http import EngineAddress, HttpEngine, engine_client
from workflow_scheduler.jobs.resources import JobResources, ThreadWorkers
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient
from workflow_scheduler.settings import Settings

PROCESSES_PER_PROCESSOR = 4


class Engines(Pipeline):
    """The pipeline with its engines."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Wire the pipeline, then the engines."""
        super().__init__(settings, clock)
        self._wire_engines()

    def _wire_engines(self) -> None:
        settings = self.settings
        self.outbound = HttpClient(EgressGuard(settings.egress_allowed))
        self.workers = ThreadWorkers(settings.scheduler_max_workers)
        limits = Limits(
            processes_max=settings.max_processes or PROCESSES_PER_PROCESSOR * (os.cpu_count() or 1),
            instances_max=settings.max_instances,
        )
        self.embedded = EmbeddedEngine(
            self.jobs, self.tracker, self.clock, limits=limits, signals=self.signals, allow_code=settings.allow_code
        )
        self.embedded.connect(
            resources=JobResources(self.outbound, self.workers, (str(Path.cwd()),)),
            secrets=self.secrets,
            emit=self._emit,
            on_drop=lambda run: self.launcher.ended(run.id),
            leased=self.recovery.lease.valid,
            public_url=f"http://{settings.host}:{settings.port}",
        )
        self.embedded.connect_waiting(call=self.calls.call, withdraw=self.calls.withdraw, on_wait=self.wakes.hint)
        self.wakes.engine = self.embedded
        self.engines: dict[str, Engine] = {"embedded": self.embedded}
        if settings.workflow_engine_url:
            address = EngineAddress(
                base_url=settings.workflow_engine_url,
                start_seconds=settings.engine_start_seconds,
                ask_seconds=settings.engine_ask_seconds,
            )
            self.engines["http"] = HttpEngine(address, engine_client(address), self.vault, self.clock)
        self.launcher.local = self.embedded
        self.dispatcher.lease = self.recovery.lease
        self.launcher.engines = self.engines
        self.dispatcher.engines = {name: engine for name, engine in self.engines.items() if name != "embedded"}

    async def _emit(self, run: Run, _job_id: str, event: Mapping[str, Any], key: str) -> str:
        """Accept an event that a job sends; `key` makes a repeated attempt harmless."""
        kind = str(event["type"])
        heard = Heard(
            source=str(event.get("source") or f"/workflows/{run.workflow}/jobs"),
            type=kind,
            event_key=key,
            data=msgspec.json.encode(event.get("data")),
            subject=event.get("subject"),
            index_keys=(kind, "*"),
            traceparent=run.traceparent,
        )
        accepted = self.inbox.event(
            heard, tenant_id=run.tenant_id, provider="event", depth=run.depth + 1, cause_run_id=run.id
        )
        return (await self.tracker.persist(lambda: self.inbox.accept(accepted))).event_id

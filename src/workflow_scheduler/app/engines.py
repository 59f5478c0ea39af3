"""The engines, and what they borrow from the process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from workflow_scheduler.app.pipeline import Pipeline
from workflow_scheduler.app.providers import providers
from workflow_scheduler.app.temporal import TemporalParts, temporal_parts
from workflow_scheduler.core.model.connection import Connection
from workflow_scheduler.core.model.principal import Principal
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.ports.engine import Engine
from workflow_scheduler.core.registry import Heard
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.engines import calls
from workflow_scheduler.engines.embedded.desk import Limits
from workflow_scheduler.engines.embedded.driver import EmbeddedEngine
from workflow_scheduler.engines.http import EngineAddress, HttpEngine, engine_client
from workflow_scheduler.engines.prefect import PrefectAddress, PrefectEngine
from workflow_scheduler.jobs.resources import JobResources, PatientWorkers, ThreadWorkers
from workflow_scheduler.outbound.dialer import GuardedDialer
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient
from workflow_scheduler.outbound.streams import HttpStreams
from workflow_scheduler.pipeline.sources.hearing import Hearing
from workflow_scheduler.pipeline.sources.lending import Lender
from workflow_scheduler.pipeline.sources.pokes import Pokes
from workflow_scheduler.pipeline.sources.supervisor import Supervisor
from workflow_scheduler.services.connections import ConnectionStore
from workflow_scheduler.services.consent_tokens import ConsentTokens
from workflow_scheduler.services.tenant import TenantSettings
from workflow_scheduler.settings import Settings
from workflow_scheduler.stores.portable.attachments import AttachmentRepository
from workflow_scheduler.stores.portable.connections import ConnectionRepository
from workflow_scheduler.stores.portable.github_installations import InstallationRepository

if TYPE_CHECKING:
    from workflow_scheduler.services.github_app import GitHubApp

PROCESSES_PER_PROCESSOR = 4
SOURCE_THREADS = 256  # started as they are needed: a mailbox holds one as long as it is watched


class Engines(Pipeline):
    """The pipeline with its engines."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Wire the pipeline, then the engines."""
        super().__init__(settings, clock)
        self._wire_engines()

    def _wire_engines(self) -> None:
        settings = self.settings
        guard = EgressGuard(settings.egress_allowed)
        self.outbound = HttpClient(guard)
        self.workers = ThreadWorkers(settings.scheduler_max_workers)
        limits = Limits(
            processes_max=settings.max_processes or PROCESSES_PER_PROCESSOR * (os.cpu_count() or 1),
            instances_max=settings.max_instances,
        )
        self.embedded = EmbeddedEngine(
            self.jobs, self.tracker, self.clock, limits=limits, signals=self.signals, allow_code=settings.allow_code
        )
        self.tenant = TenantSettings(
            self.store, self.clock, allow_code=settings.allow_code, code_tenants=settings.code_tenant_set
        )
        rows, self.providers = ConnectionRepository(self.store), providers(settings)
        tokens = ConsentTokens(rows, self.vault, self.clock, self.providers, self.outbound)
        self.connections = ConnectionStore(rows, self.vault, self.clock, self._probe, tokens)
        dialer = GuardedDialer(guard)
        self.resources = JobResources(
            outbound=self.outbound, workers=self.workers, dialer=dialer, connections=self.connections,
            code_rule=self.tenant, attachments=AttachmentRepository(self.store), python_path=(str(Path.cwd()),),
        )  # fmt: skip
        self._wire_sources(guard, dialer)
        self.embedded.connect(
            resources=self.resources,
            secrets=self.secrets,
            emit=self.emit,
            on_drop=lambda run: self.launcher.ended(run.id),
            leased=self.recovery.lease.valid,
            public_url=settings.own_url,
        )
        self.embedded.connect_waiting(
            call=self.calls.call, ask=self.asking.ask, withdraw=self.withdraw, on_wait=self.wakes.hint, parks=True
        )
        self.embedded.connect_pools(claim=self.pools.ask, give_back=self.pools.give_back)
        self.wakes.engine = self.pools.engine = self.embedded
        self.engines: dict[str, Engine] = {"embedded": self.embedded}
        if settings.workflow_engine_url:
            self.engines["http"] = self._http()
        if settings.prefect_api_url:
            self.engines["prefect"] = self._prefect()
        self.temporal: TemporalParts | None = None
        if settings.temporal_address:
            self.temporal = temporal_parts(self, limits)
            self.engines["temporal"] = self.temporal.engine
        self.launcher.local = self.embedded
        self.dispatcher.lease = self.recovery.lease
        self.launcher.engines = self.engines
        self.dispatcher.engines = {name: engine for name, engine in self.engines.items() if name != "embedded"}

    def _http(self) -> HttpEngine:
        settings = self.settings
        address = EngineAddress(
            base_url=settings.workflow_engine_url,
            start_seconds=settings.engine_start_seconds,
            ask_seconds=settings.engine_ask_seconds,
        )
        return HttpEngine(address, engine_client(address), self.vault, self.clock)

    def _prefect(self) -> PrefectEngine:
        settings = self.settings
        address = PrefectAddress(
            api_url=settings.prefect_api_url,
            api_key=settings.prefect_api_key.get_secret_value() or None,
            auth=settings.prefect_auth.get_secret_value() or None,
            seconds=settings.engine_ask_seconds,
        )
        client = calls.engine_client(address.api_url)
        return PrefectEngine(address, client, self.clock, settings.own_url)

    def _wire_sources(self, guard: EgressGuard, dialer: GuardedDialer) -> None:
        self.streams = HttpStreams(guard)
        self.source_workers = PatientWorkers(SOURCE_THREADS)
        lender = Lender(
            self.outbound, self.streams, dialer, self.connections, self.secrets, self.source_workers, self.tenant,
            self.clock, self.settings.own_url, self.settings.pubsub_emulator,
        )  # fmt: skip
        hearing = Hearing(self.store, self.inbox, self.clock)
        self.supervisor = Supervisor(
            self.store, self.catalog, self.cache, hearing, lender, self.owner, self.clock, self.signals
        )
        self.store.on_epoch(lambda _: self.supervisor.moved())
        self.push.lend = lender.lend_once
        self.github_app = self._github_app()
        if self.github_app is not None:
            self.push.app = self.github_app
            lender.github_app = self.github_app.access
        self.pokes = Pokes(self.store, self.types, self.clock, self.supervisor.wake)

    def _github_app(self) -> GitHubApp | None:
        """Return the GitHub App, where one is set; its library is loaded only then."""
        settings = self.settings
        if not settings.has_github_app:
            return None
        from workflow_scheduler.outbound.github_app import AppKey, GitHubAppClient
        from workflow_scheduler.services.github_app import GitHubApp

        key = AppKey(settings.github_app_id, settings.github_app_private_key.get_secret_value())
        client = GitHubAppClient(key, settings.github_api_url, self.outbound, self.clock)
        secret = settings.github_webhook_secret.get_secret_value()
        return GitHubApp(client, InstallationRepository(self.store), self.connections, self.clock, secret)

    async def _probe(self, principal: Principal, connection: Connection) -> str:
        """Try a connection; the libraries that this needs are loaded here."""
        from workflow_scheduler.jobs.probes import probe

        return await probe(principal.tenant_id, connection, self.resources, self.clock.now())

    async def withdraw(self, run: Run, job_id: str, name: str) -> None:
        """Say that a job does not wait any more, to whoever answers to the name."""
        await self.calls.withdraw(run, job_id, name)
        await self.asking.withdraw(run, name)

    async def emit(self, run: Run, _job_id: str, event: Mapping[str, Any], key: str) -> str:
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

"""The composition root: the only place that wires concrete parts together.

`Application` owns everything that lives as long as the service: the store, the pipeline's loops, the engines, and the
services that the API offers. `start` returns when the service is ready: schema checked, this instance registered, and
its loops running.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from workflow_scheduler.api import application
from workflow_scheduler.api.context import ApiContext
from workflow_scheduler.api.security import Authenticator
from workflow_scheduler.core.dag.graph import Graph, compile_graph
from workflow_scheduler.core.definition.check import Rules
from workflow_scheduler.core.errors import SchedulerError, ValidationFailed
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.ports.engine import Engine
from workflow_scheduler.core.registry import Heard, discover
from workflow_scheduler.core.time.clock import Clock, SystemClock
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.engines.embedded.desk import Limits
from workflow_scheduler.engines.embedded.driver import EmbeddedEngine
from workflow_scheduler.engines.http import EngineAddress, HttpEngine, engine_client
from workflow_scheduler.jobs.resources import JobResources, ThreadWorkers
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.dispatch import Dispatcher
from workflow_scheduler.pipeline.graphs import GraphCache
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.pipeline.inspection import Inspection
from workflow_scheduler.pipeline.launcher import Launcher
from workflow_scheduler.pipeline.live import LiveFeed
from workflow_scheduler.pipeline.matcher import Matcher
from workflow_scheduler.pipeline.observer import PipelineObserver
from workflow_scheduler.pipeline.recovery import Recovery
from workflow_scheduler.pipeline.redrive import Redrive
from workflow_scheduler.pipeline.retention import Ages, Retention
from workflow_scheduler.pipeline.sources.manual import ManualSource
from workflow_scheduler.pipeline.sources.push import PushSource
from workflow_scheduler.pipeline.sources.timer import Timer
from workflow_scheduler.pipeline.tracker import Tracker
from workflow_scheduler.services.dead_letters import DeadLetters
from workflow_scheduler.services.definitions import Definitions
from workflow_scheduler.services.deployments import Deployments
from workflow_scheduler.services.events import Events
from workflow_scheduler.services.explain import Explain
from workflow_scheduler.services.keys import Keys
from workflow_scheduler.services.replay import Replay
from workflow_scheduler.services.runs import Runs
from workflow_scheduler.services.schedules import Schedules
from workflow_scheduler.services.secrets import SecretStore
from workflow_scheduler.services.triggers import Triggers
from workflow_scheduler.services.workflows import Workflows
from workflow_scheduler.settings import Settings
from workflow_scheduler.stores.portable.catalog import StoreCatalog
from workflow_scheduler.stores.portable.health import queue_health
from workflow_scheduler.stores.portable.inspection import Inspector
from workflow_scheduler.stores.portable.keys import KeyRepository
from workflow_scheduler.stores.portable.quarantine import QuarantineRepository
from workflow_scheduler.stores.portable.secrets import SecretRepository
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.stores.vault import open_vault
from workflow_scheduler.telemetry.failpoints import signals_from
from workflow_scheduler.telemetry.metrics import Metrics
from workflow_scheduler.telemetry.tracing import connect

if TYPE_CHECKING:
    from workflow_scheduler.api.tokens import TokenVerifier
    from workflow_scheduler.stores.postgres.store import PostgresStore

log = structlog.get_logger("workflow_scheduler")
HEALTH_SECONDS = 5.0
DRAIN_SECONDS = 10.0
PROCESSES_PER_PROCESSOR = 4
PRIVATE = 0o700  # of folders that are made here: they hold the database and the key file


def trigger_types() -> dict[str, ModuleType]:
    """Return the installed trigger types by name."""
    return discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")


def job_types() -> dict[str, ModuleType]:
    """Return the installed job types by name."""
    return discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


def open_store(settings: Settings, clock: Clock) -> SqliteStore | PostgresStore:
    """Return the store that DATABASE_URL names.

    Raises:
        ValidationFailed: the URL is of another kind.

    """
    url = settings.database
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        path = Path(rest.removeprefix("/")) if rest.startswith("/") else Path(rest)
        path.parent.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        return SqliteStore(path, clock)
    if scheme in ("postgresql", "postgres"):
        from workflow_scheduler.stores.postgres.store import PostgresStore  # its driver loads where it is used

        return PostgresStore(url, clock)
    raise ValidationFailed(
        f"`{scheme}` is no database this program can use.",
        fix="Set DATABASE_URL to sqlite:///FILE or postgresql://USER@HOST/NAME.",
    )


def _token_verifier(settings: Settings, outbound: HttpClient) -> TokenVerifier:
    """Return the verifier of tokens; its library is loaded only where tokens are accepted."""
    from workflow_scheduler.api.tokens import TokenVerifier

    return TokenVerifier(settings, outbound)


class Application:
    """One running instance of the service."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Wire everything; nothing is opened before `start`."""
        self.settings = settings
        self.clock = clock or SystemClock()
        self.owner = mint(self.clock.now())
        self.signals = signals_from(dict(os.environ))
        self.store = open_store(settings, self.clock)
        self.types = trigger_types()
        self.jobs = job_types()
        settings.data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        self.vault = open_vault(settings.data / "keys.json")
        self.metrics = Metrics()
        self.live = LiveFeed(self.clock.now() // 1000)
        self._tasks: list[asyncio.Task[None]] = []
        self._wire_pipeline()
        self._wire_engines()
        self.context = self._wire_services()

    def _wire_pipeline(self) -> None:
        store, clock, owner = self.store, self.clock, self.owner
        shared = {"GITHUB_WEBHOOK_SECRET": self.settings.github_webhook_secret.get_secret_value()}
        self.secrets = SecretStore(SecretRepository(store), self.vault, clock, shared)
        self.catalog = StoreCatalog(store)
        self.cache = CandidateCache(self.catalog, store, self.types)
        self.matcher = Matcher(self.cache)
        observer = PipelineObserver(self.metrics, self.live, clock)
        self.inbox = Inbox(store, self.cache, clock, owner, observer, self.signals)
        self.graphs = GraphCache(self.catalog, self._compile)
        self.tracker = Tracker(self.inbox, self.cache, store, clock)
        self.launcher = Launcher(self.graphs, self.tracker, store, clock, owner)
        self.dispatcher = Dispatcher(store, self.graphs, self.tracker, clock, owner, self.signals)
        self.recovery = Recovery(store, self.launcher, self.tracker, clock, owner, self.signals)
        self.recovery.lease_seconds = float(self.settings.lock_timeout)
        self.inspection = Inspection(Inspector(store), QuarantineRepository(store), self.cache, self.graphs, clock)
        self.redrive = Redrive(store, self.recovery, clock, owner)
        self.timer = Timer(store, self.catalog, self.cache, self.inbox, clock, self.signals)
        self.push = PushSource(self.catalog, self.cache, self.inbox, self.secrets, self.types)
        self.manual = ManualSource(self.catalog, store, self.cache, self.inbox, clock, self.vault)
        self.inbox.launches = self.launcher
        self.tracker.on_end = self.launcher.ended
        self.launcher.dispatcher = self.dispatcher
        store.on_epoch(self.cache.moved)
        store.on_epoch(lambda _: self.timer.wake())

    def _compile(self, definition: Definition) -> Graph:
        # Another engine knows job types of its own: only the shape of the graph is checked here.
        return compile_graph(definition, self.jobs if definition.engine == "embedded" else None)

    def _wire_engines(self) -> None:
        settings = self.settings
        self.outbound = HttpClient(EgressGuard(settings.egress_allowed))
        self.workers = ThreadWorkers(settings.scheduler_max_workers)
        limits = Limits(processes_max=settings.max_processes or PROCESSES_PER_PROCESSOR * (os.cpu_count() or 1))
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

    def _wire_services(self) -> ApiContext:
        store, clock, settings = self.store, self.clock, self.settings
        rules = Rules(allow_code=settings.allow_code, timezone=settings.scheduler_timezone, engines=tuple(self.engines))
        keys = Keys(KeyRepository(store), clock)
        tokens = _token_verifier(settings, self.outbound) if settings.jwt_configured else None
        self.authenticator = Authenticator(settings, keys, clock, tokens)
        keys.on_create, keys.on_revoke = self.authenticator.key_created, self.authenticator.key_revoked
        definitions = Definitions(self.types, self.jobs, clock, rules)
        deployments = Deployments(store, clock, definitions, self.secrets)
        workflows = Workflows(store, clock, definitions, deployments)
        triggers = Triggers(store, clock, definitions, workflows, deployments, self.matcher)
        explain = Explain(store, clock, self.catalog, self.matcher, self.types)
        return ApiContext(
            settings=settings, clock=clock, store=store, metrics=self.metrics, authenticator=self.authenticator,
            inbox=self.inbox, push=self.push, manual=self.manual, matcher=self.matcher, tracker=self.tracker,
            launcher=self.launcher, redrive=self.redrive, live=self.live, workflows=workflows, deployments=deployments,
            triggers=triggers, schedules=Schedules(store, clock, self.types, triggers, self.inbox, self.timer.wake),
            runs=Runs(store, clock, self.launcher, self.tracker, explain), events=Events(store, clock),
            explain=explain, dead_letters=DeadLetters(store, clock, self.redrive),
            replay=Replay(store, clock, self.inbox, self.manual, self.matcher, self.catalog),
            secrets=self.secrets, keys=keys, trigger_types=self.types, job_types=self.jobs,
            tracer=connect(settings.otel_endpoint, "workflow_scheduler", settings.environment),
        )  # fmt: skip

    def asgi(self) -> application.Asgi:
        """Return the HTTP application."""
        return application.create(self.context)

    async def start(self) -> str | None:
        """Open the store, take part in the work, and return the sentence to show about open access, if any.

        Raises:
            StoreUnavailable: the database cannot be opened.
            ValidationFailed: the address to listen on is not safe without authentication.

        """
        await self.store.open()
        try:
            sentence = await self.authenticator.start()
            await self.cache.refresh()
            await self.recovery.begin(
                alone=self.store.dialect == "sqlite",
                tzdata=tzdata_version(),
                version=importlib.metadata.version("workflow-scheduler"),
                roles=self.settings.roles,
            )
            await self.context.deployments.recover(alone=self.store.dialect == "sqlite")
        except BaseException:
            await self.store.close()
            raise
        self._begin_loops()
        return sentence

    def _begin_loops(self) -> None:
        settings, roles = self.settings, self.settings.role_set
        ages = Ages.of_days(
            events=settings.retention_events_days, runs=settings.retention_runs_days, logs=settings.retention_logs_days
        )
        self._begin("recovery", self.recovery.heartbeat())
        self._begin("suspects", self.recovery.suspects())
        self._begin("inspection", self.inspection.run())
        self._begin("health", self._watch_health())
        self._begin("retention", Retention(self.store, self.clock, ages).loop())
        self._begin("pauses", self.context.workflows.watch_pauses())
        if "timer" in roles:
            self._begin("timer", self.timer.loop())
        if "dispatch" in roles:
            self._begin("dispatch", self.dispatcher.loop())

    def _begin(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(self._guard(name, loop), name=name))

    async def _guard(self, name: str, loop: Coroutine[Any, Any, None]) -> None:
        """Run a loop; a loop that ends by a fault takes the process down, so that a supervisor restarts it whole."""
        try:
            await loop
        except Exception as error:
            log.critical("loop.failed", loop=name, error=repr(error), exc_info=True)
            os.kill(os.getpid(), 15)

    async def _watch_health(self) -> None:
        while True:
            try:
                self.metrics.health((await queue_health(self.store, self.clock.now())).gauges())
            except SchedulerError as error:
                log.warning("health.unavailable", error=error.detail)
            await self.clock.sleep(HEALTH_SECONDS)

    async def stop(self) -> None:
        """Stop the loops, let what was accepted reach the disk, and give the lease back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for engine in self.engines.values():
            await engine.close()
        try:
            await asyncio.wait_for(self.inbox.drain(), DRAIN_SECONDS)
            await self.recovery.end()
        except (TimeoutError, SchedulerError) as error:
            log.warning("stop.incomplete", error=repr(error))
        self.workers.close()
        await self.outbound.close()
        await self.store.close()

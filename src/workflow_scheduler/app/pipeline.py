"""The parts of the data plane, from the store to the launcher."""

from __future__ import annotations

import asyncio
import os
from types import ModuleType
from typing import TYPE_CHECKING

from workflow_scheduler.app.plugins import job_types, open_store, trigger_types
from workflow_scheduler.core.dag.graph import Graph, compile_graph
from workflow_scheduler.core.definition.check import OURS
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.time.clock import Clock, SharedClock, SystemClock
from workflow_scheduler.pipeline.answering import Answering
from workflow_scheduler.pipeline.asking import Asking
from workflow_scheduler.pipeline.calls import Calls
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.dispatch import Dispatcher
from workflow_scheduler.pipeline.graphs import GraphCache
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.pipeline.inspection import Inspection
from workflow_scheduler.pipeline.launcher import Launcher
from workflow_scheduler.pipeline.live import LiveFeed
from workflow_scheduler.pipeline.matcher import Matcher
from workflow_scheduler.pipeline.observer import PipelineObserver
from workflow_scheduler.pipeline.pools import Pools
from workflow_scheduler.pipeline.recovery import Recovery
from workflow_scheduler.pipeline.redrive import Redrive
from workflow_scheduler.pipeline.sources.backfill import BackfillSource
from workflow_scheduler.pipeline.sources.expiring import Expiring
from workflow_scheduler.pipeline.sources.internal import InternalSource
from workflow_scheduler.pipeline.sources.manual import ManualSource
from workflow_scheduler.pipeline.sources.missed import Misses
from workflow_scheduler.pipeline.sources.push import PushSource
from workflow_scheduler.pipeline.sources.rerun import RerunSource
from workflow_scheduler.pipeline.sources.shaped import Shaped
from workflow_scheduler.pipeline.sources.timer import Timer
from workflow_scheduler.pipeline.tracker import Tracker
from workflow_scheduler.pipeline.wakes import Wakes
from workflow_scheduler.services.secrets import SecretStore
from workflow_scheduler.settings import Settings
from workflow_scheduler.stores.portable.catalog import StoreCatalog
from workflow_scheduler.stores.portable.inspection import Inspector
from workflow_scheduler.stores.portable.quarantine import QuarantineRepository
from workflow_scheduler.stores.portable.refusals import Refusals
from workflow_scheduler.stores.portable.replays import ReplayGuard
from workflow_scheduler.stores.portable.secrets import SecretRepository
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.stores.vault import open_vault
from workflow_scheduler.telemetry.failpoints import signals_from
from workflow_scheduler.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from workflow_scheduler.stores.postgres.store import PostgresStore

PRIVATE = 0o700  # of folders that are made here: they hold the database and the key file


class Pipeline:
    """What an instance hears, decides and starts with. Nothing is opened here."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Wire everything; nothing is opened before `start`."""
        self.settings = settings
        self.clock = clock or SharedClock(SystemClock())
        self.owner = mint(self.clock.now())
        self.signals = signals_from(dict(os.environ))
        self.store = self.open_store()
        self.types = trigger_types()
        self.jobs = self.load_jobs()
        settings.data.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
        self.vault = open_vault(settings.data / "keys.json")
        self.metrics = Metrics()
        self.live = LiveFeed(self.clock.now() // 1000)
        self._tasks: list[asyncio.Task[None]] = []
        self._wire_pipeline()

    def open_store(self) -> SqliteStore | PostgresStore:
        """Return the store of this instance; the test kit has one that it can watch."""
        return open_store(self.settings, self.clock)

    def load_jobs(self) -> dict[str, ModuleType]:
        """Return the job types of this instance; the test kit answers for some of them."""
        return job_types()

    def _wire_pipeline(self) -> None:
        store, clock, owner = self.store, self.clock, self.owner
        settings = self.settings
        shared = {
            "GITHUB_WEBHOOK_SECRET": settings.github_webhook_secret.get_secret_value(),
            "SLACK_SIGNING_SECRET": settings.slack_signing_secret.get_secret_value(),
            "SLACK_BOT_TOKEN": settings.slack_bot_token.get_secret_value(),
        }
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
        self.backfill = BackfillSource(self.catalog, self.cache, self.inbox, clock, self.signals)
        self.reruns = RerunSource(self.inbox, self.recovery, self.vault)
        self.internal = InternalSource(store, self.inbox, clock)
        self.misses = Misses(store, self.cache, self.inbox, clock, self.internal.hint)
        self.expiring = Expiring(store, clock, self.internal.hint)
        self.shaped = Shaped(store, self.cache, self.inbox, clock)
        self.push = PushSource(self.catalog, self.cache, self.inbox, self.secrets, self.types)
        self.push.guard = ReplayGuard(self.store)
        self.push.remarks = Refusals(self.store)
        self.manual = ManualSource(self.catalog, store, self.cache, self.inbox, clock, self.vault)
        self.calls = Calls(self.manual, self.launcher, store, self.tracker)
        self.wakes = Wakes(store, clock, owner, self.recovery)
        self.pools = Pools(store, clock, owner)
        self.asking = Asking(store, self.tracker, clock, self.vault, self.signals)
        self.dispatcher.elsewhere.asking = self.asking
        self.asking.public_url = settings.own_url
        self.inbox.transactions.answering = Answering(self.vault)
        self.inbox.on_woken = self.wakes.hint
        self.inbox.launches = self.launcher
        self.tracker.on_wake = self.launcher.on_parked = self.wakes.hint
        self.inbox.turns = self.recovery
        self.tracker.on_end = self.launcher.ended
        self.launcher.dispatcher = self.dispatcher
        if hasattr(store, "on_fact"):  # others hear of facts by looking once a second
            store.on_fact(self.internal.hint)
        store.on_epoch(self.cache.moved)
        store.on_epoch(lambda _: self.timer.wake())

    def _compile(self, definition: Definition) -> Graph:
        # Another engine knows job types of its own: only the shape of the graph is checked here.
        return compile_graph(definition, self.jobs if definition.engine in OURS else None)

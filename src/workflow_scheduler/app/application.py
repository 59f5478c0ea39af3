"""The life of one instance: start, loops, stop."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
from collections.abc import Coroutine
from typing import Any

import structlog

from workflow_scheduler.api import application
from workflow_scheduler.app.services import Services
from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.time.clock import SECOND_US, SharedClock
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.jobs.leftovers import end_leftovers
from workflow_scheduler.pipeline.retention import Ages, Retention
from workflow_scheduler.pipeline.shared_time import SharedTime
from workflow_scheduler.services.retiming import Retiming
from workflow_scheduler.stores.portable.health import queue_health
from workflow_scheduler.stores.portable.sources import figures
from workflow_scheduler.ui.site import site

log = structlog.get_logger("workflow_scheduler")
HEALTH_SECONDS = 5.0
DRAIN_SECONDS = 10.0


class Application(Services):
    """One running instance of the service."""

    shared_time: SharedTime | None = None

    def asgi(self) -> application.Asgi:
        """Return the HTTP application."""
        return application.create(self.context, site)

    async def start(self) -> str | None:
        """Open the store, take part in the work, and return the sentence to show about open access, if any.

        Raises:
            StoreUnavailable: the database cannot be opened.
            ValidationFailed: the address to listen on is not safe without authentication.

        """
        if self.settings.allow_code:
            end_leftovers()
        await self.store.open()
        try:
            await self._share_time()
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
        self.timer.retimes = self.retiming = Retiming(self.store, self.clock, self.types)
        self._begin_loops()
        return sentence

    async def _share_time(self) -> None:
        """Go by the clock of the database where several instances may share it; a given clock is left alone."""
        if self.store.dialect == "postgres" and isinstance(self.clock, SharedClock):
            self.shared_time = SharedTime(self.store, self.clock)
            await self.shared_time.measure()

    def _begin_loops(self) -> None:
        settings, roles = self.settings, self.settings.role_set
        ages = Ages.of_days(
            events=settings.retention_events_days,
            runs=settings.retention_runs_days,
            logs=settings.retention_logs_days,
            audit=settings.retention_audit_days,
        )
        if self.shared_time is not None:
            self._begin("shared time", self.shared_time.watch())
        self._begin("recovery", self.recovery.heartbeat())
        self._begin("wakes", self.wakes.loop())
        self._begin("pools", self.pools.loop())
        self._begin("suspects", self.recovery.suspects())
        self._begin("inspection", self.inspection.run())
        self._begin("health", self._watch_health())
        self._begin("retention", Retention(self.store, self.clock, ages).loop())
        self._begin("pauses", self.context.workflows.watch_pauses())
        self.backfilling.works = "timer" in roles
        self._begin("backfills", self.backfilling.loop())
        self._begin("retiming", self.retiming.watch())
        self._begin("calendars", self.context.calendars.watch())
        if "sources" in roles:
            self._begin("internal", self.internal.loop())
            self._begin("expiring", self.expiring.loop())
            self._begin("sources", self.supervisor.loop())
        if "timer" in roles:
            self._begin("timer", self.timer.loop())
            self._begin("waits", self.asking.loop())
            self._begin("missed", self.misses.loop())
            self._begin("shaped", self.shaped.loop())
        if "dispatch" in roles:
            self._begin("dispatch", self.dispatcher.loop())
        if self.temporal is not None:
            self._begin("temporal wakes", self.temporal.wakes.loop())
            if "engine" in roles:
                self._begin("temporal worker", self.temporal.worker.loop())

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
                now = self.clock.now()
                self.metrics.health((await queue_health(self.store, now)).gauges())
                self.metrics.sources(
                    (kind, status, count, lag, None if since is None else (now - since) / SECOND_US)
                    for kind, status, count, lag, since in await figures(self.store)
                )
            except SchedulerError as error:
                log.warning("health.unavailable", error=error.detail)
            await self.clock.sleep(HEALTH_SECONDS)

    async def stop(self) -> None:
        """Stop the loops, let what was accepted reach the disk, and give the lease back."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.wakes.close()
        for engine in self.engines.values():
            await engine.close()
        try:
            await asyncio.wait_for(self.inbox.drain(), DRAIN_SECONDS)
            await self.recovery.end()
        except (TimeoutError, SchedulerError) as error:
            log.warning("stop.incomplete", error=repr(error))
        self.workers.close()
        self.source_workers.close()
        await self.outbound.close()
        await self.streams.close()
        await self.store.close()

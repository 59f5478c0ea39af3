"""The inspection after the start: every stored row that the work depends on is read once, and the broken ones listed.

Nothing waits for it: whoever meets a broken row before the inspection does puts it into quarantine as well. It works in
small pages and rests many times longer than it works, so that a million triggers are looked at without being felt: the
first few thousand rows of a table soon, the others over hours.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import structlog

from workflow_scheduler.core.errors import SchedulerError
from workflow_scheduler.core.time.clock import Clock
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.graphs import GraphCache
from workflow_scheduler.stores.portable.inspection import PAGE_ROWS, RUNS_MAX, Finding, Inspector, Looked, Place
from workflow_scheduler.stores.portable.quarantine import QuarantineRepository

REST_FACTOR = 20.0
LONG_REST_FACTOR = 1000.0
PAGES_SOON = 200
REST_SECONDS_MIN = 0.001
_RETRY_SECONDS = 5.0
_log = structlog.get_logger("workflow_scheduler")


class Inspection:
    """Looks at triggers, schedules, live versions, open waits and runs, once."""

    def __init__(
        self,
        inspector: Inspector,
        quarantine: QuarantineRepository,
        cache: CandidateCache,
        graphs: GraphCache,
        clock: Clock,
    ) -> None:
        """Read through `inspector`; compile with `cache` and `graphs`."""
        self._inspector = inspector
        self._quarantine = quarantine
        self._cache = cache
        self._graphs = graphs
        self._clock = clock
        self._listed: set[tuple[str, str, str]] = set()
        self.found = 0

    async def run(self) -> None:
        """Look at everything; a database that is away is waited for."""
        look = self._inspector
        await asyncio.gather(
            self._walk(look.schedules),
            self._walk(look.triggers),
            self._walk(look.versions),
            self._walk(look.waits),
            self._walk(look.runs, RUNS_MAX),
        )
        if self.found:
            _log.warning("inspection.found", rows=self.found, hint="GET /api/v1/quarantine lists them")

    async def _walk(self, read: Callable[[Place | None], Awaitable[Looked]], rows_max: int = 1 << 62) -> None:
        """Look at one table, page after page."""
        place: Place | None = None
        pages = 0
        while True:
            began = self._clock.monotonic()
            try:
                if pages == 0:
                    self._listed |= await self._inspector.listed()
                looked = await read(place)
                await self._settle(looked)
            except SchedulerError as error:
                _log.warning("inspection.interrupted", error=error.detail)
                await self._clock.sleep(_RETRY_SECONDS)
                continue
            place, pages = looked.next, pages + 1
            if place is None or pages * PAGE_ROWS >= rows_max:
                return
            worked = self._clock.monotonic() - began
            factor = REST_FACTOR if pages < PAGES_SOON else LONG_REST_FACTOR
            await self._clock.sleep(max(REST_SECONDS_MIN, worked * factor))

    async def _settle(self, looked: Looked) -> None:
        findings = [*looked.findings, *self._broken_triggers(looked), *await self._broken_versions(looked.versions)]
        if findings:
            await self._quarantine.add(findings, self._clock.now())
        self.found += len(findings)
        bad = {(finding.tenant_id, finding.kind, finding.id) for finding in findings}
        seen = [(one.tenant_id, "trigger_index", one.id) for one in looked.triggers]
        seen += [(tenant_id, "workflows", workflow_id) for tenant_id, workflow_id, _ in looked.versions]
        for key in seen:
            if key in self._listed and key not in bad:
                await self._quarantine.release(*key)

    def _broken_triggers(self, looked: Looked) -> list[Finding]:
        found = []
        for trigger in looked.triggers:
            error = self._cache.compile(trigger).error
            if error is not None:
                found.append(Finding(trigger.tenant_id, "trigger_index", trigger.id, error))
        return found

    async def _broken_versions(self, versions: Sequence[tuple[str, str, int]]) -> list[Finding]:
        found = []
        for tenant_id, workflow_id, version in versions:
            try:
                await self._graphs.read(tenant_id, workflow_id, version)
            except SchedulerError as error:
                found.append(Finding(tenant_id, "workflows", workflow_id, error.detail))
        return found

"""Who hears what: takes free sources that are due, runs their loops, and watches over them.

No list of triggers is kept. A source is taken through its row, by one instance at a time; deployments and switches wake
the rows they concern. What an instance holds is freed when it stops, or by the others once its lease has run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Protocol

import structlog

from workflow_scheduler.core.errors import LeaseLost, Rejected, SchedulerError, StoreUnavailable
from workflow_scheduler.core.model.trigger import Trigger
from workflow_scheduler.core.ports.catalog import Catalog
from workflow_scheduler.core.ports.store import SourceId, Store, Work
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.clock import MINUTE_US, SECOND_US, Clock
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.sources.attempts import went_wrong
from workflow_scheduler.pipeline.sources.ending import end
from workflow_scheduler.pipeline.sources.hearing import Hearing, Held
from workflow_scheduler.pipeline.sources.lending import Lender, Pulse
from workflow_scheduler.pipeline.sources.poll import Poller
from workflow_scheduler.pipeline.sources.stream import STABLE_SECONDS, Listener
from workflow_scheduler.stores.portable import sources
from workflow_scheduler.stores.portable.sources import Facts, Report, SourceRow

POLLS_MAX = 200
STREAMS_MAX = 2_000
CLAIMS_MAX = 100
LOOK_SECONDS = 1.0
LOOK_SECONDS_MIN = 0.001
ORPHANS_SECONDS = 2.0
CHECK_SECONDS = 5.0
NOTE_SECONDS = 10.0
KEPT_MAX = 10_000
DOWN_US = MINUTE_US

_log = structlog.get_logger(__name__)


class Loop(Protocol):
    """Hears one source, until there is something to report."""

    async def run(self, held: Held, pulse: Pulse) -> Report:
        """Return how it went; raises LeaseLost where others hold the source now."""
        ...


class _Running:
    """A source that is being heard."""

    def __init__(self, row: SourceRow, pulse: Pulse) -> None:
        self.row = row
        self.pulse = pulse
        self.task: asyncio.Task[None] | None = None
        self.trigger: Trigger | None = None
        self.revision = row.revision
        self.noted_at: float | None = None

    def same(self, trigger: Trigger | None) -> bool:
        """Return whether it is heard as `trigger` wants it."""
        mine = self.trigger
        return mine is not None and trigger is not None and mine.config == trigger.config


class Supervisor:
    """The loop over sources."""

    def __init__(  # noqa: PLR0913, PLR0917 -- the parts of the pipeline
        self, store: Store, catalog: Catalog, cache: CandidateCache, hearing: Hearing, lender: Lender, owner: str,
        clock: Clock, signals: Signals,
    ) -> None:  # fmt: skip
        """Take sources for the instance `owner`; read their triggers through `catalog`, compile with `cache`."""
        self._store = store
        self._catalog = catalog
        self._cache = cache
        self._clock = clock
        self._signals = signals
        self._owner = owner
        self._loops: dict[str, Loop] = {
            "poll": Poller(lender, hearing, clock),
            "stream": Listener(lender, hearing, clock),
        }
        self._slots = {"poll": POLLS_MAX, "stream": STREAMS_MAX}
        self._running: dict[SourceId, _Running] = {}
        self._kept: dict[SourceId, tuple[Any, dict[str, Any]]] = {}
        self._wake = asyncio.Event()
        self._moved = True
        self._checked_at = self._freed_at = float("-inf")
        self._idle_looks = 0
        self.down_us = DOWN_US

    @property
    def running(self) -> int:
        """How many sources are being heard by this instance."""
        return len(self._running)

    def moved(self) -> None:
        """Look at once: triggers have changed."""
        self._moved = True
        self._wake.set()

    def wake(self) -> None:
        """Look at once."""
        self._wake.set()

    async def loop(self) -> None:
        """Hear what is to be heard, for ever; when it is cancelled everything is let go."""
        try:
            while True:
                self._wake.clear()
                try:
                    wait = 0.0 if await self.tick() else await self._until_next()
                except StoreUnavailable:
                    wait = LOOK_SECONDS
                await self._pause(max(wait, LOOK_SECONDS_MIN))
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop hearing, and free everything for others."""
        await self._stop(list(self._running.values()))
        with suppress(SchedulerError):
            await self._store.transact(sources.free(self._owner, self._clock.now()))

    async def tick(self) -> bool:
        """Look after what is held, and take what is due; return whether there may be more to take at once."""
        moment = self._clock.monotonic()
        if moment - self._freed_at >= ORPHANS_SECONDS:
            self._freed_at = moment
            for owner in await sources.abandoned(self._store, self._clock.now()):
                await self._store.transact(sources.free(owner, self._clock.now()))
        if self._moved or moment - self._checked_at >= CHECK_SECONDS:
            self._moved, self._checked_at = False, moment
            await self._check()
        await self._note(moment)
        taken = [await self._take(shape) for shape in self._loops]
        return any(taken)

    async def _take(self, shape: str) -> bool:
        """Claim what is due of a shape, as far as there is room; return whether a whole portion was claimed."""
        busy = sum(1 for one in self._running.values() if one.row.shape == shape)
        room = min(CLAIMS_MAX, self._slots[shape] - busy)
        if room <= 0:
            return False
        now = self._clock.now()
        rows = [row for row in await sources.due(self._store, shape, now, room) if row.id not in self._running]
        claimed = await asyncio.gather(
            *(self._store.transact(sources.claim(row, self._owner, now)) for row in rows), return_exceptions=True
        )
        for row in claimed:
            if isinstance(row, SourceRow):
                self._begin(row)
        for row in claimed:
            if isinstance(row, BaseException):
                raise row
        return len(rows) == room

    def _begin(self, row: SourceRow) -> None:
        running = _Running(row, Pulse(self._clock))
        running.pulse.on_connect = self._wake.set if row.shape == "stream" else None
        self._running[row.id] = running
        self._signals.emit("source.claim.after", source=row.id)
        running.task = asyncio.get_running_loop().create_task(self._attend(running), name=f"source {row.type}")

    async def _attend(self, running: _Running) -> None:
        """Hear a source once, and report how it went."""
        row = running.row
        try:
            work = await self._heard(running)
            if work is not None:
                await self._store.transact(work)
        except StoreUnavailable:
            _log.warning("source.unreported", type=row.type, source=row.key)  # `_check` finds and frees it
        except Exception as error:  # noqa: BLE001 -- one source must not end the loop over all; `_check` frees it
            _log.critical("source.failed", type=row.type, source=row.key, exc_info=error)
        finally:
            if self._running.get(row.id) is running:
                del self._running[row.id]
        self._wake.set()

    async def _heard(self, running: _Running) -> Work[Any] | None:
        row = running.row
        trigger = running.trigger = await self._catalog.of_source(*row.id)
        if trigger is None:
            self._kept.pop(row.id, None)
            return sources.park(row, self._clock.now())
        compiled = self._cache.compile(trigger)
        if compiled.error is not None:
            error = Rejected(compiled.error, fix="Deploy the workflow again.")
            report = went_wrong(row, error, running.pulse, self._clock, row.failures)
            return sources.settle(row, report, self.down_us)
        held = Held(row, trigger, compiled.module, compiled.config, self._keep(row.id, trigger.config))
        try:
            report = await self._loops[row.shape].run(held, running.pulse)
        except LeaseLost:
            _log.info("source.lost", type=row.type, source=row.key)
            return None
        if report.error is not None:
            _log.warning("source.down", type=row.type, source=row.key, status=report.status, error=report.error)
        self._signals.emit("source.settle.before", source=row.id)
        return sources.settle(row, report, self.down_us)

    def _keep(self, source: SourceId, config: Any) -> dict[str, Any]:
        """Return what the type keeps between polls; nothing of it outlives a change of the configuration."""
        known = self._kept.get(source)
        if known is not None and known[0] == config:
            return known[1]
        if len(self._kept) >= KEPT_MAX:
            self._kept.pop(next(iter(self._kept)))
        self._kept[source] = (config, {})
        return self._kept[source][1]

    async def _check(self) -> None:
        """Compare what runs here with the rows: stop what others hold or nobody needs, free what is not running."""
        held = await sources.held(self._store, self._owner)
        stop: list[_Running] = []
        for running in list(self._running.values()):
            fence, revision = held.get(running.row.id, (-1, -1))
            if fence != running.row.fence:
                stop.append(running)
            elif revision != running.revision and running.row.shape == "stream":
                trigger = await self._catalog.of_source(*running.row.id)
                if running.same(trigger):
                    running.revision = revision
                else:
                    stop.append(running)
        await self._stop(stop)
        idle = [source for source in held if source not in self._running]
        for tenant, kind, key in idle:
            row = SourceRow(tenant_id=tenant, type=kind, key=key, shape="", fence=held[tenant, kind, key][0])
            await self._let_go(row)

    async def _let_go(self, row: SourceRow) -> None:
        now = self._clock.now()
        report = Report(status=sources.NEW, next_at=now, at=now, revision=row.revision)
        await self._store.transact(sources.settle(row, report, self.down_us))

    async def _stop(self, running: Iterable[_Running]) -> None:
        await end([one.task for one in running if one.task is not None])

    async def _note(self, moment: float) -> None:
        """Write down which streams work: at once when they begin to, then now and then."""
        found: list[tuple[SourceRow, Facts]] = []
        for running in self._running.values():
            pulse = running.pulse
            if running.row.shape != "stream" or pulse.connected_at is None or pulse.alive_at is None:
                continue
            stable = self._clock.now() - pulse.connected_at >= STABLE_SECONDS * SECOND_US
            if running.noted_at is not None and moment - running.noted_at < NOTE_SECONDS:
                continue
            running.noted_at = moment
            found.append(
                (
                    running.row,
                    Facts(
                        connected_at=pulse.connected_at,
                        alive_at=pulse.alive_at,
                        stable=stable,
                        lag=pulse.lag,
                        expires_at=pulse.expires_at,
                        credentials_end=pulse.credentials_end,
                    ),
                )
            )
        for start in range(0, len(found), CLAIMS_MAX):
            await self._store.transact(sources.note(found[start : start + CLAIMS_MAX], self._clock.now()))

    async def _until_next(self) -> float:
        times = [await sources.next_due(self._store, shape) for shape in self._loops]
        due = min((one for one in times if one is not None), default=None)
        if due is None:
            return LOOK_SECONDS
        wait = min(LOOK_SECONDS, (due - self._clock.now()) / SECOND_US)
        if wait > 0:
            self._idle_looks = 0
            return wait
        # Something is due and was not taken: there is no room, or another instance was quicker.
        self._idle_looks += 1
        return min(LOOK_SECONDS, 0.02 * 2.0 ** min(self._idle_looks, 10))

    async def _pause(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

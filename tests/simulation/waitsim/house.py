"""Where the sequences happen: one service on virtual time that crashes, or two on one PostgreSQL."""

import asyncio
import random

from sim import recorder
from sim.world import Answer, _answer
from timesim.world import StillWorld, _Still

from waitsim.law import SECOND
from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.jobs import functions
from workflow_scheduler.settings import Settings
from workflow_scheduler.stores.portable import claims
from workflow_scheduler.testing.clock import FakeClock

LEASE_SECONDS = 10_000_000  # nobody prolongs it here
_TURNS = 200
_DONE = "SELECT count(*) FROM runs r WHERE status NOT IN ('SUCCEEDED', 'FAILED', 'CANCELLED') AND ({})"
_BUSY = _DONE.format(
    "status <> 'PAUSED' OR EXISTS (SELECT 1 FROM wakes w WHERE w.tenant_id = r.tenant_id AND w.run_id = r.id)"
)


class Virtual(StillWorld):
    """One service on SQLite and virtual time. Nothing happens by itself; `crash_at` ends it at a commit to come."""

    def __init__(self, folder, loop, seed):
        super().__init__(folder, loop, seed)
        self.settings = Settings(_env_file=None, data=folder, allow_code=True, lock_timeout=LEASE_SECONDS)
        self.marks = {}
        self._taken_over = 0

    @property
    def apps(self):
        return [self.app]

    def begin(self, seed):
        """Let the chance of one sequence depend on its seed alone."""
        self.random.seed(seed)

    @property
    def now(self):
        return self.clock.now()

    async def rows(self, text):
        return self.select(text)

    def pass_by(self, microseconds):
        self.clock.jump(microseconds / SECOND)

    async def linger(self, seconds):
        await self.live(seconds)

    def crash_at(self, commits):
        self.faults.plan(self.random.choice(("crash before", "crash after")), commits)

    def calm_down(self):
        """Let nothing go wrong any more."""
        self.faults.heal()

    async def execute(self, run_id, job_id, kind, count):
        """Count what jobs do."""
        self.marks[run_id] = self.marks.get(run_id, 0) + 1
        return {}

    async def settle(self):
        """Let everything go on that can, without its due times; return whether it came to rest."""
        for _ in range(_TURNS):
            if self.crashed:
                await self.crash()
            if self._taken_over < self.crashes:
                self._taken_over = self.crashes
                await self.calls([self.app.recovery.take_over()])
            self.app.wakes.hint()
            await self.live(0.01)
            if not self.crashed and not self.select(_BUSY)[0][0]:
                return True
        return False

    async def due(self):
        """Do what is due, as two instances may at once."""
        await self.calls([self.app.asking.act(self.now), self.app.asking.act(self.now)])


class Pair:
    """Two services on one PostgreSQL database and one clock, in real concurrency."""

    def __init__(self, url, folder):
        self.clock = FakeClock()
        self.random = random.Random()  # noqa: S311 -- `begin` seeds it
        self.complaints = []
        self.crashed = False
        self.crashes = 0
        self.marks = {}
        settings = Settings(_env_file=None, data=folder, database_url=url, allow_code=True, lock_timeout=LEASE_SECONDS)
        functions.load(recorder.PATH, ())
        self.apps = [_Still(settings, self.clock) for _ in range(2)]

    async def start(self):
        recorder.watching.append(self)
        for app in self.apps:
            await app.start()

    async def close(self):
        recorder.watching.remove(self)
        for app in self.apps:
            await app.stop()

    def begin(self, seed):
        self.random.seed(seed)

    @property
    def now(self):
        return self.clock.now()

    async def rows(self, text):
        return await self.apps[0].store.read(text)

    def pass_by(self, microseconds):
        self.clock.jump(microseconds / SECOND)

    async def linger(self, seconds):
        await self.clock.advance(seconds)

    def crash_at(self, commits):
        """Crash nothing: processes that are killed are another test's subject."""

    def calm_down(self):
        """Have nothing to heal."""

    async def execute(self, run_id, job_id, kind, count):
        self.marks[run_id] = self.marks.get(run_id, 0) + 1
        return {}

    async def calls(self, works):
        tasks = [asyncio.ensure_future(work) for work in works]
        if tasks:
            await asyncio.wait(tasks)
        return [_answer(task) for task in tasks]

    async def settle(self):
        for _ in range(_TURNS):
            for app in self.apps:
                for run in await claims.readable_runs(app.store, await claims.cancels(app.store, app.owner), self.now):
                    await app.launcher.stop(run)
                app.wakes.hint()
            while any(app.wakes._looking is not None for app in self.apps):
                await asyncio.wait([app.wakes._looking for app in self.apps if app.wakes._looking is not None])
            await self.clock.settle()
            if not (await self.rows(_BUSY))[0][0]:
                return True
            await asyncio.wait([asyncio.ensure_future(app.store.read("SELECT 1")) for app in self.apps])
        return False

    async def due(self):
        await self.calls([app.asking.act(self.now) for app in self.apps])


__all__ = ["Answer", "Pair", "StoreUnavailable", "Virtual"]

"""One simulated installation: a service that crashes and starts again, its disk, its clock, and its clients."""

import asyncio
import contextlib
import functools
import random
from types import SimpleNamespace
from typing import NamedTuple

import apsw

from sim import recorder, scene
from sim.disk import Faults, SimStore
from sim.virtual import VirtualClock
from workflow_scheduler.app import Application, job_types, trigger_types
from workflow_scheduler.app import pipeline as composition
from workflow_scheduler.core import ids
from workflow_scheduler.core.errors import SchedulerError, StoreUnavailable
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.jobs import functions
from workflow_scheduler.settings import Settings

CLIENT_SECONDS = 20.0
_CANCEL_ROUNDS = 50
_ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED", "SKIPPED"})
_trigger_types = functools.cache(trigger_types)
_job_types = functools.cache(job_types)


class Answer(NamedTuple):
    """What a client knows of its call: `ok`, `refused`, or `unknown`."""

    kind: str
    value: object = None


class _Simulated(Application):
    """The service; a loop that ends by a fault is remembered."""

    complaints: list

    async def _guard(self, name, loop):
        try:
            await loop
        except Exception as error:  # noqa: BLE001 -- in the real service it ends the process
            self.complaints.append(f"the loop `{name}` ended: {error!r}")


class World:
    """Owns everything of one sequence. All chance comes from `seed`."""

    service = _Simulated

    def __init__(self, folder, loop, seed):
        self.folder = folder
        self.loop = loop
        self.random = random.Random(seed)  # noqa: S311 -- the same numbers every time
        self.clock = VirtualClock(loop, seed)
        self.faults = Faults(self.clock, self.random)
        self.faults.on_crash = self._crashing
        self.complaints = []
        self.crashes = 0
        self.executions = {}
        self.peace_since = 0
        self._at_work = set()
        self._chances = {}
        self._crashed = loop.create_future()
        self.app = None
        self.outside = None
        settings = {"data": folder, "allow_code": True, "roles": "api,ingest,timer,sources,engine"}
        self.settings = Settings(_env_file=None, **settings)
        functions.load(recorder.PATH, ())
        ids.os = SimpleNamespace(urandom=self.random.randbytes)
        recorder.watching.append(self)

    # The service

    async def start(self):
        """Start a new process on the same file."""
        _Simulated.complaints = self.complaints
        while True:
            ids.mint.__self__._ms = -1
            self._crashed = self.loop.create_future()
            with self._substitutes():
                self.app = self.service(self.settings, self.clock)
            starting = asyncio.ensure_future(self.app.start())
            await asyncio.wait((starting, self._crashed), return_when=asyncio.FIRST_COMPLETED)
            failure = starting.exception() if starting.done() else None
            if starting.done() and failure is None and not self.crashed:
                break
            if failure is not None and not isinstance(failure, StoreUnavailable):
                raise failure
            await self._end_process()
            await self.clock.sleep(1.0)
        if self.outside is None:
            self.outside = apsw.Connection(str(self.folder / "workflow_scheduler.db"))

    @contextlib.contextmanager
    def _substitutes(self):
        """Let the composition root open our store, and look for plug-ins once only."""
        replaced = {"open_store": self._open_store, "trigger_types": _trigger_types, "job_types": _job_types}
        before = {name: getattr(composition, name) for name in replaced}
        try:
            vars(composition).update(replaced)
            yield
        finally:
            vars(composition).update(before)

    def _open_store(self, _settings, clock):
        return SimStore(self.folder / "workflow_scheduler.db", clock, self.faults, self.loop)

    def _crashing(self):
        if not self._crashed.done():
            self._crashed.set_result(None)

    @property
    def crashed(self):
        return self._crashed.done()

    async def crash(self):
        """End the process as `kill -9` does, and start the next one, perhaps a good while later."""
        self.app.store.sever()
        self.crashes += 1
        await self._end_process()
        if self.random.random() < 0.3:
            self.clock.jump(self.random.choice((1, 30, 600, 90_000)))
        await self.start()

    async def restart(self):
        """End the process in good order, and start the next one."""
        stopping = asyncio.ensure_future(self.app.stop())
        await asyncio.wait((stopping, self._crashed), return_when=asyncio.FIRST_COMPLETED)
        await self._end_process()
        await self.start()

    async def _end_process(self):
        self.app.store.sever()
        me = {asyncio.current_task()}
        for _ in range(_CANCEL_ROUNDS):
            tasks = asyncio.all_tasks() - me
            if not tasks:
                break
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=0.001)
        else:
            self.complaints.append(f"tasks that do not end: {asyncio.all_tasks() - me}")
        self.app.store.release()
        self.app.workers.close()
        await self.app.outbound.close()
        self._at_work.clear()

    async def close(self):
        """End the sequence."""
        recorder.watching.remove(self)
        await self._end_process()
        if self.outside is not None:
            self.outside.close()
        ids.os = __import__("os")

    # Clients

    async def call(self, work):
        """Let a client wait for `work`, and go on after a crash with the next process; return its Answer."""
        return (await self.calls([work]))[0]

    async def calls(self, works):
        """Let several clients wait at once."""
        if not works:
            return []
        tasks = [asyncio.ensure_future(work) for work in works]
        everything = asyncio.ensure_future(asyncio.wait(tasks))
        await asyncio.wait((everything, self._crashed), timeout=CLIENT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        answers = [_answer(task) for task in tasks]
        for task in (*tasks, everything):
            task.cancel()
        if self.crashed:
            await self.crash()
        else:
            await asyncio.wait(tasks, timeout=CLIENT_SECONDS)
        return answers

    async def live(self, seconds):
        """Let time pass; a crash on the way is followed by a new start."""
        if self.crashed:
            await self.crash()
        until = self.clock.monotonic() + seconds
        while (left := until - self.clock.monotonic()) > 0:
            sleeping = asyncio.ensure_future(self.clock.sleep(left))
            await asyncio.wait((sleeping, self._crashed), return_when=asyncio.FIRST_COMPLETED)
            sleeping.cancel()
            if self.crashed:
                await self.crash()

    async def deploy(self, definition):
        return await self.app.context.deployments.deploy(LOCAL, definition["name"], definition)

    # Jobs

    async def execute(self, run_id, job_id, kind, count):
        """Do what a job does, and complain when it must not run any more."""
        key = (run_id, job_id)
        self.executions[key] = self.executions.get(key, 0) + 1
        self._check_may_run(key)
        self._at_work.add(key)
        process = self.app
        try:
            await self._behave(key, kind, count)
        finally:
            if process is self.app:
                self._at_work.discard(key)
        return {"job": job_id}

    def _check_may_run(self, key):
        if self.app.store._writer is None or self.app.store._writer.severed:
            return
        if key in self._at_work:
            self.complaints.append(f"job {key} runs twice at once")
        rows = self.select("SELECT status FROM jobs WHERE run_id = ? AND job_id = ?", key)
        if rows and rows[0][0] == "SUCCEEDED":
            self.complaints.append(f"job {key} runs again after it had succeeded")
        rows = self.select("SELECT status, workflow FROM runs WHERE id = ?", key[:1])
        if not rows or rows[0][0] in _ENDED:
            self.complaints.append(f"job {key} runs in a run that is {rows}")
            return
        known = dict(self.select("SELECT job_id, status FROM jobs WHERE run_id = ?", key[:1]))
        early = [job for job in scene.needs(rows[0][1], key[1]) if known.get(job) not in _ENDED]
        if early:
            self.complaints.append(f"job {key} runs before the end of {early} is on disk")

    async def _behave(self, key, kind, count):
        if kind == "slow":
            await self.clock.sleep(self.random.uniform(0.1, 9.0))
        elif kind == "fail" and self._chances.setdefault(key, count) > 0:
            self._chances[key] -= 1
            raise ValueError(f"{self._chances[key]} more failures")
        elif kind == "kill" and self._chances.setdefault(key, count) > 0:
            self._chances[key] -= 1
            self.app.store.sever()
            self._crashing()
            await self.loop.create_future()

    # Looking from outside

    def select(self, text, params=()):
        """Return rows as they are on disk."""
        return self.outside.execute(text, params).fetchall()


def _answer(task):
    if not task.done() or task.cancelled():
        return Answer("unknown")
    error = task.exception()
    if error is None:
        return Answer("ok", task.result())
    if isinstance(error, StoreUnavailable):
        return Answer("unknown", error)
    if isinstance(error, SchedulerError):
        return Answer("refused", error)
    raise error

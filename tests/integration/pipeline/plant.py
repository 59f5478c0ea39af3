"""The data plane of one or more instances on a real database, with a clock that tests move and an engine they hold."""

import asyncio

from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.definition.check import Rules
from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.model.run import RunChange, RunStatus
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.registry import Heard, PushRequest, discover
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.pipeline.backlog import Backlog
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.dispatch import Dispatcher
from workflow_scheduler.pipeline.graphs import GraphCache
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.pipeline.launcher import Launcher
from workflow_scheduler.pipeline.recovery import Recovery
from workflow_scheduler.pipeline.redrive import Redrive
from workflow_scheduler.pipeline.sources.manual import ManualSource
from workflow_scheduler.pipeline.sources.missed import Misses
from workflow_scheduler.pipeline.sources.push import PushSource
from workflow_scheduler.pipeline.sources.timer import Timer
from workflow_scheduler.pipeline.tracker import Tracker
from workflow_scheduler.services.definitions import Definitions
from workflow_scheduler.services.deployments import Deployments
from workflow_scheduler.services.requirements import Requirements
from workflow_scheduler.services.workflows import Workflows
from workflow_scheduler.stores.portable.catalog import StoreCatalog
from workflow_scheduler.stores.portable.refusals import Refusals
from workflow_scheduler.stores.portable.replays import ReplayGuard
from workflow_scheduler.testing.factories import Rows

TRIGGERS = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


class HeldEngine:
    """Takes runs as the embedded engine does, and ends them when the test says so."""

    name = "embedded"

    def __init__(self):
        self.sink = None
        self.clock = None
        self.tasks = {}
        self.started = []
        self.cancelled = []

    def submit(self, tasks):
        for task in tasks:
            self.started.append(task.run.id)
            self.tasks[task.run.id] = task

    def held(self):
        return {run_id: task.run.fence for run_id, task in self.tasks.items()}

    def drop(self, run_ids):
        for run_id in run_ids:
            self.tasks.pop(run_id, None)

    async def cancel(self, run):
        self.cancelled.append(run.id)

    async def finish(self, run_id, status=RunStatus.SUCCEEDED, **more):
        run = self.tasks.pop(run_id).run
        given = {"ended_at": self.clock.now(), **more}
        change = RunChange(tenant_id=run.tenant_id, run_id=run.id, fence=run.fence, status=status, **given)
        await self.sink.finish(change, run)


class Counts:
    """What the inbox tells its observer."""

    def __init__(self):
        self.stored = []
        self.duplicates = []
        self.changes = []

    def accepted(self, accepted, now):
        self.stored += [one.event.id for one in accepted]

    def duplicate(self, provider):
        self.duplicates.append(provider)

    def changed(self, changes):
        self.changes += changes


class Moody:
    """A store that fails commits, or loses the connection after them, when it is told to."""

    def __init__(self, store):
        self._store = store
        self.fail = 0
        self.lose = 0
        self.commits = []
        self.gate = None

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def commit(self, batch):
        if self.gate is not None:
            await self.gate.wait()
        self.commits.append(batch)
        if self.fail:
            self.fail -= 1
            raise StoreUnavailable("the disk is full")
        result = await self._store.commit(batch)
        self._answer()
        return result

    async def transact(self, work):
        if self.fail:
            self.fail -= 1
            work.close()
            raise StoreUnavailable("the disk is full")
        result = await self._store.transact(work)
        self._answer()
        return result

    def _answer(self):
        if self.lose:
            self.lose -= 1
            raise StoreUnavailable("the connection was lost")


class Secrets:
    """Secrets by (tenant, name)."""

    def __init__(self):
        self.values = {}

    async def get(self, tenant_id, name):
        return self.values.get((tenant_id, name))

    async def live(self, tenant_id, name):
        value = self.values.get((tenant_id, name))
        return () if value is None else (value,) if isinstance(value, str) else tuple(value)

    async def missing(self, tenant_id, names):
        return [name for name in names if (tenant_id, name) not in self.values]


class Seal:
    """A vault that shows what it was given."""

    def seal(self, plain, context):
        return b"sealed:" + context.encode() + b":" + plain[::-1]


class Instance:
    """Everything of one process between its sources and its engines."""

    def __init__(self, store, clock, owner="one", *, backlog_max=20_000):
        self.store = Moody(store)
        self.clock = clock
        self.owner = owner
        self.rows = Rows(store)
        self.counts = Counts()
        self.secrets = Secrets()
        signals = Signals()
        self.catalog = StoreCatalog(self.store)
        self.cache = CandidateCache(self.catalog, self.store, TRIGGERS)
        self.inbox = Inbox(self.store, self.cache, clock, owner, self.counts, signals)
        self.graphs = GraphCache(self.catalog, lambda definition: compile_graph(definition, JOBS))
        self.tracker = Tracker(self.inbox, self.cache, self.store, clock)
        self.launcher = Launcher(self.graphs, self.tracker, self.store, clock, owner, Backlog(backlog_max))
        self.dispatcher = Dispatcher(self.store, self.graphs, self.tracker, clock, owner, signals)
        self.recovery = Recovery(self.store, self.launcher, self.tracker, clock, owner, signals)
        self.redrive = Redrive(self.store, self.recovery, clock, owner)
        self.timer = Timer(self.store, self.catalog, self.cache, self.inbox, clock, signals)
        self.push = PushSource(self.catalog, self.cache, self.inbox, self.secrets, TRIGGERS)
        self.push.guard = ReplayGuard(self.store)
        self.push.remarks = Refusals(self.store)
        self.manual = ManualSource(self.catalog, self.store, self.cache, self.inbox, clock, Seal())
        self.facts = 0
        self.misses = Misses(self.store, self.cache, self.inbox, clock, self._told)
        self.engine = HeldEngine()
        self.engine.sink, self.engine.clock = self.tracker, clock
        self.launcher.local = self.engine
        self.launcher.engines = {"embedded": self.engine}
        self.launcher.dispatcher = self.dispatcher
        self.inbox.launches = self.launcher
        self.inbox.turns = self.recovery
        self.tracker.on_end = self.launcher.ended
        store.on_epoch(self.cache.moved)
        self.definitions = Definitions(TRIGGERS, JOBS, clock, Rules(engines=("embedded", "http")))
        self.deployments = Deployments(store, clock, self.definitions, Requirements(self.secrets))
        self.workflows = Workflows(store, clock, self.definitions, self.deployments)

    def _told(self):
        self.facts += 1

    async def begin(self, *, alone=False):
        await self.cache.refresh()
        await self.recovery.begin(alone=alone, tzdata="2026.1", version="0", roles="all")

    async def deploy_by_hand(self, *names):
        """Deploy workflows that people start."""
        for name in names:
            await self.deploy(name, {"by_hand": {"type": "manual"}})

    async def begin_run(self, name):
        """Start a run of a workflow that people start, and return its id once the engine has it."""
        receipt = await self.manual.start(LOCAL, name)
        await self.until(lambda: receipt.run_ids[0] in self.engine.tasks)
        return receipt.run_ids[0]

    async def end_run(self, name, status=RunStatus.SUCCEEDED, **more):
        """Start a run of a workflow and end it; return its id."""
        run_id = await self.begin_run(name)
        await self.engine.finish(run_id, status, **more)
        await self.settle()
        return run_id

    async def deploy(self, name, triggers, principal=LOCAL, **more):
        text = {"version": 1, "name": name, "triggers": triggers, "jobs": {"work": {"uses": "noop"}}, **more}
        await self.deployments.deploy(principal, name, text)
        await self.hear()

    async def hear(self):
        """Wait until this instance has heard of every change of the triggers."""
        ((epoch,),) = await self.store.read("SELECT epoch FROM index_epoch")
        await self.until(lambda: self.cache.epoch >= epoch)

    async def settle(self):
        """Let everything that needs no time come to rest, the database's answers included."""
        for _ in range(4):
            await self.store.read("SELECT 1")
            await self.clock.settle()
            await self.inbox.drain()

    def event(self, type="order_paid", data=b'{"amount":120}', tenant_id="local", **given):  # noqa: A002
        heard = Heard(
            source=given.pop("source", "/shop"), type=type, event_key=given.pop("key", None), data=data,
            index_keys=(type, "*"), subject=given.pop("subject", None),
        )  # fmt: skip
        return self.inbox.event(heard, tenant_id=tenant_id, provider="event", **given)

    def post(self, path, body=b"{}", method="POST", **headers):
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return PushRequest(method, path, "", {"content-type": "application/json", **names}, body, self.clock.now())

    async def all(self, text, **params):
        return await self.store.read(text, params)

    async def write(self, statement, **params):
        def work():
            yield Sql(statement, params)

        await self.store.transact(work())

    async def count(self, table):
        return (await self.store.read(f"SELECT COUNT(*) FROM {table}"))[0][0]  # noqa: S608 -- a constant

    async def statuses(self):
        return [row[0] for row in await self.store.read("SELECT status FROM runs ORDER BY id")]

    async def decisions(self):
        return await self.store.read("SELECT outcome, reason FROM decisions ORDER BY event_id, trigger_id")

    async def until(self, condition):
        """Wait for something that a database or a socket brings about; never for time."""
        for _ in range(2000):
            if condition():
                return
            await self.store.read("SELECT 1")
            await asyncio.sleep(0)  # noqa: TID251 -- a turn of the loop
        message = "it never happened"
        raise AssertionError(message)


ON_EVENT = {"paid": {"type": "event", "event": "order_paid"}}

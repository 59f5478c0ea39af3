"""A data plane and control plane without loops: stores are real, time stands still, nothing is executed."""

import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.registry import discover
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.inbox import Inbox
from workflow_scheduler.pipeline.matcher import Matcher
from workflow_scheduler.pipeline.sources.backfill import BackfillSource
from workflow_scheduler.pipeline.sources.manual import ManualSource
from workflow_scheduler.pipeline.sources.timer import Timer
from workflow_scheduler.services.backfilling import Backfilling
from workflow_scheduler.services.backfills import Backfills
from workflow_scheduler.services.calendar_dates import CalendarDates
from workflow_scheduler.services.calendars import Calendars
from workflow_scheduler.services.dead_letters import DeadLetters
from workflow_scheduler.services.definitions import Definitions
from workflow_scheduler.services.deployments import Deployments
from workflow_scheduler.services.events import Events
from workflow_scheduler.services.explain import Explain
from workflow_scheduler.services.replay import Replay
from workflow_scheduler.services.requirements import Requirements
from workflow_scheduler.services.runs import Runs
from workflow_scheduler.services.schedules import Schedules
from workflow_scheduler.services.triggers import Triggers
from workflow_scheduler.services.workflows import Workflows
from workflow_scheduler.stores.portable.catalog import StoreCatalog
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.factories import Rows


class Silent:
    def accepted(self, accepted, now):
        self.last = accepted

    def duplicate(self, provider):
        self.again = provider

    def changed(self, changes):
        self.changes = changes


class NoSecrets:
    async def get(self, tenant_id, name):
        return "s3cret"

    async def missing(self, tenant_id, names):
        return []


class Fakes:
    """The launcher, the tracker and the redrive, as far as services see them."""

    def __init__(self):
        self.cancelled = []
        self.waited = []
        self.redriven = []
        self.told = []

    async def cancel(self, tenant_id, run_id):
        self.cancelled.append((tenant_id, run_id))

    async def wait(self, tenant_id, run_id, seconds):
        self.waited.append(seconds)
        return False

    def publish(self, topic, tenant_id, kind, data, at):
        self.told.append((topic, tenant_id, kind, data))

    async def redrive(self, tenant_id, dead_letter_id, payload=None):
        self.redriven.append((dead_letter_id, payload))
        return "revived"


class House:
    """Everything wired on one store."""

    def __init__(self, store):
        self.store = store
        self.clock = FakeClock()
        self.rows = Rows(store)
        self.fakes = Fakes()
        self.types = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
        jobs = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")
        self.catalog = StoreCatalog(store)
        self.cache = CandidateCache(self.catalog, store, self.types)
        store.on_epoch(self.cache.moved)
        self.inbox = Inbox(store, self.cache, self.clock, "here", Silent(), Signals())
        self.matcher = Matcher(self.cache)
        self.manual = ManualSource(self.catalog, store, self.cache, self.inbox, self.clock, None)
        self.timer = Timer(store, self.catalog, self.cache, self.inbox, self.clock, Signals())
        self.explain = Explain(store, self.clock, self.catalog, self.matcher, self.types)
        self.events = Events(store, self.clock)
        self.runs = Runs(store, self.clock, self.fakes, self.fakes, self.explain)
        self.dead = DeadLetters(store, self.clock, self.fakes)
        self.replay = Replay(store, self.clock, self.inbox, self.manual, self.matcher, self.catalog)
        definitions = Definitions(self.types, jobs, self.clock)
        self.deployments = Deployments(store, self.clock, definitions, Requirements(NoSecrets()))
        self.workflows = Workflows(store, self.clock, definitions, self.deployments)
        self.triggers = Triggers(store, self.clock, definitions, self.workflows, self.deployments, self.matcher)
        self.schedules = Schedules(store, self.clock, self.types, self.triggers, self.inbox, self.timer)
        self.backfills = Backfills(store, self.clock, self.types)
        source = BackfillSource(self.catalog, self.cache, self.inbox, self.clock, Signals())
        self.backfilling = Backfilling(store, self.clock, self.types, source, self.fakes, self.fakes)
        self.backfilling.owner = "here"
        self.calendars = Calendars(store, self.clock, self.types, self.timer.wake)
        self.calendar_dates = CalendarDates(store, self.clock)

    async def deploy(self, name, **triggers):
        text = {"version": 1, "name": name, "triggers": triggers, "jobs": {"work": {"uses": "noop"}}}
        await self.deployments.deploy(LOCAL, name, text)
        await self.hear()

    async def hear(self):
        """Wait until the change of the triggers is heard: what is prepared before is prepared again by a later tick."""
        ((epoch,),) = await self.store.read("SELECT epoch FROM index_epoch")
        for _ in range(2000):
            await self.cache.refresh()
            if self.cache.epoch >= epoch:
                return
            await self.store.read("SELECT 1")
        message = "the change of the triggers was never heard"
        raise AssertionError(message)

    async def trigger_id(self, name):
        rows = await self.store.read("SELECT id FROM trigger_index WHERE name = :name", {"name": name})
        return rows[0][0]


@pytest.fixture
async def house(store):
    made = House(store)
    await made.cache.refresh()
    return made

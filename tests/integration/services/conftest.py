"""The control plane on a real database with a clock that tests move."""

from types import SimpleNamespace

import pytest

from workflow_scheduler.core.definition.check import Rules
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.registry import discover
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.matcher import Matcher
from workflow_scheduler.services.definitions import Definitions
from workflow_scheduler.services.deployments import Deployments
from workflow_scheduler.services.requirements import Requirements
from workflow_scheduler.services.triggers import Triggers
from workflow_scheduler.services.workflows import Workflows
from workflow_scheduler.stores.portable.catalog import StoreCatalog
from workflow_scheduler.testing.clock import FakeClock

TRIGGERS = discover("workflow_scheduler.triggers", "workflow_scheduler.triggers")
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


class KnownSecrets:
    """Secrets by name; all are set but those in `absent`."""

    def __init__(self):
        self.absent = set()

    async def missing(self, tenant_id, names):
        return [name for name in names if name in self.absent]


class Plane(SimpleNamespace):
    """Services on one store, and short cuts for what tests look at."""

    async def deploy(self, definition, principal=LOCAL):
        return await self.deployments.deploy(principal, definition["name"], definition)

    async def triggers_of(self, name, principal=LOCAL):
        shown = await self.workflows.get(principal, name)
        return {trigger["name"]: trigger for trigger in shown["triggers"]}

    async def epoch(self):
        return (await self.store.read("SELECT epoch FROM index_epoch"))[0][0]

    async def everything(self):
        return [
            await self.store.read("SELECT * FROM workflows ORDER BY 1, 2"),
            await self.store.read("SELECT * FROM workflow_versions ORDER BY 1, 2, 3"),
            await self.store.read("SELECT * FROM trigger_index ORDER BY 1, 2"),
            await self.store.read("SELECT * FROM deployments ORDER BY 1, 2"),
        ]

    async def count(self, table):
        return (await self.store.read(f"SELECT COUNT(*) FROM {table}"))[0][0]  # noqa: S608 -- a constant

    async def keys(self):
        rows = await self.store.read("SELECT trigger_subtype, index_key FROM trigger_keys ORDER BY 1, 2")
        return [row for row in rows if not row[1].startswith(("id:", "wf:", "secret:"))]

    async def due(self):
        rows = await self.store.read(
            "SELECT t.name, s.next_fire_at, s.next_nominal, s.revision, s.completed, s.paused, s.anchor"
            " FROM schedules s JOIN trigger_index t ON t.tenant_id = s.tenant_id AND t.id = s.trigger_id"
        )
        return {
            row[0]: SimpleNamespace(
                fire=row[1], nominal=row[2], revision=row[3], completed=bool(row[4]), paused=bool(row[5]), anchor=row[6]
            )
            for row in rows
        }

    async def write(self, text, **params):
        from workflow_scheduler.core.ports.store import Sql

        def work():
            yield Sql(text, params)

        await self.store.transact(work())


@pytest.fixture
def plane(store):
    clock = FakeClock()
    secrets = KnownSecrets()
    definitions = Definitions(TRIGGERS, JOBS, clock, Rules(engines=("embedded", "http")))
    deployments = Deployments(store, clock, definitions, Requirements(secrets))
    workflows = Workflows(store, clock, definitions, deployments)
    matcher = Matcher(CandidateCache(StoreCatalog(store), store, TRIGGERS))
    triggers = Triggers(store, clock, definitions, workflows, deployments, matcher)
    return Plane(
        store=store, clock=clock, secrets=secrets, deployments=deployments, workflows=workflows, triggers=triggers,
        definitions=definitions, matcher=matcher,
    )  # fmt: skip

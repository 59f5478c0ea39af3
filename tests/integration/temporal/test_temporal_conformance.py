import asyncio
from collections import Counter
from types import SimpleNamespace

import pytest

from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.model.run import FINAL, JOB_FINAL
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.core.registry import Config
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.engines.temporal.client import TemporalAddress, connect
from workflow_scheduler.engines.temporal.context import Lent
from workflow_scheduler.engines.temporal.driver import TemporalEngine
from workflow_scheduler.engines.temporal.recorder import Limits
from workflow_scheduler.engines.temporal.worker import TemporalWorker
from workflow_scheduler.testing.conformance.engine import EngineConformance
from workflow_scheduler.testing.factories import make_run
from workflow_scheduler.testing.sink import RecordingSink

DEFINITION = Definition.model_validate({"name": "w", "engine": "temporal", "jobs": {"a": {"uses": "probe"}}})


class Books:
    """The runs of the bed, in memory; job records are those that the sink was given."""

    def __init__(self, sink, graph):
        self.sink, self.known, self._graph = sink, {}, graph

    async def run(self, tenant_id, run_id):
        return self.known.get(run_id)

    async def graph(self, run):
        return self._graph

    async def event(self, run):
        return b"null"

    async def jobs(self, run, job_ids=None):
        records = self.sink.jobs.get(run.id, {})
        return [record for job_id, record in records.items() if job_ids is None or job_id in job_ids]

    async def under_way(self, run):
        records = await self.jobs(run)
        return [(one.job_id, one.status, one.wake_at) for one in records if one.status not in JOB_FINAL]

    async def wake(self, run, job_id, name):
        return None

    async def remove(self, wake):
        pass


async def lent_nothing(*_args):
    raise AssertionError


class TemporalBed:
    async def open(self, target, queue):
        self.sink = RecordingSink()
        self.started = Counter()
        self.gates = {}
        self.prefix = queue

        async def probe(config, context):
            self.started[context.run_id] += 1
            await self.gate(context.run_id).wait()

        module = SimpleNamespace(
            name="probe", title="Probe", inline=False, needs_code_allowance=False, examples=({},), Config=Config,
            run=probe, retryable=lambda error: False,
        )  # fmt: skip
        types = {"probe": module}
        self.graph = compile_graph(DEFINITION, types)
        self.books = Books(self.sink, self.graph)
        address = TemporalAddress(target=target, task_queue=queue)
        self.engine = TemporalEngine(address, types, self.books, SystemClock())
        worker = TemporalWorker(address, types, self.books, self.sink, SystemClock())
        lent = Lent(emit=lent_nothing, ask=lent_nothing, call=lent_nothing, withdraw=lent_nothing)
        worker.equip(lent, Limits(), allow_code=True)
        self.worker = worker.worker(await connect(address))
        self.working = asyncio.create_task(self.worker.run())
        return self

    async def close(self):
        for gate in self.gates.values():
            gate.set()
        await self.engine.close()
        await self.worker.shutdown()
        await self.working

    def gate(self, run_id):
        return self.gates.setdefault(run_id, asyncio.Event())

    def task(self, number):
        run = make_run(id=f"{self.prefix}-{number}", engine="temporal", fence=3)
        self.books.known[run.id] = run
        return Task(run, self.graph)

    async def begun(self, run):
        if await self.engine.describe(run) is None:
            return 0
        async with asyncio.timeout(60):
            while not self.started[run.id]:
                await self.engine.describe(run)
        return self.started[run.id]

    async def let_end(self, run):
        self.gate(run.id).set()

    async def end_of(self, run):
        async with asyncio.timeout(60):
            while (known := await self.engine.describe(run)).status not in FINAL:
                pass
        return known.status


class TestTemporal(EngineConformance):
    @pytest.fixture
    async def bed(self, temporal_address, queue):
        opened = await TemporalBed().open(temporal_address, queue)
        yield opened
        await opened.close()

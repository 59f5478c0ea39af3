import asyncio
from types import SimpleNamespace

import pytest

from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.model.run import Run
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.core.registry import Config
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.engines.embedded.driver import EmbeddedEngine
from workflow_scheduler.engines.http import EngineAddress, HttpEngine, engine_client
from workflow_scheduler.testing.conformance.engine import EngineConformance
from workflow_scheduler.testing.fake_engine import FakeEngine

DEFINITION = Definition.model_validate({"name": "w", "jobs": {"a": {"uses": "probe"}}})


def run_of(number, engine):
    return Run(
        id=f"run-{number}", tenant_id="local", workflow_id="wf", workflow="w", version=1, trigger_id="t",
        trigger_type="manual", event_id=f"e{number}", event_key=f"k{number}", created_at=0, engine=engine, fence=3,
    )  # fmt: skip


class NoVault:
    def seal(self, plain, context):
        return plain

    def open(self, sealed, context):
        return sealed


class HttpBed:
    async def open(self):
        self.server = await FakeEngine().open()
        address = EngineAddress(base_url=self.server.url)
        self.engine = HttpEngine(address, engine_client(address), NoVault(), SystemClock())
        return self

    async def close(self):
        await self.engine.close()
        await self.server.close()

    def task(self, number):
        return Task(run_of(number, "http"), compile_graph(DEFINITION))

    async def begun(self, run):
        return self.server.starts[run.id]

    async def let_end(self, run):
        self.server.finish(run.id)

    async def end_of(self, run):
        return (await self.engine.describe(run)).status


class Sink:
    def __init__(self):
        self.ends = {}
        self.changed = asyncio.Condition()

    async def record(self, *, changes=(), jobs=(), logs=()):
        return frozenset()

    def note(self, *, jobs=(), logs=()):
        pass

    async def finish(self, change, run, jobs=(), logs=(), dead=()):
        async with self.changed:
            assert run.id not in self.ends
            self.ends[run.id] = change.status
            self.changed.notify_all()


class EmbeddedBed:
    async def open(self):
        self.sink = Sink()
        self.started = {}
        self.gates = {}

        async def probe(config, context):
            self.started[context.run_id] = self.started.get(context.run_id, 0) + 1
            await self.gate(context.run_id).wait()

        module = SimpleNamespace(
            name="probe", title="Probe", inline=False, needs_code_allowance=False, examples=({},), Config=Config,
            run=probe, retryable=lambda error: False,
        )  # fmt: skip
        self.graph = compile_graph(DEFINITION, {"probe": module})
        self.engine = EmbeddedEngine({"probe": module}, self.sink, SystemClock())
        return self

    async def close(self):
        await self.engine.close()

    def gate(self, run_id):
        return self.gates.setdefault(run_id, asyncio.Event())

    def task(self, number):
        return Task(run_of(number, "embedded"), self.graph)

    async def begun(self, run):
        for _ in range(3):
            await asyncio.to_thread(lambda: None)
        return self.started.get(run.id, 0)

    async def let_end(self, run):
        self.gate(run.id).set()

    async def end_of(self, run):
        async with asyncio.timeout(10), self.sink.changed:
            await self.sink.changed.wait_for(lambda: run.id in self.sink.ends)
        return self.sink.ends[run.id]


class TestEngines(EngineConformance):
    @pytest.fixture(params=[EmbeddedBed, HttpBed], ids=["embedded", "http"])
    async def bed(self, request):
        opened = await request.param().open()
        yield opened
        await opened.close()

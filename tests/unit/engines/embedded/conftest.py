"""An embedded engine on a fake clock and a recording sink, with job types that tests can steer."""

import asyncio
import types
from typing import Any

import msgspec
import pytest

from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.dag.park import SleepUntil
from workflow_scheduler.core.errors import JobFailed
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.core.registry import Config
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.engines.embedded.desk import Limits
from workflow_scheduler.engines.embedded.driver import EmbeddedEngine
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.factories import make_run
from workflow_scheduler.testing.sink import RecordingSink


class Spy(Signals):
    """Keeps the signals."""

    def __init__(self):
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def emit(self, name, **facts):
        self.seen.append((name, facts))

    def names(self):
        return [name for name, _ in self.seen]


class AnyConfig(Config):
    """One value."""

    output: Any = None
    command: str | None = None
    seconds: float = 0.0


class Bench:
    """Everything a test of the engine needs."""

    def __init__(self, limits=None):
        self.clock = FakeClock()
        self.sink = RecordingSink()
        self.signals = Spy()
        self.gates: dict[str, asyncio.Future] = {}
        self.calls: list[tuple[str, int]] = []
        self.contexts: dict[str, Any] = {}
        self.cancelled: list[str] = []
        self.types = {
            "noop": self.job_type("noop", self.noop, inline=True),
            "wait": self.job_type("wait", self.wait),
            "fail": self.job_type("fail", self.fail, inline=True),
            "sleep": self.job_type("sleep", self.sleep, inline=True),
        }
        self.limits = limits or Limits()
        self.engine = self.new_engine()

    def new_engine(self):
        self.engine = EmbeddedEngine(self.types, self.sink, self.clock, limits=self.limits, signals=self.signals)
        return self.engine

    def job_type(self, name, run, *, inline=False):
        return types.SimpleNamespace(
            name=name, title=name, inline=inline, needs_code_allowance=False, Config=AnyConfig, run=run,
            retryable=lambda error: getattr(error, "retryable", False),
        )  # fmt: skip

    def seen(self, context):
        self.calls.append((context.job_id, context.attempt))
        self.contexts[context.job_id] = context

    def noop(self, config, context):
        self.seen(context)
        return config.output

    def fail(self, config, context):
        self.seen(context)
        raise JobFailed(str(config.output or "broken"))

    def sleep(self, config, context):
        self.seen(context)
        return SleepUntil(context.now() + round(config.seconds * SECOND_US), config.output)

    async def wait(self, config, context):
        self.seen(context)
        gate = self.gates[context.job_id] = asyncio.get_running_loop().create_future()
        try:
            value = await gate
        except asyncio.CancelledError:
            self.cancelled.append(context.job_id)
            raise
        return config.output if value is None else value

    def task(self, jobs, *, run=None, done=(), event=b"null", parallel=5, **more):
        graph = compile_graph(
            Definition.model_validate(
                {"name": "flow", "jobs": jobs, "concurrency": {"max_parallel_jobs": parallel}, **more}
            ),
            self.types,
        )
        return Task(run or make_run(input=b'{"n":1}'), graph, done, event)

    async def start(self, jobs, **more):
        task = self.task(jobs, **more)
        self.engine.submit([task])
        await self.clock.settle()
        return task

    async def release(self, job, value=None):
        gate = self.gates[job]
        if isinstance(value, BaseException):
            gate.set_exception(value)
        else:
            gate.set_result(value)
        await self.clock.settle()

    def statuses(self, task):
        return {name: str(one.status) for name, one in self.sink.jobs.get(task.run.id, {}).items()}

    def status(self, task):
        change = self.sink.runs.get(task.run.id)
        return None if change is None else str(change.status)

    def error(self, task, job=None):
        found = self.sink.runs[task.run.id].error if job is None else self.sink.jobs[task.run.id][job].error
        return msgspec.json.decode(found)

    def output(self, task):
        return msgspec.json.decode(self.sink.runs[task.run.id].output)

    def crash(self, task, **run):
        """Lose the process; return the run as another process would take it over."""
        self.engine._desk.closed = True
        for execution in list(self.engine._desk.runs.values()):
            execution.abandon()
        self.engine._desk.timers.close()
        self.new_engine()
        taken = msgspec.structs.replace(task.run, fence=task.run.fence + 1, **run)
        return Task(taken, task.graph, self.sink.done(task.run.id), task.event)


@pytest.fixture
async def bench():
    """An engine with the ordinary limits."""
    made = Bench()
    yield made
    await made.engine.close()
    await made.clock.settle()


@pytest.fixture
async def narrow():
    """A function that makes engines with few places for jobs."""
    made = []

    def make(places=256, **limits):
        made.append(Bench(Limits(parallel_jobs_max=places, **limits)))
        return made[-1]

    yield make
    for bench in made:
        await bench.engine.close()
        await bench.clock.settle()

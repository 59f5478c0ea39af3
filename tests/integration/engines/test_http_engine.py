"""The HTTP engine against a server that commits runs and then forgets to say so."""

import asyncio
import base64
import random

import pytest

from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.errors import EngineUnavailable, OutcomeUnknown, Rejected, RetryAfter
from workflow_scheduler.core.model.run import Run, RunStatus
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.engines.breaker import Breaker
from workflow_scheduler.engines.http import EngineAddress, HttpEngine, engine_client
from workflow_scheduler.testing.fake_engine import FakeEngine, Fault, no_faults

GRAPH = compile_graph(Definition.model_validate({"name": "w", "jobs": {"a": {"uses": "noop"}}}))
EVENT = b'{"id":"e1","type":"manual","data":{"trigger_type":"MANUAL"}}'


class PlainVault:
    def seal(self, plain, context):
        return base64.b64encode(plain + b"|" + context.encode())

    def open(self, sealed, context):
        plain, _, bound = base64.b64decode(sealed).partition(b"|")
        if bound.decode() != context:
            raise Rejected("another context")
        return plain


def run_of(number, **more):
    values = {
        "id": f"run-{number}", "tenant_id": "local", "workflow_id": "wf/1", "workflow": "w", "version": 3,
        "trigger_id": "t", "trigger_type": "manual", "event_id": "e1", "event_key": f"k{number}", "created_at": 0,
        "engine": "http", "input": b'{"n":1}',
    }  # fmt: skip
    return Run(**{**values, **more})


def task_of(number, **more):
    return Task(run_of(number, **more), GRAPH, (), EVENT)


class Bed:
    def __init__(self):
        self.open = []

    async def __call__(self, plan=no_faults, *, start_seconds=5.0, idempotent=True, breaker=None, token=None):
        server = await FakeEngine(plan, idempotent=idempotent).open()
        address = EngineAddress(base_url=server.url, start_seconds=start_seconds, token=token)
        engine = HttpEngine(
            address, engine_client(address), PlainVault(), SystemClock(), breaker=breaker or Breaker(failures_max=10**9)
        )
        self.open += [engine, server]
        return server, engine


@pytest.fixture
async def bed():
    opened = Bed()
    yield opened
    for one in opened.open:
        await one.close()


def always(fault):
    return lambda key, attempt: fault


async def test_start_sends_everything_the_engine_needs(bed):
    server, engine = await bed(token="service")
    bearer = PlainVault().seal(b"callers-token", "e1")
    result = await engine.start(task_of(1, traceparent="00-ab-cd-01", bearer=bearer, user_id="u"))
    assert (result.external_id, result.already) == ("x-1", False)
    method, path, headers, body = server.requests[0]
    assert (method, path) == ("POST", "/v2/workflows/wf%2F1/execute")
    assert headers["Idempotency-Key"] == "run-1"
    assert headers["Authorization"] == "Bearer callers-token"
    assert headers["traceparent"] == "00-ab-cd-01"
    assert body["run_id"] == "run-1"
    assert body["workflow_version"] == 3
    assert body["input"] == {"n": 1}
    assert body["trigger_data"] == {"trigger_type": "MANUAL"}
    assert body["event"]["id"] == "e1"
    assert body["definition"]["jobs"] == {"a": {"uses": "noop"}}


async def test_the_service_token_is_sent_where_no_caller_is_known(bed):
    server, engine = await bed(token="service")
    await engine.start(task_of(1))
    assert server.requests[0][2]["Authorization"] == "Bearer service"


async def test_a_token_that_cannot_be_opened_is_never_sent(bed):
    server, engine = await bed()
    with pytest.raises(Rejected):
        await engine.start(task_of(1, bearer=PlainVault().seal(b"t", "another event")))
    assert server.requests == []


async def test_conflict_is_success(bed):
    _, engine = await bed()
    first = await engine.start(task_of(1))
    second = await engine.start(task_of(1))
    assert (second.external_id, second.already) == (first.external_id, True)


@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.ERROR_AFTER, Fault.LATE])
async def test_an_unknown_outcome_is_found_by_looking_it_up(bed, fault):
    server, engine = await bed(always(fault), start_seconds=0.05, idempotent=False)
    with pytest.raises(OutcomeUnknown):
        await engine.start(task_of(1))
    found = await engine.describe(run_of(1))
    assert (found.status, found.external_id, found.run_id) == (RunStatus.RUNNING, "x-1", "run-1")
    assert server.starts == {"run-1": 1}


@pytest.mark.parametrize("fault", [Fault.DROP_BEFORE, Fault.ERROR_BEFORE])
async def test_an_unknown_outcome_that_did_not_happen_is_not_found(bed, fault):
    _, engine = await bed(always(fault))
    with pytest.raises(OutcomeUnknown):
        await engine.start(task_of(1))
    assert await engine.describe(run_of(1)) is None


async def test_a_busy_engine_says_how_long_to_wait(bed):
    _, engine = await bed(always(Fault.BUSY))
    with pytest.raises(RetryAfter) as caught:
        await engine.start(task_of(1))
    assert caught.value.retry_after_seconds == 7


async def test_a_refusal_is_for_good(bed):
    _, engine = await bed(always(Fault.REFUSE))
    with pytest.raises(Rejected, match="422"):
        await engine.start(task_of(1))


async def test_an_engine_that_is_not_there_was_surely_not_called(bed):
    server, engine = await bed()
    await server.close()
    with pytest.raises(EngineUnavailable):
        await engine.start(task_of(1))
    with pytest.raises(EngineUnavailable):
        await engine.describe(run_of(1))


async def test_the_breaker_spares_a_failing_engine(bed):
    server, engine = await bed(always(Fault.ERROR_BEFORE), breaker=Breaker(failures_max=3, open_seconds=60))
    for number in range(3):
        with pytest.raises(OutcomeUnknown):
            await engine.start(task_of(number))
    with pytest.raises(EngineUnavailable) as caught:
        await engine.start(task_of(9))
    assert 0 < caught.value.retry_after_seconds <= 60
    assert len(server.requests) == 3


async def test_describe_follows_a_run_to_its_end(bed):
    server, engine = await bed()
    result = await engine.start(task_of(1))
    run = run_of(1, external_id=result.external_id, fence=4)
    server.finish("run-1", "COMPLETED", output={"sum": 3})
    change = await engine.describe(run)
    assert (change.status, change.fence, change.output) == (RunStatus.SUCCEEDED, 4, b'{"sum": 3}')
    assert change.ended_at - change.started_at == 60_000_000


async def test_cancel(bed):
    _, engine = await bed()
    result = await engine.start(task_of(1))
    run = run_of(1, external_id=result.external_id)
    await engine.cancel(run)
    assert (await engine.describe(run)).status is RunStatus.CANCELLED
    await engine.cancel(run)


async def test_cancel_finds_a_run_whose_id_was_never_heard(bed):
    _, engine = await bed(always(Fault.DROP_AFTER))
    with pytest.raises(OutcomeUnknown):
        await engine.start(task_of(1))
    await engine.cancel(run_of(1))
    assert (await engine.describe(run_of(1))).status is RunStatus.CANCELLED


async def test_cancel_of_an_unknown_run_needs_nothing(bed):
    _, engine = await bed()
    await engine.cancel(run_of(1))


async def test_a_start_that_commits_after_the_look_up_is_not_doubled_by_an_idempotent_engine(bed):
    faults = {1: Fault.COMMIT_LATE}
    server, engine = await bed(lambda key, attempt: faults.get(attempt, Fault.NONE), start_seconds=0.05)
    with pytest.raises(OutcomeUnknown):
        await engine.start(task_of(1))
    assert await engine.describe(run_of(1)) is None
    await engine.start(task_of(1))
    server.release()
    assert server.starts == {"run-1": 1}


async def deliver(engine, task):
    """What a dispatcher does: look an attempted start up before the next attempt. Return the engine's id."""
    attempted = False
    while True:
        known = await engine.describe(task.run) if attempted else None
        if known is not None:
            return known.external_id
        try:
            return (await engine.start(task)).external_id
        except (OutcomeUnknown, RetryAfter):
            attempted = True


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_thousand_starts_with_an_engine_that_forgets(bed, idempotent):
    chance = random.Random(7)  # noqa: S311 - a fixed plan of faults
    faults = [*[*Fault][:6], Fault.BUSY]
    plan = {(f"run-{number}", attempt): chance.choice(faults) for number in range(1000) for attempt in (1, 2)}
    server, engine = await bed(
        lambda key, attempt: plan.get((key, attempt), Fault.NONE), start_seconds=0.5, idempotent=idempotent
    )
    gate = asyncio.Semaphore(40)

    async def one(number):
        async with gate:
            return await deliver(engine, task_of(number))

    async with asyncio.timeout(60):
        found = await asyncio.gather(*(one(number) for number in range(1000)))
    assert sorted(found) == sorted(server.executions)
    assert len(server.starts) == 1000
    assert max(server.starts.values()) == 1

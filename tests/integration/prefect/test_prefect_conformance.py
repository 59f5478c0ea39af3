"""The engine `prefect` on a real server, judged by the suite that every engine passes."""

import uuid

import pytest

from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.errors import EngineUnavailable, Rejected
from workflow_scheduler.core.model.run import RunStatus
from workflow_scheduler.core.model.workflow import Definition
from workflow_scheduler.core.ports.engine import Task
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.engines.calls import engine_client
from workflow_scheduler.engines.flow_runs import STATUSES
from workflow_scheduler.engines.prefect import PrefectAddress, PrefectEngine
from workflow_scheduler.testing.conformance.engine import EngineConformance
from workflow_scheduler.testing.factories import make_run


class Patient:
    """Sends again what the server was too busy for, as the dispatcher does; Prefect's SQLite is busy easily."""

    def __init__(self, client, clock):
        self.client, self.clock = client, clock

    async def send(self, request):
        for _ in range(200):
            reply = await self.client.send(request)
            if reply.status != 503:
                break
            await self.clock.sleep(0.05)
        return reply

    async def close(self):
        await self.client.close()


class PrefectBed:
    """Flow runs that nothing works on, so that they end when the suite says so."""

    def __init__(self, server):
        self.server = server
        self.prefix = uuid.uuid4().hex
        server.idle_deployment("bed")
        address = PrefectAddress(api_url=server.api)
        clock = SystemClock()
        self.engine = PrefectEngine(address, Patient(engine_client(address.api_url), clock), clock)

    def task(self, number, deployment="bed/idle", **more):
        given = {"name": "w", "engine": "prefect", "prefect": {"deployment": deployment, **more}}
        run = make_run(id=f"{self.prefix}-{number}", engine="prefect", fence=3, input=b'{"n":1}')
        return Task(run, compile_graph(Definition.model_validate(given)))

    async def begun(self, run):
        return len(self.server.flow_runs(run.id))

    async def let_end(self, run):
        self.server.set_state(run.id, "COMPLETED")

    async def end_of(self, run):
        return (await self.engine.describe(run)).status


@pytest.fixture
async def bed(prefect):
    opened = PrefectBed(prefect)
    yield opened
    await opened.engine.close()


class TestPrefect(EngineConformance):
    pass


async def test_every_state_of_a_flow_run_is_understood(bed, prefect):
    run = bed.task(1).run
    await bed.engine.start(bed.task(1))
    flow_run = prefect.flow_runs(run.id)[0]["id"]
    known = prefect.call("GET", "/openapi.json")["components"]["schemas"]["StateType"]["enum"]
    assert set(known) == set(STATUSES)
    for kind, status in STATUSES.items():
        prefect.call("POST", f"/flow_runs/{flow_run}/set_state", {"state": {"type": kind}, "force": True})
        found = await bed.engine.describe(run)
        assert (found.status, found.external_id) == (status, flow_run)
        assert (found.error is not None) == (status is RunStatus.FAILED)


async def test_a_deployment_is_found_by_its_id_and_again_after_it_was_made_anew(bed, prefect):
    made = prefect.idle_deployment("anew")
    assert (await bed.engine.start(bed.task(1, "anew/idle"))).external_id
    prefect.call("DELETE", f"/deployments/{made['id']}")
    made = prefect.idle_deployment("anew")
    assert (await bed.engine.start(bed.task(2, "anew/idle"))).external_id
    assert (await bed.engine.start(bed.task(3, made["id"]))).external_id
    with pytest.raises(Rejected, match="has no deployment `nowhere/idle`"):
        await bed.engine.start(bed.task(4, "nowhere/idle"))


async def test_parameters_are_filled_in_and_refused_where_the_flow_takes_no_such(bed, prefect):
    wanted = {"parameters": {"a": "${input.n + 1}", "b": "${event == null ? 3 : 4}"}}
    await bed.engine.start(bed.task(1, "add/test", **wanted))
    (made,) = prefect.flow_runs(bed.task(1).run.id)
    assert made["parameters"] == {"a": 2, "b": 3}
    assert set(made["tags"]) == {"workflow-scheduler", f"run:{bed.task(1).run.id}", "tenant:local"}
    with pytest.raises(Rejected, match="'a' is a required property"):
        await bed.engine.start(bed.task(2, "add/test"))


async def test_a_server_that_is_not_there_was_surely_not_called(bed):
    address = PrefectAddress(api_url="http://127.0.0.1:9/api", api_key="k", auth="u:p")
    engine = PrefectEngine(address, engine_client(address.api_url), SystemClock())
    with pytest.raises(EngineUnavailable):
        await engine.start(bed.task(1))
    with pytest.raises(EngineUnavailable):
        await engine.describe(bed.task(1).run)
    await engine.close()
    assert address.authorization == "Bearer k"
    assert PrefectAddress(api_url="x", auth="u:p").authorization == "Basic dTpw"

"""The inspection finds broken rows by itself, lists them, and takes mended ones off the list."""

import pytest

from workflow_scheduler.core.dag.graph import compile_graph
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.registry import discover
from workflow_scheduler.pipeline.graphs import GraphCache
from workflow_scheduler.pipeline.inspection import Inspection
from workflow_scheduler.stores.portable.inspection import Inspector
from workflow_scheduler.stores.portable.quarantine import QuarantineRepository

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
HOOK = {"type": "webhook", "path": "p", "signature": "none"}
JOBS = discover("workflow_scheduler.jobs", "workflow_scheduler.jobs")


async def inspect(house):
    """Look once at everything, and return what is listed then."""
    graphs = GraphCache(house.catalog, lambda definition: compile_graph(definition, JOBS))
    rows = QuarantineRepository(house.store)
    inspection = Inspection(Inspector(house.store), rows, house.cache, graphs, house.clock)
    await inspection.run()
    return {(row.kind, row.detail) for row in (await rows.list("local")).items}


async def change(house, text, **params):
    def work():
        yield Sql(text, params)

    await house.store.transact(work())


async def test_healthy_rows_are_not_listed(house):
    await house.deploy("well", hook=HOOK, hourly={"type": "cron", "cron": "0 * * * *"})
    assert await inspect(house) == set()


async def test_broken_rows_are_listed_and_mended_ones_are_not_any_more(house):
    await house.deploy("well", hook=HOOK)
    good = (await house.store.read("SELECT trigger_config FROM trigger_index"))[0][0]
    await change(house, "UPDATE trigger_index SET trigger_config = :bad", bad='{"path": 5}')
    [(kind, detail)] = await inspect(house)
    assert kind == "trigger_index"
    assert "path" in detail
    await change(house, "UPDATE trigger_index SET trigger_config = :good", good=good)
    assert await inspect(house) == set()


async def test_a_live_version_that_is_missing_or_unreadable_is_listed(house):
    await house.deploy("well", hook=HOOK)
    await change(house, "UPDATE workflow_versions SET definition = :bad", bad='{"name": 7}')
    [(kind, detail)] = await inspect(house)
    assert kind == "workflows"
    assert "cannot be read" in detail
    await change(house, "DELETE FROM workflow_versions")
    await change(house, "DELETE FROM quarantine")
    assert await inspect(house) == {("workflows", "its live version 1 is missing")}


async def test_a_schedule_without_its_trigger_is_listed_and_disarmed(house):
    await house.deploy("well", hourly={"type": "cron", "cron": "0 * * * *"})
    await change(house, "DELETE FROM trigger_index")
    assert await inspect(house) == {("schedules", "its trigger is missing")}
    assert await house.store.read("SELECT next_fire_at FROM schedules") == [(None,)]


async def test_a_schedule_of_another_kind_than_its_trigger_is_listed(house):
    await house.deploy("well", hourly={"type": "cron", "cron": "0 * * * *"})
    await change(house, "UPDATE schedules SET kind = 'once'")
    assert await inspect(house) == {("schedules", "it is of kind `once`, and its trigger of type `cron`")}

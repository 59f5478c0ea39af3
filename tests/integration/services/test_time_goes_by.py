"""A definition that was accepted stays deployable when the time of one of its triggers has passed."""

import pytest

from workflow_scheduler.core.errors import Conflict, DefinitionInvalid
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.time.clock import from_iso, to_iso

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
HOUR = 3600


@pytest.fixture
def once(plane):
    """A definition with a one-time schedule in an hour."""
    at = to_iso(plane.clock.now() + HOUR * 1_000_000)

    def definition(job="a", run_at=at):
        return {
            "name": "report",
            "triggers": {"t": {"type": "once", "run_at": run_at}},
            "jobs": {job: {"uses": "noop"}},
        }

    return definition


async def test_a_change_beside_a_past_one_time_schedule_is_deployed_with_a_warning(plane, once):
    await plane.deploy(once())
    await plane.clock.advance(2 * HOUR)
    plan = await plane.deployments.plan(LOCAL, once("b"))
    assert [name for name in plan["triggers"] if plan["triggers"][name]] == ["unchanged"]
    assert "is past" in plan["warnings"][0]
    assert (await plane.workflows.validate(LOCAL, once("b")))["valid"]
    assert (await plane.deploy(once("b")))["live_version"] == 2
    assert (await plane.workflows.update(LOCAL, "report", once("c")))["version"] == 3
    assert (await plane.deployments.deploy(LOCAL, "report"))["live_version"] == 3


async def test_creating_it_again_is_a_conflict_and_no_mistake_of_the_file(plane, once):
    await plane.deploy(once())
    await plane.clock.advance(2 * HOUR)
    with pytest.raises(Conflict, match="already"):
        await plane.workflows.create(LOCAL, once())


async def test_a_new_past_time_is_still_refused(plane, once):
    await plane.deploy(once())
    await plane.clock.advance(2 * HOUR)
    with pytest.raises(DefinitionInvalid, match="is past"):
        await plane.deploy(once(run_at=to_iso(plane.clock.now() - 1_000_000)))


async def test_rolling_back_to_a_past_one_time_schedule_starts_nothing(plane, once):
    await plane.deploy(once())
    await plane.deploy({"name": "report", "jobs": {"a": {"uses": "noop"}}})
    await plane.clock.advance(2 * HOUR)
    assert (await plane.deployments.rollback(LOCAL, "report", 1))["live_version"] == 1
    due = (await plane.due())["t"]
    assert (due.fire, due.completed) == (None, True)


async def test_another_trigger_can_be_added_beside_a_past_one(plane, once):
    await plane.deploy(once())
    await plane.clock.advance(2 * HOUR)
    await plane.triggers.create(
        LOCAL, {"workflow": "report", "name": "n", "type": "cron", "config": {"cron": "0 2 * * *"}}
    )
    added = (await plane.triggers_of("report"))["n"]
    assert from_iso(added["next_fire_at"]) > plane.clock.now()


async def row_of(plane):
    return (await plane.store.read("SELECT anchor, paused, paused_by FROM schedules"))[0]


def every(minutes, job="a"):
    return {
        "name": "report",
        "triggers": {"t": {"type": "interval", "every": f"{minutes}m"}},
        "jobs": {job: {"uses": "noop"}},
    }


async def test_an_interval_keeps_its_beat_when_the_file_changes_while_it_is_out_of_service(plane):
    await plane.deploy(every(50))
    anchor = (await row_of(plane))[0]
    await plane.clock.advance(HOUR)
    await plane.deployments.undeploy(LOCAL, "report")
    await plane.clock.advance(HOUR)
    await plane.deploy(every(50, "b"))
    assert (await row_of(plane))[0] == anchor
    await plane.deploy(every(40, "b"))
    assert (await row_of(plane))[0] != anchor


async def test_a_pause_outlives_a_new_rule_that_is_deployed_after_a_time_out_of_service(plane):
    await plane.deploy(every(50))
    await plane.store.transact(_paused())
    await plane.deployments.undeploy(LOCAL, "report")
    await plane.deploy(every(40))
    assert (await row_of(plane))[1:] == (1, "eve")


def _paused():
    yield Sql("UPDATE schedules SET paused = 1, paused_by = 'eve'")

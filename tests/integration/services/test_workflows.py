"""Workflows and their versions."""

import asyncio

import pytest

from workflow_scheduler.core.errors import Conflict, DefinitionInvalid, NotFound, PreconditionFailed, ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.core.time.clock import SECOND_US, from_iso, to_iso
from workflow_scheduler.services.definitions import Text
from workflow_scheduler.stores.portable.workflows import WorkflowFilter

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
STRANGER = Principal(tenant_id="stranger", user_id="mallory")
YAML = """# nightly
version: 1
name: report
triggers:
  t: {type: cron, cron: "0 * * * *"}
jobs: {a: {uses: noop}}
"""


def definition(name="report", expression="0 * * * *", **more):
    return {
        "name": name,
        "triggers": {"t": {"type": "cron", "cron": expression}},
        "jobs": {"a": {"uses": "noop"}},
        **more,
    }


async def test_a_new_workflow_is_shown_as_it_was_written(plane):
    made = await plane.workflows.create(LOCAL, Text(YAML))
    assert (made["name"], made["version"], made["deployment_status"], made["paused"]) == (
        "report", 1, "UNDEPLOYED", False,
    )  # fmt: skip
    assert made["definition"]["triggers"]["t"] == {"type": "cron", "cron": "0 * * * *"}
    assert made["triggers"][0]["deployment_status"] == "pending"
    assert await plane.workflows.get(LOCAL, "report") == await plane.workflows.get(LOCAL, made["id"])
    version = await plane.workflows.version(LOCAL, "report", 1)
    assert (version["source"], version["format"]) == (YAML, "yaml")


async def test_names_are_unique_in_a_tenant(plane):
    await plane.workflows.create(LOCAL, definition())
    with pytest.raises(Conflict, match="a workflow `report` already"):
        await plane.workflows.create(LOCAL, definition())
    await plane.workflows.create(STRANGER, definition())


async def test_mistakes_are_refused_and_nothing_is_stored(plane):
    with pytest.raises(DefinitionInvalid):
        await plane.workflows.create(LOCAL, definition(expression="0 99 * * *"))
    assert (await plane.workflows.page(LOCAL)).items == []


async def test_a_change_is_a_new_version_and_the_same_is_none(plane):
    await plane.workflows.create(LOCAL, Text(YAML))
    same = await plane.workflows.update(LOCAL, "report", {**definition(), "version": 1})
    assert same["version"] == 1
    changed = await plane.workflows.update(LOCAL, "report", definition(expression="5 * * * *"))
    assert (changed["version"], changed["revision"]) == (2, 2)
    versions = (await plane.workflows.versions(LOCAL, "report")).items
    assert [(v["version"], v["live"]) for v in versions] == [(2, False), (1, False)]


async def test_what_is_live_stays_live_until_a_deploy(plane):
    await plane.deploy(definition())
    await plane.workflows.update(LOCAL, "report", definition(expression="5 * * * *"))
    shown = await plane.workflows.get(LOCAL, "report")
    assert (shown["version"], shown["live_version"]) == (2, 1)
    assert shown["triggers"][0]["config"]["cron"] == "0 * * * *"


async def test_a_stale_revision_is_refused(plane):
    made = await plane.workflows.create(LOCAL, definition())
    await plane.workflows.update(LOCAL, "report", definition(expression="5 * * * *"), revision=made["revision"])
    with pytest.raises(PreconditionFailed, match="at revision 2, not 1"):
        await plane.workflows.update(LOCAL, "report", definition(expression="6 * * * *"), revision=made["revision"])


async def test_a_workflow_can_be_renamed_unless_the_name_is_taken(plane):
    made = await plane.workflows.create(LOCAL, definition())
    await plane.workflows.create(LOCAL, definition("other"))
    with pytest.raises(Conflict):
        await plane.workflows.update(LOCAL, "report", definition("other"))
    renamed = await plane.workflows.update(LOCAL, "report", definition("new-name"))
    assert (renamed["id"], renamed["name"]) == (made["id"], "new-name")
    with pytest.raises(NotFound):
        await plane.workflows.get(LOCAL, "report")


async def test_a_deployed_workflow_is_deleted_only_by_force(plane):
    await plane.deploy(definition())
    with pytest.raises(Conflict, match="deployed"):
        await plane.workflows.delete(LOCAL, "report")
    assert len(await plane.keys()) == 1
    await plane.workflows.delete(LOCAL, "report", force=True)
    with pytest.raises(NotFound):
        await plane.workflows.get(LOCAL, "report")
    for table in ("workflows", "workflow_versions", "trigger_index", "trigger_keys", "schedules", "deployments"):
        assert await plane.count(table) == 0


async def test_lists_come_by_name_in_pages_and_filtered(plane):
    for name in ("b", "a_x", "c", "axx"):
        await plane.workflows.create(LOCAL, definition(name))
    await plane.deploy({"name": "hooked", "triggers": {"h": {"type": "webhook", "signature": "none"}}, "jobs": {}})
    first = await plane.workflows.page(LOCAL, limit=2)
    rest = await plane.workflows.page(LOCAL, limit=9, after=first.next)
    assert [w["name"] for w in [*first.items, *rest.items]] == ["a_x", "axx", "b", "c", "hooked"]
    assert rest.next is None

    async def named(**wanted):
        return [w["name"] for w in (await plane.workflows.page(LOCAL, wanted=WorkflowFilter(**wanted))).items]

    assert await named(name="_") == ["a_x"]
    assert await named(trigger_type="webhook") == ["hooked"]
    assert await named(status="DEPLOYED") == ["hooked"]
    with pytest.raises(ValidationFailed, match="not a deployment status"):
        await named(status="deployed")


async def test_a_difference_between_versions(plane):
    await plane.workflows.create(LOCAL, definition())
    await plane.workflows.update(LOCAL, "report", definition(expression="5 * * * *"))
    found = await plane.workflows.diff(LOCAL, "report", 1, 2)
    assert found["changes"] == [
        {"path": ["triggers", "t", "cron"], "op": "changed", "before": "0 * * * *", "after": "5 * * * *"}
    ]


async def test_validation_tells_everything_and_stores_nothing(plane):
    wrong = await plane.workflows.validate(LOCAL, Text("name: x\njobz: {}\n"))
    assert not wrong["valid"]
    assert wrong["errors"] == [
        {"field": "jobz", "message": "unknown field `jobz`, did you mean `jobs`?", "line": 2, "column": 1,
         "suggestion": "jobs"}
    ]  # fmt: skip
    right = await plane.workflows.validate(LOCAL, Text(YAML))
    assert (right["valid"], right["triggers"], right["jobs"]) == (True, {"t": "cron"}, ["a"])
    assert (await plane.workflows.page(LOCAL)).items == []


async def test_dependencies_are_shown_in_levels(plane):
    jobs = {"d": {"uses": "noop", "needs": ["b", "c"]}, "a": {"uses": "noop"},
            "b": {"uses": "noop", "needs": ["a"]}, "c": {"uses": "noop", "needs": ["a"]}}  # fmt: skip
    found = await plane.workflows.validate_dependencies(LOCAL, {"name": "x", "jobs": jobs})
    assert (found["valid"], found["levels"]) == (True, [["a"], ["b", "c"], ["d"]])
    jobs["a"]["needs"] = ["d"]
    found = await plane.workflows.validate_dependencies(LOCAL, {"name": "x", "jobs": jobs})
    assert not found["valid"]
    assert "→" in found["errors"][0]["message"]


async def test_dependencies_between_workflows_are_checked_as_well(plane):
    await plane.deploy({"name": "b", "triggers": {"t": {"type": "workflow", "workflow": "a"}}, "jobs": {}})
    found = await plane.workflows.validate_dependencies(
        LOCAL, {"name": "a", "triggers": {"t": {"type": "workflow", "workflow": "b"}}, "jobs": {}}
    )
    assert not found["valid"]
    assert "a → b → a" in found["errors"][0]["message"]


async def test_a_pause_stops_timers_and_resuming_goes_on_with_the_next_slot(plane):
    await plane.deploy(definition())
    paused = await plane.workflows.pause(LOCAL, "report", reason="stocktaking")
    assert (paused["paused"], paused["paused_reason"], paused["paused_by"]) == (True, "stocktaking", "local")
    assert (await plane.due())["t"].paused
    await plane.clock.advance(3 * 3600 + 60)
    resumed = await plane.workflows.resume(LOCAL, "report")
    assert not resumed["paused"]
    due = (await plane.due())["t"]
    assert (due.paused, to_iso(due.fire)) == (False, "2027-01-05T16:00:00Z")
    rows = await plane.store.read("SELECT nominal, outcome, reason FROM occurrences ORDER BY nominal")
    assert [(to_iso(row[0]), row[2]) for row in rows] == [
        (f"2027-01-05T{hour}:00:00Z", "missed_paused") for hour in (13, 14, 15)
    ]


@pytest.mark.parametrize("missed", ["latest", "all"])
async def test_what_was_missed_can_be_asked_for(plane, missed):
    await plane.deploy(definition())
    await plane.workflows.pause(LOCAL, "report")
    await plane.clock.advance(3 * 3600 + 60)
    await plane.workflows.resume(LOCAL, "report", missed=missed)
    due = (await plane.due())["t"]
    assert due.fire <= plane.clock.now()
    assert to_iso(due.nominal) == "2027-01-05T13:00:00Z"
    rows = await plane.store.read("SELECT resume_until, resume_as FROM schedules WHERE resume_as IS NOT NULL")
    assert rows == [(plane.clock.now(), missed)]


async def test_a_pause_with_an_end_ends_by_itself(plane):
    await plane.deploy(definition())
    with pytest.raises(ValidationFailed, match="passed already"):
        await plane.workflows.pause(LOCAL, "report", until=plane.clock.now())
    await plane.workflows.pause(LOCAL, "report", until=plane.clock.now() + 60 * SECOND_US)
    watching = asyncio.create_task(plane.workflows.watch_pauses())
    try:
        await plane.clock.advance(30)
        assert (await plane.workflows.get(LOCAL, "report"))["paused"]
        await plane.clock.advance(31)
        for _ in range(200):
            if not (await plane.workflows.get(LOCAL, "report"))["paused"]:
                break
            await plane.clock.advance(2)
    finally:
        watching.cancel()
    assert not (await plane.workflows.get(LOCAL, "report"))["paused"]
    assert not (await plane.due())["t"].paused


async def test_pausing_all_leaves_other_tenants_alone(plane):
    for name in ("a", "b"):
        await plane.deploy(definition(name))
    await plane.deploy(definition("theirs"), STRANGER)
    assert (await plane.workflows.pause_all(LOCAL, reason="flood"))["paused"] == 2
    assert (await plane.workflows.pause_all(LOCAL))["paused"] == 0
    assert not (await plane.workflows.get(STRANGER, "theirs"))["paused"]
    assert await plane.workflows.resume_all(LOCAL) == {"resumed": 2}


async def test_a_schedule_that_a_person_paused_stays_paused(plane):
    await plane.deploy(definition())
    await plane.write("UPDATE schedules SET paused = 1, paused_by = 'ada'")
    await plane.workflows.pause(LOCAL, "report")
    await plane.workflows.resume(LOCAL, "report")
    assert (await plane.due())["t"].paused


async def test_a_timer_deployed_into_a_paused_workflow_rests(plane):
    await plane.deploy(definition())
    await plane.workflows.pause(LOCAL, "report")
    await plane.deploy(definition(expression="7 * * * *"))
    assert (await plane.due())["t"].paused
    await plane.workflows.resume(LOCAL, "report")
    due = (await plane.due())["t"]
    assert (due.paused, due.fire) == (False, from_iso("2027-01-05T12:07:00Z"))


async def test_other_tenants_see_nothing(plane):
    made = await plane.workflows.create(LOCAL, definition())
    assert (await plane.workflows.page(STRANGER)).items == []
    for reference in ("report", made["id"]):
        for call in (
            plane.workflows.get(STRANGER, reference),
            plane.workflows.update(STRANGER, reference, definition()),
            plane.workflows.delete(STRANGER, reference, force=True),
            plane.workflows.versions(STRANGER, reference),
            plane.workflows.version(STRANGER, reference, 1),
            plane.workflows.diff(STRANGER, reference, 1, 1),
            plane.workflows.pause(STRANGER, reference),
            plane.workflows.resume(STRANGER, reference),
        ):
            with pytest.raises(NotFound, match="there is no workflow"):
                await call
    assert await plane.workflows.get(LOCAL, "report")


async def test_a_malformed_row_is_left_out_of_the_list(plane):
    await plane.workflows.create(LOCAL, definition("good"))
    await plane.workflows.create(LOCAL, definition("bad"))
    await plane.write("UPDATE workflow_versions SET definition = '{not json' WHERE workflow_id = "
                      "(SELECT id FROM workflows WHERE name = 'bad')")  # fmt: skip
    await plane.write("UPDATE trigger_index SET trigger_config = 'not json' WHERE workflow_id = "
                      "(SELECT id FROM workflows WHERE name = 'bad')")  # fmt: skip
    found = {w["name"]: w for w in (await plane.workflows.page(LOCAL)).items}
    assert found["bad"]["definition"] is None
    assert found["good"]["definition"]["name"] == "good"

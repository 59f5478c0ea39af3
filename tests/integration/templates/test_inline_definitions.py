"""Schedules and triggers that bring their workflow's definition along."""

from __future__ import annotations

import pytest

from workflow_scheduler.core.model.principal import LOCAL

JOBS = {"version": 1, "jobs": {"say": {"uses": "noop", "with": {"output": "hello"}}}}
BOTH = ["sqlite", "postgres"]


async def count(application, table):
    return (await application.store.read(f"SELECT COUNT(*) FROM {table}"))[0][0]  # noqa: S608 -- a constant


@pytest.mark.parametrize("database", BOTH, indirect=True)
async def test_a_schedule_with_a_definition_makes_its_workflow_live_and_refers_to_it(client):
    body = {"name": "nightly", "cron": "0 2 * * *", "definition": {**JOBS, "name": "report"}}
    made = await client.post("/api/v1/schedules", json=body)
    assert made.status == 201, made.text
    assert (made.json()["workflow"], made.json()["deployment_status"]) == ("report", "active")
    workflow = (await client.get("/api/v1/workflows/report")).json()
    assert (workflow["version"], workflow["deployment_status"]) == (1, "DEPLOYED")
    assert workflow["id"] == made.json()["workflow_id"]
    second = await client.post("/api/v1/schedules", json={**body, "name": "noon", "cron": "0 12 * * *"})
    assert (second.status, second.json()["workflow_id"]) == (201, workflow["id"])
    assert (await client.post("/api/v1/schedules", json=body)).status == 409


async def test_a_trigger_takes_yaml_and_a_definition_without_a_name_gets_its_own(client):
    text = "version: 1\njobs:\n  say: {uses: noop, with: {output: '${event.data.n}'}}\n"
    body = {"name": "counted", "type": "event", "config": {"event": "count"}, "workflow_definition": text}
    made = await client.post("/api/v1/triggers", json=body)
    assert made.status == 201, made.text
    assert made.json()["workflow"] == "counted"
    told = {"specversion": "1.0", "id": "1", "source": "/x", "type": "count", "data": {"n": 4}}
    headers = {"content-type": "application/cloudevents+json"}
    assert (await client.post("/api/v1/events?wait=run", json=told, headers=headers)).json()["output"] == 4


async def test_another_definition_under_a_name_that_is_taken_is_refused_and_changes_nothing(client, application):
    body = {"name": "nightly", "cron": "0 2 * * *", "definition": {**JOBS, "name": "report"}}
    await client.post("/api/v1/schedules", json=body)
    other = {**body, "name": "noon", "definition": {"version": 1, "name": "report", "jobs": {"x": {"uses": "noop"}}}}
    refused = await client.post("/api/v1/schedules", json=other)
    assert (refused.status, "another definition" in refused.json()["detail"]) == (409, True)
    assert await count(application, "workflow_versions") == 1


async def test_what_is_wrong_is_named_and_nothing_is_stored(client, application):
    body = {"name": "nightly", "cron": "0 2 * * *"}
    for more, field in (
        ({"definition": JOBS, "workflow": "report"}, "workflow"),
        ({"definition": {"version": 1, "jobs": {"say": {"uses": "nop"}}}}, "jobs.say.uses"),
        ({"definition": {**JOBS, "name": ["x"]}}, "definition.name"),
    ):
        refused = await client.post("/api/v1/schedules", json={**body, **more})
        assert refused.status == 422, refused.text
        assert [one["field"] for one in refused.json()["errors"]] == [field]
    assert (await client.post("/api/v1/schedules", json=body)).status == 422
    assert await count(application, "workflows") == 0
    made = (await client.post("/api/v1/schedules", json={**body, "definition": JOBS})).json()
    changed = await client.put(f"/api/v1/schedules/{made['id']}", json={"cron": "0 3 * * *", "definition": JOBS})
    assert [one["field"] for one in changed.json()["errors"]] == ["definition"]


@pytest.mark.parametrize("database", BOTH, indirect=True)
async def test_a_request_that_was_cut_off_before_the_deployment_is_made_up_for_when_it_is_repeated(client, application):
    trigger = {"type": "event", "event": "count"}
    half = {**JOBS, "name": "report", "triggers": {"counted": trigger}}
    await application.context.workflows.create(LOCAL, half)
    body = {"name": "counted", "type": "event", "config": {"event": "count"}, "definition": {**JOBS, "name": "report"}}
    made = await client.post("/api/v1/triggers", json=body)
    assert (made.status, made.json()["deployment_status"]) == (201, "active"), made.text
    assert (await client.get("/api/v1/workflows/report")).json()["version"] == 1

"""Templates through the HTTP API: kept, changed, run, and made into workflows."""

from __future__ import annotations

import pytest

from workflow_scheduler.core.model.principal import LOCAL_TENANT
from workflow_scheduler.testing.factories import Rows

BOTH = ["sqlite", "postgres"]
BASE = "/api/v1/templates"
SCHEMA = {
    "type": "object",
    "required": ["email"],
    "additionalProperties": False,
    "properties": {
        "email": {"type": "string", "pattern": "^[^@]+@[^@]+$", "title": "Whom"},
        "greeting": {"type": "string", "default": "Hello"},
        "options": {"type": "object", "properties": {"loud": {"type": "boolean", "default": False}}},
    },
}
GREET = {
    "name": "greet",
    "description": "Says hello. To anybody.",
    "category": "notifications",
    "input_schema": SCHEMA,
    "definition": {
        "version": 1,
        "triggers": {"nightly": {"type": "cron", "cron": "0 2 * * *"}, "told": {"type": "event", "event": "guest"}},
        "jobs": {"say": {"uses": "noop", "with": {"output": "${input.greeting}, ${input.email}"}}},
    },
}


async def make(client, **parts):
    reply = await client.post(BASE, json={**GREET, **parts})
    assert reply.status == 201, reply.text
    return reply.json()


async def run(client, name="greet", query="?wait=run", **body):
    return await client.post(f"{BASE}/{name}/run{query}", json=body)


async def count(application, table):
    return (await application.store.read(f"SELECT COUNT(*) FROM {table}"))[0][0]  # noqa: S608 -- a constant


@pytest.mark.parametrize("database", BOTH, indirect=True)
async def test_a_template_runs_without_any_deployment_and_says_why(client):
    await make(client)
    reply = await run(client, input={"email": "ann@example.test"})
    assert reply.status == 202, reply.text
    started = reply.json()
    assert (started["status"], started["output"]) == ("SUCCEEDED", "Hello, ann@example.test")
    shown = (await client.get(f"/api/v1/runs/{started['run_id']}")).json()
    assert (shown["workflow"], shown["trigger_type"]) == ("greet", "manual")
    assert shown["input"] == {"email": "ann@example.test", "greeting": "Hello"}
    why = (await client.get(started["explain"])).json()
    assert why["event"]["source"] == "/templates/greet"
    assert [line["outcome"] for line in why["decisions"]] == ["run_started"]
    assert "from the template *greet*" in shown["cause"]["summary"]
    assert (await client.get("/api/v1/workflows")).json()["items"] == []


async def test_an_input_that_does_not_fit_is_refused_by_field_before_anything_is_stored(client, application):
    await make(client)
    before = await count(application, "events")
    for given, field in (
        ({}, "input.email"),
        (None, "input.email"),
        ({"email": "nobody"}, "input.email"),
        ({"email": "a@b", "options": {"loud": "yes"}}, "input.options.loud"),
        ({"email": "a@b", "what": 1}, "input"),
        ([], "input"),
    ):
        reply = await run(client, input=given)
        assert reply.status == 422, reply.text
        assert [one["field"] for one in reply.json()["errors"]] == [field]
    assert await count(application, "events") == before
    assert await count(application, "runs") == 0
    assert await count(application, "workflow_versions") == 0


@pytest.mark.parametrize("database", BOTH, indirect=True)
async def test_equal_keys_start_one_run_and_another_body_is_refused(client, application):
    await make(client)
    key = {"idempotency-key": "k-1"}
    first = await client.post(f"{BASE}/greet/run", json={"input": {"email": "a@b"}}, headers=key)
    again = await client.post(f"{BASE}/greet/run", json={"input": {"email": "a@b"}}, headers=key)
    other = await client.post(f"{BASE}/greet/run", json={"input": {"email": "c@d"}}, headers=key)
    assert (first.status, again.status, other.status) == (202, 202, 422)
    assert first.json()["run_id"] == again.json()["run_id"]
    assert await count(application, "runs") == 1


async def test_a_change_needs_the_version_that_was_read_and_leaves_runs_on_their_own(client, application):
    await make(client)
    first = (await run(client, input={"email": "a@b"})).json()
    shown = await client.get(f"{BASE}/greet")
    assert (shown.headers["etag"], shown.json()["version"]) == ('"1"', 1)
    job = {"uses": "noop", "with": {"output": "Bye, ${input.email}"}}
    body = {**GREET, "definition": {"version": 1, "jobs": {"say": job}}}
    del body["name"]
    changed = await client.put(f"{BASE}/greet", json=body, headers={"if-match": '"1"'})
    assert (changed.status, changed.json()["version"]) == (200, 2)
    stale = await client.put(f"{BASE}/greet", json=body, headers={"if-match": '"1"'})
    assert stale.status == 412
    second = (await run(client, input={"email": "a@b"})).json()
    assert second["output"] == "Bye, a@b"
    versions = [(await client.get(f"/api/v1/runs/{one['run_id']}")).json()["version"] for one in (first, second)]
    assert versions == [1, 2]
    again = (await client.post("/api/v1/events/replay", json={"ids": [first["event_id"]]})).json()
    (repeated,) = again["items"][0]["run_ids"]
    ended = (await client.get(f"/api/v1/runs/{repeated}/wait")).json()
    assert (ended["version"], ended["output"]) == (1, "Hello, a@b")
    assert await count(application, "workflow_versions") == 2


async def test_what_is_wrong_with_a_template_is_told_by_field(client):
    for part, field in (
        ({"definition": None}, "definition"),
        ({"definition": {"version": 1, "jobs": {"a": {"uses": "htpp"}}}}, "definition.jobs.a.uses"),
        ({"input_schema": {"type": "objekt"}}, "input_schema.type"),
        ({"input_schema": {"type": "array"}}, "input_schema.type"),
        ({"input_schema": {"properties": {"a": {"pattern": "("}}}}, "input_schema.properties.a.pattern"),
        ({"input_schema": {"properties": {"a": {"$ref": "http://10.0.0.1/x"}}}}, "input_schema.properties.a.$ref"),
        ({"name": "no name"}, "name"),
    ):
        reply = await client.post(BASE, json={**GREET, **part})
        assert reply.status == 422, reply.text
        assert [one["field"] for one in reply.json()["errors"]] == [field]
    assert (await client.post(BASE, json={**GREET, "colour": "red"})).status == 422
    assert (await client.get(f"{BASE}/greet")).status == 404


async def test_names_are_taken_once_and_lists_go_on_where_they_ended(client):
    await make(client, definition="version: 1\nname: other\njobs:\n  say: {uses: noop}\n")
    assert (await client.post(BASE, json=GREET)).status == 409
    await make(client, name="zz-last", category="etl")
    names, cursor = [], ""
    while cursor is not None:
        page = (await client.get(f"{BASE}?limit=2{cursor and f'&cursor={cursor}'}")).json()
        names += [one["name"] for one in page["items"]]
        cursor = page["next"]
    assert names == sorted(set(names))
    assert {"greet", "welcome-email", "zz-last"} <= set(names)
    own = (await client.get(f"{BASE}?category=notifications")).json()["items"]
    assert "greet" in [one["name"] for one in own]
    assert "zz-last" not in [one["name"] for one in own]
    assert "definition" not in own[0]
    assert (await client.get(f"{BASE}/greet")).json()["definition"]["name"] == "greet"


async def test_those_that_come_with_the_program_are_hidden_by_own_ones_and_come_back(client):
    shown = (await client.get(f"{BASE}/welcome-email")).json()
    assert shown["builtin"]
    body = {part: value for part, value in GREET.items() if part != "name"}
    assert (await client.put(f"{BASE}/welcome-email", json=body)).status == 409
    assert (await client.delete(f"{BASE}/welcome-email")).status == 409
    await make(client, name="welcome-email")
    assert not (await client.get(f"{BASE}/welcome-email")).json()["builtin"]
    listed = [one for one in (await client.get(BASE)).json()["items"] if one["name"] == "welcome-email"]
    assert [one["builtin"] for one in listed] == [False]
    assert (await run(client, "welcome-email", input={"email": "a@b"})).json()["status"] == "SUCCEEDED"
    assert (await client.delete(f"{BASE}/welcome-email")).status == 204
    assert (await client.get(f"{BASE}/welcome-email")).json()["builtin"]
    assert (await client.delete(f"{BASE}/nothing")).status == 404


async def test_a_workflow_made_from_a_template_holds_its_input_ready_and_a_run_may_override_it(client):
    event = {**SCHEMA["properties"]["email"], "x-from-event": True}
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "email": event}}
    await make(client, input_schema=schema)
    body = {"workflow": "greetings", "input": {"greeting": "Servus"}, "deploy": True}
    made = await client.post(f"{BASE}/greet/instantiate", json=body)
    assert made.status == 201, made.text
    workflow = made.json()
    assert (workflow["deployment_status"], workflow["definition"]["input"]) == ("DEPLOYED", {"greeting": "Servus"})
    assert sorted(one["name"] for one in workflow["triggers"]) == ["nightly", "told"]
    assert (await client.post(f"{BASE}/greet/instantiate", json=body)).status == 409
    headers = {"content-type": "application/cloudevents+json"}
    told = {"specversion": "1.0", "id": "1", "source": "/door", "type": "guest", "data": {"email": "eve@x"}}
    heard = (await client.post("/api/v1/events?wait=run", json=told, headers=headers)).json()
    assert heard["output"] == "Servus, eve@x"
    start = "/api/v1/triggers/workflows/greetings/manual?wait=run"
    by_hand = await client.post(start, json={"input": {"email": "a@b", "greeting": "Hi"}})
    assert by_hand.json()["output"] == "Hi, a@b"
    refused = await client.post(f"{BASE}/greet/instantiate", json={"workflow": "x", "input": {"greeting": 1}})
    assert [one["field"] for one in refused.json()["errors"]] == ["input.greeting"]
    undeployed = (await client.post(f"{BASE}/greet/instantiate", json={"workflow": "later"})).json()
    assert undeployed["deployment_status"] == "UNDEPLOYED"


async def test_a_template_whose_connection_is_not_there_does_not_start(client, application):
    job = {"uses": "email", "with": {"connection": "mail", "to": "a@b", "subject": "s", "text": "t"}}
    await make(client, definition={"version": 1, "jobs": {"send": job}})
    reply = await run(client, input={"email": "a@b"})
    assert reply.status == 422
    assert "connection" in reply.json()["detail"]
    assert await count(application, "runs") == 0


@pytest.mark.parametrize("database", BOTH, indirect=True)
async def test_a_row_that_cannot_be_read_is_listed_as_such_and_holds_up_no_other(client, application):
    await make(client, name="other")
    await Rows(application.store).raw(
        "workflow_templates", tenant_id=LOCAL_TENANT, name="greet", description="", category="notifications",
        definition="{}", input_schema="[", version=1, created_at=1, updated_at=1,
    )  # fmt: skip
    listed = [one["name"] for one in (await client.get(f"{BASE}?category=notifications")).json()["items"]]
    assert "other" in listed
    assert "greet" not in listed
    assert (await run(client, input={})).status == 409
    found = (await client.get("/api/v1/quarantine")).json()["items"]
    assert [(one["kind"], one["id"]) for one in found] == [("workflow_templates", "greet")]
    body = {part: value for part, value in GREET.items() if part != "name"}
    assert (await client.put(f"{BASE}/greet", json=body)).status == 200
    assert (await run(client, input={"email": "a@b"})).json()["status"] == "SUCCEEDED"

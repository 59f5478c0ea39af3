"""A foreign id answers exactly like one that never was, on every operation of the OpenAPI document."""

from __future__ import annotations

import re
import uuid

BODIES = {
    "/api/v1/connections/{name}": {"kind": "smtp", "fields": {"host": "mail.example.test"}},
    "/api/v1/connections/{name}/rotate": {"secrets": {"secret": "new"}, "test": False},
    "/api/v1/triggers/{trigger_id}/mode": {"mode": "disabled"},
    "/api/v1/triggers/{trigger_id}/test": {"event": {"type": "webhook", "data": {}}},
    "/api/v1/triggers/{trigger_id}/simulate": {"condition": "true"},
    "/api/v1/schedules/{schedule_id}": {"cron": "0 3 * * *"},
    "/api/v1/calendars/{calendar}": {"dates": ["2027-12-25"]},
    "/api/v1/schedules/{schedule_id}/unskip": {"at": "2099-01-01T00:00:00Z"},
}
QUERIES = {
    "/api/v1/workflows/{workflow_id}/diff": "?from=1&to=1",
    "/api/v1/workflows/{workflow_id}": "?force=true",
    "/api/v1/runs/{run_id}/wait": "?timeout=0",
}
FIXED = {"version": "1", "number": "1", "kind": "events", "system": "argo", "provider": "google"}
JSON = {"content-type": "application/json"}
PUBLIC = ("/webhooks/", "/api/v1/public/")


def stranger(value):
    """Return an id of the same form that nobody has."""
    try:
        return str(uuid.UUID(int=uuid.UUID(value).int ^ 0xABCDEF))
    except ValueError:
        return "q" * len(value)


def own_parameter(path):
    return next((name for name in re.findall(r"\{(\w+)\}", path) if name not in FIXED), None)


def filled(path, name, value):
    for fixed, number in FIXED.items():
        path = path.replace("{" + fixed + "}", number)
    return path.replace("{" + name + "}", value) + QUERIES.get(path, "")


def body_of(path, method, operation, document):
    """Return the body to send: one chosen here, else the example of the operation or of its schema."""
    if method not in {"POST", "PUT"}:
        return {}
    if path in BODIES:
        return {"json": BODIES[path]}
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if "example" in content:
        return {"json": content["example"]}
    schema = document["components"]["schemas"].get(content.get("schema", {}).get("$ref", "").rpartition("/")[2], {})
    return {"json": schema["example"]} if "example" in schema else {}


def essence(reply, value):
    """Return an answer with the id taken out."""
    return reply.status, sorted(reply.headers.items()), reply.text.replace(value, "ID")


async def picture(client):
    """Return what a tenant sees of itself in every list."""
    lists = (
        "workflows", "triggers", "schedules", "events", "runs", "dead-letters", "secrets", "connections", "keys",
        "members", "quarantine", "backfills", "calendars", "github/installations",
    )  # fmt: skip
    return {name: (await client.get(f"/api/v1/{name}?limit=500")).json() for name in lists}


async def compare(tenancy, client):
    operations, document = await tenancy.operations()
    asked = 0
    for method, path, operation in operations:
        name = own_parameter(path)
        if name is None or path.startswith(PUBLIC):
            continue
        for value in tenancy.ids[name]:
            other = stranger(value)
            more = body_of(path, method, operation, document)
            foreign = await client.request(method, filled(path, name, value), **more)
            random = await client.request(method, filled(path, name, other), **more)
            assert essence(foreign, value) == essence(random, other), (method, path, foreign.text)
            assert foreign.status == 404, (method, path, foreign.status, foreign.text)
            asked += 1
    return asked


async def test_a_foreign_id_is_a_404_like_any_other_and_changes_nothing(tenancy):
    before = await picture(tenancy.ann)
    assert await compare(tenancy, tenancy.eve) > 80
    assert await compare(tenancy, await tenancy.key_client("other")) > 80
    after = await picture(tenancy.ann)
    before["keys"] = after["keys"] = None
    assert after == before
    hers = await picture(tenancy.eve)
    assert [event["type"] for event in hers.pop("events")["items"]] in ([], ["api_key_created"])  # of the client above
    assert all(not page["items"] for name, page in hers.items() if name != "keys")


async def test_the_ids_are_real(tenancy):
    """The control: for their owner the same requests find something."""
    operations, _ = await tenancy.operations()
    for method, path, _operation in operations:
        name = own_parameter(path)
        if method != "GET" or name is None or path.endswith("/output"):
            continue
        for value in tenancy.ids[name]:
            target = filled(path, name, value)
            assert (await tenancy.ann.get(target)).status == 200, target


REFERENCES = (
    ("workflow_id", "POST", "/api/v1/schedules", '{"workflow": "ID", "name": "mine", "every": "1h"}'),
    ("workflow_id", "POST", "/api/v1/triggers", '{"workflow": "ID", "name": "mine", "type": "manual", "config": {}}'),
    ("workflow_id", "POST", "/api/v1/backfills", '{"workflow": "ID", "from": "2026-01-01", "to": "2026-01-02"}'),
    ("backfill_id", "GET", "/api/v1/runs?backfill=ID", ""),
    ("workflow_id", "GET", "/api/v1/backfills?workflow=ID", ""),
    ("event_id", "POST", "/api/v1/events/replay", '{"ids": ["ID"]}'),
    ("event_id", "POST", "/api/v1/events/replay", '{"ids": ["ID"], "dry_run": true}'),
    ("workflow_id", "POST", "/api/v1/dead-letters/redrive", '{"filter": {"workflow_id": "ID"}}'),
    ("event_id", "GET", "/api/v1/explain?ref=ID", ""),
    ("run_id", "GET", "/api/v1/explain?ref=ID", ""),
    ("trigger_id", "GET", "/api/v1/explain?ref=ID", ""),
    ("workflow_id", "GET", "/api/v1/explain?ref=ID/hand", ""),
    ("workflow_id", "GET", "/api/v1/runs?workflow=ID", ""),
    ("event_id", "GET", "/api/v1/runs?event=ID", ""),
    ("trigger_id", "GET", "/api/v1/runs?trigger=ID", ""),
    ("workflow_id", "GET", "/api/v1/triggers?workflow=ID", ""),
    ("workflow_id", "GET", "/api/v1/schedules?workflow=ID", ""),
    ("workflow_id", "GET", "/api/v1/dead-letters?workflow_id=ID", ""),
    ("run_id", "GET", "/api/v1/dead-letters?run_id=ID", ""),
)


async def test_ids_inside_bodies_and_queries_reach_nothing_foreign(tenancy):
    before = await picture(tenancy.ann)
    for name, method, target, body in REFERENCES:
        for value in tenancy.ids[name]:
            answers = []
            for one in (value, stranger(value)):
                more = {"body": body.replace("ID", one).encode(), "headers": JSON} if body else {}
                reply = await tenancy.eve.request(method, target.replace("ID", one), **more)
                assert reply.status < 500, (target, reply.text)
                answers.append(essence(reply, one))
            assert answers[0] == answers[1], (method, target)
    assert await picture(tenancy.ann) == before

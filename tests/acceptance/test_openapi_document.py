"""The OpenAPI document is true: schemathesis finds no fault, no undeclared answer, and no answer of another shape.

The real service is asked. WFS_SCHEMATHESIS_EXAMPLES=200 asks more, with bodies made up at random as well.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
UNKNOWN = (
    "{dead_letter_id}",
    "{execution_id}",
    "{wait_id}",
    "{run_id}",
    "{backfill_id}",
    "{user_id}",
    "/blackouts/{name}",
)  # of things that no example can know
ENDLESS = "/api/v1/stream"
EXAMPLES = int(os.environ.get("WFS_SCHEMATHESIS_EXAMPLES", "0"))
SECONDS = 600 if EXAMPLES else 55
FLOW = {
    "version": 1,
    "name": "nightly-report",
    "triggers": {
        "hand": {"type": "manual"},
        "hook": {"type": "webhook", "path": "orders", "signature": "none"},
        "nightly": {"type": "cron", "cron": "0 2 * * *"},
    },
    "jobs": {"work": {"uses": "noop"}},
}


def post(url, path, body, **headers):
    request = urllib.request.Request(  # noqa: S310 - our own service
        url + path, data=json.dumps(body).encode(), headers={"content-type": "application/json", **headers}
    )
    with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - our own service
        return json.load(reply)


def test_every_answer_is_one_that_the_document_declares(tmp_path, start):
    process, url = start(
        tmp_path, module="workflow_scheduler", PORT="0", WFS_DATA=str(tmp_path / "data"), LOG_LEVEL="ERROR"
    )
    try:
        key = post(url, "/api/v1/keys", {"name": "schemathesis"})["key"]
        own = {"X-API-Key": key}
        post(url, "/api/v1/deployment/workflows/nightly-report/deploy", {"workflow_spec": FLOW}, **own)
        post(url, "/api/v1/triggers/workflows/nightly-report/manual", {"input": 1}, **own)
        # One worker: CPython 3.11 reads source for descriptions in several threads at once with a SystemError.
        phases = "examples,coverage,fuzzing" if EXAMPLES else "examples,coverage"
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--header", f"X-API-Key: {key}",
             "--exclude-path", ENDLESS, "--checks", CHECKS, "--phases", phases, "--max-time", str(SECONDS),
             "--max-examples", str(max(EXAMPLES, 10)), "--generation-database", "none", "--warnings", "off",
             "--request-timeout", "20", "--workers", "1"],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=SECONDS + 60,
        )  # fmt: skip
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert "Traceback" not in (tmp_path / "log").read_text()


def examples(operation):
    """Yield the media type and value of every example body of an operation."""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        named = content.get("examples", {})
        found = named.values() if isinstance(named, dict) else [{"value": value} for value in named]
        for value in [*([content["example"]] if "example" in content else []), *(one["value"] for one in found)]:
            yield media, value


async def test_every_example_of_a_body_is_accepted(tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path))
    await application.start()
    try:
        client = AsgiClient(application.asgi())
        document = (await client.get("/openapi.json")).json()
        assert await _refused(client, document) == []
    finally:
        await application.stop()


async def _refused(client, document):
    ids, events = await _furnished(client)
    refused, asked = [], 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for media, value in _with_component(document, operation):
                if path == "/api/v1/keys" or any(one in path for one in UNKNOWN):
                    continue
                target = path
                for name, known in ids.items():
                    target = target.replace("{" + name + "}", known)
                body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
                for known, real in events.items():
                    body = body.replace(known.encode(), real.encode())
                if path.endswith("skip"):
                    body = await _next_time(client, target)
                reply = await client.request(method.upper(), target, body=body, headers={"content-type": media})
                asked += 1
                if reply.status >= 300 and not (reply.status == 409 and "already" in reply.text):
                    refused.append((method, path, media, reply.status, reply.text))
    assert asked > 20
    return refused


async def _next_time(client, target):
    """Return the body of a skip for a time that the schedule really has; an example cannot know one."""
    schedule = (await client.get(target.rpartition("/")[0])).json()
    return json.dumps(
        {"at": schedule["next_nominal"] if "next_nominal" in schedule else schedule["next_fire_at"]}
    ).encode()


def _with_component(document, operation):
    """Yield examples of the body, also those that stand at the model it refers to."""
    yield from examples(operation)
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        schema = content.get("schema", {})
        for part in [schema, *schema.get("anyOf", [])]:
            name = part.get("$ref", "").rpartition("/")[2]
            example = document["components"]["schemas"].get(name, {}).get("example")
            if example is not None:
                yield media, example


async def _furnished(client):
    """Make what the examples speak of; return values for the parameters of paths, and for ids of events."""
    for name in ("orders", "orders_hmac"):
        await client.post("/api/v1/secrets", json={"name": name, "value": "s3cret"})
    web = {"name": "web", "kind": "smtp", "fields": {"host": "x", "username": "u", "password": "old"}}
    assert (await client.post("/api/v1/connections", json=web)).status == 201
    template = {"name": "web", "definition": {"version": 1, "jobs": {"work": {"uses": "noop"}}}}
    assert (await client.post("/api/v1/templates", json=template)).status == 201
    for name, held in (("us-holidays", {"country": "US"}), ("working-days", {"weekend": ["SAT", "SUN"]})):
        await client.post("/api/v1/calendars", json={"name": name, **held})
    for minute in range(4):
        spec = {**FLOW, "triggers": {**FLOW["triggers"], "nightly": {"type": "cron", "cron": f"{minute} 2 * * *"}}}
        path = "/api/v1/deployment/workflows/nightly-report/deploy"
        shown = await client.post(path, json={"workflow_spec": spec})
        assert shown.status == 200, shown.text
    event = await client.post("/api/v1/triggers/workflows/nightly-report/manual", json={"input": 1})
    workflow = (await client.get("/api/v1/workflows/nightly-report")).json()
    triggers = {one["name"]: one["id"] for one in workflow["triggers"]}
    ids = {
        "workflow_id": "nightly-report",
        "trigger_id": triggers["hook"],
        "schedule_id": triggers["nightly"],
        "name": "web",
        "calendar": "working-days",
    }
    return ids, {"0197f0c2-7d3a-7000-8000-000000000001": event.json()["event_id"]}

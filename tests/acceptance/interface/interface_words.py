"""The words of the interface: its names and shapes, and how the tests ask for them."""

from __future__ import annotations

import asyncio
import re

V1 = "/api/v1"
SIGNED = {"scheme": "hmac-sha256", "header": "X-Signature", "secret": "hook"}
FLOW = {
    "version": 1,
    "name": "orders",
    "triggers": {
        "hand": {"type": "manual"},
        "open": {"type": "webhook", "path": "orders", "methods": ["POST", "PUT"], "signature": "none",
                 "condition": "event.data.amount > 100"},
        "signed": {"type": "webhook", "path": "signed", "signature": SIGNED},
        "nightly": {"type": "cron", "cron": "0 2 * * *", "timezone": "America/New_York"},
        "created": {"type": "event", "event": "order.created"},
    },
    "jobs": {"work": {"uses": "noop"}},
}  # fmt: skip
SLOW = {"version": 1, "name": "slow", "jobs": {"nap": {"uses": "sleep_for", "with": {"duration": "1h"}}}}

ENDPOINTS = """
POST,GET /api/v1/workflows
GET,PUT,DELETE /api/v1/workflows/{workflow_id}
GET /api/v1/workflows/{workflow_id}/versions
POST /api/v1/workflows/validate
POST /api/v1/validate/dependencies
POST /api/v1/deployment/workflows/{workflow_id}/deploy
POST /api/v1/deployment/workflows/{workflow_id}/undeploy
POST /api/v1/deployment/workflows/{workflow_id}/rollback
GET /api/v1/deployment/workflows/{workflow_id}/history
GET /api/v1/deployment/workflows/{workflow_id}/status
POST /api/v1/deployment/plan
POST,GET /api/v1/triggers
GET,PUT,DELETE /api/v1/triggers/{trigger_id}
POST /api/v1/triggers/{trigger_id}/mode
POST /api/v1/triggers/{trigger_id}/test
POST /api/v1/triggers/{trigger_id}/simulate
GET /api/v1/triggers/{trigger_id}/health
POST /api/v1/triggers/workflows/{workflow_id}/manual
GET /api/v1/trigger-types
POST /webhooks/{provider}/{id}
POST /api/v1/public/webhook/{path}
POST /api/v1/github/webhook
POST,GET /api/v1/events
GET /api/v1/events/{event_id}
GET /api/v1/events/{event_id}/explain
POST /api/v1/events/replay
GET /api/v1/dead-letters
POST /api/v1/dead-letters/{dead_letter_id}/redrive
POST /api/v1/dead-letters/redrive
POST,GET /api/v1/schedules
GET,PUT,DELETE /api/v1/schedules/{schedule_id}
POST /api/v1/schedules/{schedule_id}/pause
POST /api/v1/schedules/{schedule_id}/resume
POST /api/v1/schedules/{schedule_id}/trigger
GET /api/v1/schedules/{schedule_id}/occurrences
POST /api/v1/schedules/preview
GET /api/v1/runs
GET /api/v1/runs/{run_id}
GET /api/v1/runs/{run_id}/logs
POST /api/v1/runs/{run_id}/cancel
GET /api/v1/runs/{run_id}/wait
POST /v2/workflows/{workflow_id}/execute
GET /v2/workflows/{workflow_id}/executions
POST /v2/executions/{execution_id}/resume
GET /v2/executions/{execution_id}
POST /v2/executions/{execution_id}/cancel
POST,GET /api/v1/secrets
POST,GET /api/v1/connections
GET,PUT,DELETE /api/v1/connections/{name}
POST /api/v1/connections/{name}/test
POST /api/v1/connections/{name}/rotate
POST,GET /api/v1/keys
GET /api/v1/stream
GET /health
GET /health/detailed
GET /metrics
GET /schemas/workflow/v1.json
"""
SHAPES = {
    "workflow": "id name version deployment_status paused definition triggers",
    "trigger": "id workflow_id workflow name type mode config index_key next_fire_at last_decision",
    "event": "id source type subject time received_at data event_key",
    "decision": "trigger_id trigger workflow outcome reason predicates run_id",
    "predicate": "name expected actual verdict",
    "run": "id workflow_id workflow version status trigger_id trigger_type event_id scheduled_for input output error "
    "created_at started_at ended_at jobs",
    "job": "id status attempt started_at ended_at output error",
    "occurrence": "nominal_local utc timezone fold outcome reason note run_id",
    "problem": "type title status detail code fix errors",
    "execution": "execution_id status started_at",
}
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def has(shape, value):
    missing = set(SHAPES[shape].split()) - set(value)
    assert not missing, (shape, missing)
    return value


async def ok(client, target, status=200):
    reply = await client.get(target)
    assert reply.status == status, (target, reply.text)
    return reply.json()


async def ended_run(client, amount=500):
    reply = await client.post(f"{V1}/public/webhook/orders?wait=run", json={"amount": amount})
    assert reply.status == 202, reply.text
    return reply.json()


async def counts(client):
    """Return how many there are of what people make; the service's own events come when it gets to them."""
    lists = ("workflows", "triggers", "schedules", "events", "runs")
    found = [(await ok(client, f"{V1}/{name}?limit=500"))["items"] for name in lists]
    return [sum(not str(one.get("source", "")).startswith("/system/") for one in items) for items in found]


async def streamed(client, target, headers):
    """Return what a stream sends in its first moments."""
    sent, enough = bytearray(), asyncio.Event()

    async def receive():
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.extend(message.get("body", b""))
        if sent.count(b"\n\n") > 1:
            asyncio.get_running_loop().call_later(0.05, enough.set)

    path, _, query = target.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "", "query_string": query.encode(),
        "headers": [(b"host", b"localhost"), *((name.encode(), value.encode()) for name, value in headers.items())],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "state": {},
    }  # fmt: skip
    async with asyncio.timeout(10):
        await client._app(scope, receive, send)
    return sent.decode()

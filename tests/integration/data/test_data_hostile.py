"""Whatever is asked of the resources, the answer is an answer or a clear refusal, never a fault of the service."""

import random
from urllib.parse import quote

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

FLOW = {
    "version": 1,
    "name": "flow",
    "triggers": {"nightly": {"type": "cron", "cron": "0 2 * * *"}},
    "jobs": {"work": {"uses": "noop"}},
}
TEXTS = [
    "",
    " ",
    "x",
    "0",
    "-1",
    "1e309",
    "null",
    "%",
    "'; DROP TABLE runs; --",
    "../../etc/passwd",
    "\u202e",
    "\U0001d54f" * 50,
    "a" * 300,
    "99999999999999999999",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00Z",
    "2027-02-30T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "2027-01-01T00:00:00+23:59",
    "WyJ4Il0",
    "eyJhIjoxfQ",
    "WzEsInkiXQ",
    "[]",
    "{}",
    "true",
    "NaN",
]
VALUES = [*TEXTS, None, True, 0, -1, 1 << 62, 10**30, 1.5, 1e308, [], {}, [[]], {"a": {"b": []}}, ["x"] * 3]
LISTS = {
    "/api/v1/events": ("source", "type", "provider", "since", "until", "limit", "cursor"),
    "/api/v1/runs": ("workflow", "status", "trigger_type", "trigger", "event", "since", "until", "limit", "cursor"),
    "/api/v1/dead-letters": ("status", "kind", "reason", "workflow_id", "since", "until", "limit", "cursor"),
    "/api/v1/schedules": ("workflow", "limit", "cursor"),
    "/api/v1/explain": ("ref", "at"),
    "/v2/workflows/flow/executions": ("status", "run_id", "idempotency_key", "limit", "cursor"),
}
ITEMS = (
    "/api/v1/events/{}", "/api/v1/events/{}/explain", "/api/v1/events/{}/decisions", "/api/v1/triggers/{}/decisions",
    "/api/v1/triggers/{}/explain", "/api/v1/runs/{}", "/api/v1/runs/{}/logs", "/api/v1/runs/{}/explain",
    "/api/v1/dead-letters/{}", "/api/v1/schedules/{}", "/api/v1/schedules/{}/occurrences", "/v2/executions/{}",
    "/v2/workflows/{}/executions",
)  # fmt: skip
BODIES = {
    "/api/v1/events/replay": ("ids", "filter", "since", "until", "mode", "limit", "dry_run", "zzz"),
    "/api/v1/dead-letters/redrive": ("filter", "dry_run", "limit"),
    "/api/v1/schedules": ("workflow", "name", "cron", "every", "run_at", "timezone", "input", "jitter", "zzz"),
    "/api/v1/schedules/preview": ("cron", "every", "run_at", "timezone", "from", "count", "dst_gap", "zzz"),
    "/api/v1/schedules/{}/pause": ("reason", "until"),
    "/api/v1/schedules/{}/resume": ("missed",),
    "/api/v1/schedules/{}/trigger": ("input",),
    "/v2/workflows/flow/execute": ("input", "trigger_data", "run_id"),
    "/v2/executions/x/resume": ("resume_data", "interaction_id"),
}


@pytest.fixture
async def service(tmp_path):
    application = Application(Settings(_env_file=None, data=tmp_path, database_url=f"sqlite:///{tmp_path}/wfs.db"))
    await application.start()
    await application.context.deployments.deploy(LOCAL, "flow", FLOW)
    yield application
    await application.stop()


def refused_or_answered(reply, what):
    assert reply.status < 500, (what, reply.status, reply.text)
    if reply.status >= 400:
        assert reply.headers["content-type"] == "application/problem+json", what
        assert reply.json()["code"]


async def test_queries_of_lists(service):
    client, chance = AsgiClient(service.asgi()), random.Random(1)  # noqa: S311 - the same numbers every time
    for path, names in LISTS.items():
        for name in names:
            for text in TEXTS:
                refused_or_answered(await client.get(f"{path}?{name}={quote(text)}"), (path, name, text))
        for _ in range(40):
            pairs = "&".join(f"{name}={quote(chance.choice(TEXTS))}" for name in names if chance.random() < 0.6)
            refused_or_answered(await client.get(f"{path}?{pairs}"), (path, pairs))


async def test_ids_in_paths(service):
    client = AsgiClient(service.asgi())
    for path in ITEMS:
        for text in TEXTS:
            target = path.format(quote(text, safe=""))
            refused_or_answered(await client.get(target), target)


async def test_bodies(service):
    client, chance = AsgiClient(service.asgi()), random.Random(2)  # noqa: S311 - the same numbers every time
    rows = await service.store.read("SELECT trigger_id FROM schedules")
    for path, names in BODIES.items():
        target = path.format(rows[0][0])
        for name in names:
            for value in VALUES:
                refused_or_answered(await client.post(target, json={name: value}), (path, name, value))
        for _ in range(40):
            body = {name: chance.choice(VALUES) for name in names if chance.random() < 0.6}
            refused_or_answered(await client.post(target, json=body), (path, body))
        for value in VALUES:
            refused_or_answered(await client.post(target, json=value), (path, value))


async def test_the_service_still_works_afterwards(service):
    client = AsgiClient(service.asgi())
    reply = await client.post("/v2/workflows/flow/execute", json={"input": 1})
    run = await client.get(f"/api/v1/runs/{reply.json()['execution_id']}/wait?timeout=10")
    assert run.json()["status"] == "SUCCEEDED"

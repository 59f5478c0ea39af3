"""What every resource does alike: pages, revisions, idempotency keys, figures and the live stream."""

from __future__ import annotations

from interface_words import FLOW, SLOW, V1, counts, ended_run, has, ok, streamed


async def test_lists_are_cut_into_pages_by_cursors(client):
    for amount in range(3):
        await client.post(f"{V1}/public/webhook/orders", json={"amount": amount})
    for target in ("workflows", "triggers", "events", "schedules", "secrets"):
        await client.post(f"{V1}/secrets", json={"name": "second", "value": "v"})
        whole = [one.get("id", one.get("name")) for one in (await ok(client, f"{V1}/{target}"))["items"]]
        found, cursor = [], ""
        while cursor is not None:
            page = await ok(client, f"{V1}/{target}?limit=1&cursor={cursor}")
            assert set(page) == {"items", "next"}
            assert len(page["items"]) <= 1
            found += [one.get("id", one.get("name")) for one in page["items"]]
            cursor = page["next"]
        assert found == whole, target
        assert (await client.get(f"{V1}/{target}?limit=501")).status == 422


async def test_a_put_with_an_old_revision_is_refused(client):
    trigger = (await ok(client, f"{V1}/triggers?type=cron"))["items"][0]
    for target, body in (
        (f"{V1}/triggers/{trigger['id']}", {"config": {"cron": "0 3 * * *", "timezone": "America/New_York"}}),
        (f"{V1}/schedules/{trigger['id']}", {"cron": "0 4 * * *"}),
        (f"{V1}/workflows/orders", {**FLOW, "description": "new"}),
    ):
        tag = (await client.get(target)).headers["etag"]
        assert (await client.put(target, json=body, headers={"if-match": '"12345"'})).status == 412, target
        good = await client.put(target, json=body, headers={"if-match": tag})
        assert good.status == 200, (target, good.text)
        late = await client.put(target, json=body, headers={"if-match": tag})
        assert late.status == 412, (target, late.text)
        assert (await client.put(target, json=body, headers={"if-match": "*"})).status == 200, target


async def test_every_post_takes_an_idempotency_key(client):
    done = await ended_run(client)
    event = {"specversion": "1.0", "source": "/shop", "type": "order.created", "data": {"n": 1}}
    trigger = next(one for one in (await ok(client, f"{V1}/triggers?type=cron"))["items"])
    posts = (
        (f"{V1}/workflows", {**SLOW, "name": "w-a"}, {**SLOW, "name": "w-b"}),
        (f"{V1}/triggers", *({"workflow": "slow", "name": name, "type": "manual", "config": {}} for name in "ab")),
        (f"{V1}/triggers/workflows/orders/manual", {"input": 1}, {"input": 2}),
        (f"{V1}/triggers/{trigger['id']}/mode", {"mode": "suspended"}, {"mode": "enabled"}),
        ("/v2/workflows/orders/execute", {"input": 1}, {"input": 2}),
        (f"{V1}/schedules", *({"workflow": "slow", "name": f"s{every}", "every": every} for every in ("1h", "2h"))),
        (f"{V1}/schedules/{trigger['id']}/trigger", {"input": 1}, {"input": 2}),
        (f"{V1}/schedules/{trigger['id']}/pause", {"reason": "a"}, {"reason": "b"}),
        (f"{V1}/events", {**event, "id": "i1"}, {**event, "id": "i2"}),
        (f"{V1}/events/replay", {"ids": [done["event_id"]]}, {"ids": []}),
        (f"{V1}/deployment/workflows/slow/deploy", {}, {"workflow_spec": SLOW}),
    )
    for target, body, other in posts:
        headers = {"idempotency-key": f"key-{target}"}
        if target.endswith("/events"):
            headers["content-type"] = "application/cloudevents+json"
        first = await client.post(target, json=body, headers=headers)
        assert first.status < 300, (target, first.text)
        before = await counts(client)
        again = await client.post(target, json=body, headers=headers)
        assert (again.status, again.body) == (first.status, first.body), target
        assert await counts(client) == before, target
        changed = await client.post(target, json=other, headers=headers)
        assert changed.status == 422, (target, changed.status, changed.text)
        assert has("problem", changed.json())
        assert await counts(client) == before, target


async def test_an_idempotency_key_stands_for_the_attributes_of_an_event_as_well(client):
    binary = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "/shop", "ce-type": "order.created",
              "content-type": "application/json", "idempotency-key": "k"}  # fmt: skip
    first = await client.post(f"{V1}/events", body=b"{}", headers=binary)
    again = await client.post(f"{V1}/events", body=b"{}", headers=binary)
    assert (first.status, first.body) == (202, again.body)
    assert (await client.post(f"{V1}/events", body=b"{}", headers={**binary, "ce-id": "2"})).status == 422
    refused = await client.post(f"{V1}/events", body=b"{", headers={**binary, "idempotency-key": "k2", "ce-id": ""})
    assert refused.status == 400
    good = await client.post(f"{V1}/events", body=b"{}", headers={**binary, "idempotency-key": "k2", "ce-id": "9"})
    assert good.status == 202, "a refusal does not use the key up"


async def test_health_and_metrics_have_their_forms(client):
    await ended_run(client)
    await client.post(f"{V1}/public/webhook/orders", json={"amount": 1})
    assert await ok(client, "/health") == {"service": "workflow_scheduler", "status": "healthy"}
    assert (await ok(client, "/health/detailed"))["components"]["store"]["status"] == "healthy"
    totals = (await client.get("/metrics", headers={"accept": "application/json"})).json()
    assert set(totals) == {"service", "total_workflows", "total_triggers", "trigger_types"}
    assert (totals["service"], totals["total_workflows"]) == ("workflow_scheduler", 2)
    assert totals["trigger_types"]["WEBHOOK"] == 2
    text = (await client.get("/metrics")).text
    for line in (
        "# TYPE triggers_events_received_total counter",
        'triggers_events_received_total{provider="webhook"} 2.0',
        'triggers_events_filtered_total{provider="webhook",result="filtered"} 1.0',
        'triggers_runs_started_total{provider="webhook"} 1.0',
        "# TYPE triggers_latency_seconds histogram",
        'triggers_latency_seconds_count{provider="webhook"} 1.0',
        "scheduler_due ", "scheduler_overdue ", "scheduler_dispatch_lag_seconds ", "queue_oldest_pending_age_seconds ",
        "dead_letters ", "dead_letters_oldest_age_seconds ", "# TYPE source_lag_seconds gauge",
    ):  # fmt: skip
        assert line in text, line


async def test_the_stream_goes_on_after_the_last_id(service, client):
    await ended_run(client)
    first = service.live._ring[0].id
    for since, expected in ((first - 1, 3), (first, 2), (0, None)):
        found = await streamed(client, f"{V1}/stream?topics=events,runs", {"last-event-id": str(since)})
        ids = [int(line[4:]) for line in found.splitlines() if line.startswith("id: ")]
        if expected is None:
            assert "event: reset" in found
        else:
            assert ids[0] == since + 1
            assert len(ids) >= expected
    assert (await client.get(f"{V1}/stream?topics=nothing")).status == 422


async def test_no_operation_is_undescribed(client):
    document = (await client.get("/openapi.json")).json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["tags"], where
            assert any(status.startswith("2") for status in operation["responses"]), where
            assert {"400", "404", "405"} <= set(operation["responses"]), where

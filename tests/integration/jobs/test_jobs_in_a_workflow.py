"""Every job type in one deployed workflow, on the whole program."""

from pathlib import Path

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

PROJECT = Path(__file__).parent / "project"

WORKFLOW = """
version: 1
name: everything
env: {SHOP: corner}
triggers:
  by-hand: {type: manual}
jobs:
  list:
    run: "printf '{\\"prices\\": [1, 2], \\"shop\\": \\"%s\\"}' \\"$SHOP\\""
    uses: run
    with: {output: json}
  total: {needs: [list], uses: python, with: {function: "shop.orders:total", args: "${jobs.list.output.prices}"}}
  code:
    needs: [total]
    uses: python
    with: {code: "print('seen')\\noutput = {'sum': jobs['total']['output'], 'raw': '${x}', 'by': input['by']}"}
  nap: {needs: [code], uses: sleep_for, with: {duration: 1ms}}
  until: {needs: [code], uses: sleep_until, with: {timestamp: "2020-01-01T00:00:00Z"}}
  tell: {needs: [nap, until], uses: emit, with: {type: summed, data: {sum: "${jobs.code.output.sum}"}}}
  call: {needs: [tell], uses: http, with: {url: "http://127.0.0.1:1/"}, allow_failure: true}
  quote: {needs: [tell], run: "echo ${input.by}"}
"""


@pytest.fixture
async def service(tmp_path, monkeypatch):
    monkeypatch.chdir(PROJECT)
    application = Application(Settings(data=tmp_path, allow_code=True, _env_file=None))
    await application.start()
    yield AsgiClient(application.asgi())
    await application.stop()


async def test_all_of_them_together(service):
    made = await service.post("/api/v1/workflows", body=WORKFLOW.encode(), headers={"content-type": "application/yaml"})
    assert made.status < 300, made.text
    deployed = await service.post("/api/v1/deployment/workflows/everything/deploy", json={})
    assert deployed.status < 300, deployed.text
    started = await service.post("/v2/workflows/everything/execute", json={"input": {"by": "a; echo broken"}})
    assert started.status == 202, started.text
    run_id = started.json()["execution_id"]
    run = (await service.get(f"/api/v1/runs/{run_id}/wait?timeout=20")).json()
    run = (await service.get(f"/api/v1/runs/{run_id}")).json()
    jobs = {job["id"]: job for job in run["jobs"]}
    assert jobs["list"]["output"] == {"prices": [1, 2], "shop": "corner"}, jobs["list"]
    assert jobs["total"]["output"] == 3
    assert jobs["code"]["output"] == {"sum": 3, "raw": "${x}", "by": "a; echo broken"}
    assert jobs["tell"]["output"]["type"] == "summed"
    assert jobs["call"]["error"]["code"] == "egress_refused"
    assert jobs["quote"]["output"]["stdout"] == "a; echo broken\n"
    assert run["status"] == "SUCCEEDED"
    logs = (await service.get(f"/api/v1/runs/{run_id}/logs")).json()["items"]
    assert ("code", "seen") in {(line.get("job_id") or line.get("job"), line["line"]) for line in logs}
    event = (await service.get(f"/api/v1/events/{jobs['tell']['output']['event_id']}")).json()
    assert event["data"] == {"sum": 3}


async def test_a_keyed_event_is_sent_once_by_whatever_job_and_run(service):
    send = {"uses": "emit", "with": {"type": "paid", "key": "order-17"}}
    spec = {"name": "shop", "triggers": {"m": {"type": "manual"}}, "jobs": {"a": send, "b": {**send, "needs": ["a"]}}}
    deployed = await service.post("/api/v1/deployment/workflows/shop/deploy", json={"workflow_spec": spec})
    assert deployed.status < 300, deployed.text
    for _ in range(2):
        await service.post("/api/v1/triggers/workflows/shop/manual?wait=run", json={})
    sent = (await service.get("/api/v1/events?type=paid")).json()["items"]
    assert [(one["source"], one["event_key"]) for one in sent] == [("/workflows/shop/jobs", "order-17")]

"""Fixtures of events that came over the wire judge the triggers that heard them as the service did."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from workflow_scheduler.cli.root import app
from workflow_scheduler.core.fixtures import made
from workflow_scheduler.testing.requests import event, github, webhook
from workflow_scheduler.testing.workflows import WorkflowTest

PUSH = json.loads((Path(__file__).parents[2] / "fixtures/github/push.json").read_bytes())
REPOSITORY, BRANCH = PUSH["repository"]["full_name"], PUSH["ref"].removeprefix("refs/heads/")


def on(branch):
    return {"type": "github", "repository": REPOSITORY, "secret": "hub", "events": {"push": {"branches": [branch]}}}


FLOW = {
    "version": 1,
    "name": "ci",
    "triggers": {
        "mine": on(BRANCH),
        "others": on("no-such-branch"),
        "orders": {"type": "webhook", "path": "shop/orders", "condition": "event.data.amount > 100",
                   "signature": {"scheme": "hmac-sha256", "header": "X-Signature", "secret": "hook"}},
        "elsewhere": {"type": "webhook", "path": "shop/others", "signature": {"scheme": "none"}},
        "paid": {"type": "event", "event": "order.*", "filter": {"customer": {"country": ["DE", "FR"]}}},
    },
    "jobs": {"work": {"uses": "noop"}},
}  # fmt: skip
SENT = {
    "push": (github("push", PUSH, secret="hub-secret"), {"ci/mine": True, "ci/others": False}),
    "hook": (webhook("shop/orders", {"amount": 150}, secret="hook-secret"), {"ci/orders": True}),
    "small": (webhook("shop/orders", {"amount": 50}, secret="hook-secret"), {"ci/orders": False}),
    "event": (event("order.paid", {"customer": {"country": "DE"}}), {"ci/paid": True}),
    "abroad": (event("order.paid", {"customer": {"country": "US"}}), {"ci/paid": False}),
}


@pytest.mark.parametrize("name", SENT)
async def test_what_was_decided_is_what_the_fixture_expects_and_what_check_finds(name, tmp_path):
    request, expected = SENT[name]
    async with WorkflowTest(FLOW, secrets={"hub": "hub-secret", "hook": "hook-secret"}) as t:
        await t.send(request)
        stored = next(one for one in (await t.http.get("/api/v1/events")).json()["items"]
                      if one["cause_run_id"] is None and not one["source"].startswith("/system/"))  # fmt: skip
        decisions = (await t.http.get(f"/api/v1/events/{stored['id']}/decisions")).json()["items"]
    fixture, _ = made(stored, decisions)
    assert fixture["expect"] == expected
    text = json.dumps(fixture)
    assert "hub-secret" not in text
    assert "sha256=" not in text
    (tmp_path / "flow.json").write_text(json.dumps(FLOW))
    (tmp_path / "event.json").write_text(text)
    files = [str(tmp_path / "flow.json"), str(tmp_path / "event.json")]
    done = CliRunner().invoke(app, ["--json", "trigger", "check", *files])
    assert done.exit_code == 0, done.output
    found = {f"{one['workflow']}/{one['trigger']}": one["lets_through"] for one in json.loads(done.output)["items"]}
    assert found == expected

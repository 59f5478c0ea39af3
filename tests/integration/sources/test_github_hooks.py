"""The webhook that a deployment makes: once, with the trigger's secret, and only where the token may."""

import json

import pytest
from servers.github import SECRET, GitHub

from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.testing.sources import SourceBench
from workflow_scheduler.triggers import github

WHERE = "https://flows.example.test/api/v1/github/webhook"
ROLES = "api,ingest,dispatch,engine"


@pytest.fixture
async def peer():
    made = GitHub()
    made.hook_url = ""
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def bench(peer, tmp_path):
    async with SourceBench(tmp_path, peer, roles=ROLES, public_url="https://flows.example.test/") as made:
        yield made


async def deployed(bench, name="more", **changes):
    spec = {
        "version": 1,
        "name": name,
        "triggers": {"it": {**bench.peer.config(), "create_hook": True, **changes}},
        "jobs": {"note": {"uses": "noop"}},
    }
    return await bench.http.post(f"/api/v1/deployment/workflows/{name}/deploy", json={"workflow_spec": spec})


async def test_without_being_asked_nothing_is_made(bench, peer):
    assert peer.made == []
    assert not any("hooks" in path for path in peer.asked)


async def test_a_webhook_is_made_with_the_secret_of_the_trigger_and_its_events(bench, peer):
    assert (await deployed(bench, events=["push"])).status == 200
    (hook,) = peer.made
    assert hook["config"]["url"].startswith(WHERE + "?hook=")
    assert (hook["config"]["secret"], hook["config"]["content_type"], hook["events"]) == (SECRET, "json", ["push"])
    path = hook["config"]["url"].removeprefix("https://flows.example.test")
    body = json.dumps({"repository": {"full_name": "acme/billing"}, "ref": "refs/heads/main"}).encode()
    signed = github.sign(None, PushRequest("POST", path, "", {}, body, 0), hook["config"]["secret"])
    headers = {"x-github-event": "push", "x-github-delivery": "d-1", "content-type": "application/json", **signed}
    reply = await bench.http.request("POST", path + "&wait=decision", body=body, headers=headers)
    assert "run_started" in [one["outcome"] for one in reply.json()["decisions"]]


async def test_it_is_found_again_and_brought_up_to_date(bench, peer):
    await deployed(bench, events=["push"])
    await bench.ask("POST", "/api/v1/secrets", {"name": "gh", "value": "a new one"})
    await deployed(bench, events=["push"])
    await deployed(bench, "another", events=["issues"])
    (hook,) = peer.made
    assert (hook["config"]["secret"], hook["events"], hook["active"]) == ("a new one", ["issues", "push"], True)
    await deployed(bench, "everything")
    assert peer.made[0]["events"] == ["*"]
    await bench.ask("POST", "/api/v1/secrets", {"name": "other", "value": "other"})
    await deployed(bench, "with_another_secret", secret="other")
    assert len({one["config"]["url"] for one in peer.made}) == 2


async def test_one_that_was_made_by_hand_is_left_as_it_is(bench, peer):
    peer.hook_url = WHERE
    reply = await deployed(bench)
    assert "comes here already" in reply.json()["warnings"][0]
    assert peer.made == []


async def test_an_organization_has_one_for_all_its_repositories(bench, peer):
    assert (await deployed(bench, repository="acme/*")).status == 200
    assert any(path.startswith("/orgs/acme/hooks") for path in peer.asked)


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({}, "connection", "may not manage the webhooks of acme/billing"),
        ({"events": ["deployment"]}, "create_hook", "not supported"),
    ],
)
async def test_what_github_refuses_is_said_at_its_field(bench, peer, changes, field, message):
    peer.may_manage = bool(changes)
    reply = await deployed(bench, **changes)
    assert reply.status == 422
    (error,) = reply.json()["errors"]
    assert error["field"] == f"triggers.it.{field}"
    assert message in error["message"]
    assert SECRET not in reply.text


@pytest.mark.parametrize("changes", [{"connection": None}, {"via": "app", "secret": "GITHUB_WEBHOOK_SECRET"}])
async def test_it_needs_a_token_and_is_for_webhooks_alone(bench, changes):
    assert (await deployed(bench, **changes)).status == 422


async def test_a_service_without_a_public_address_makes_none(peer, tmp_path):
    async with SourceBench(tmp_path, peer, roles=ROLES) as bench:
        reply = await deployed(bench)
        assert reply.status == 422
        assert "WFS_PUBLIC_URL" in reply.json()["fix"]
        assert peer.made == []

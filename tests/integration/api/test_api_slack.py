"""Slack at its address, with a Web API that enforces Slack's documented rules beside it."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from workflow_scheduler.app import Application
from workflow_scheduler.core.registry import PushRequest
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.slack_peer import TOKEN, SlackPeer
from workflow_scheduler.triggers import slack

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/api/v1/slack/events"
SECRET = "signing-secret-of-the-app"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def peer():
    async with SlackPeer() as one:
        one.page_max = 1
        yield one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def application(tmp_path_factory, peer):
    """One service for the module."""
    app = Application(Settings(_env_file=None, data=tmp_path_factory.mktemp("slack"), egress_allow="127.0.0.1"))
    await app.start()
    yield app
    await app.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(application, peer):
    client = AsgiClient(application.asgi())
    await client.post("/api/v1/secrets", json={"name": "SLACK_SIGNING_SECRET", "value": SECRET})
    fields = {"token": TOKEN, "api_url": peer.url}
    made = await client.post("/api/v1/connections", json={"name": "chat", "kind": "slack", "fields": fields})
    assert made.status == 201, made.text
    trigger = {"type": "slack", "channels": ["#Ops"], "users": ["ada@acme.test"], "connection": "chat"}
    reply = await deploy(client, "ops", trigger)
    assert reply.status < 300, reply.text
    return client


async def deploy(client, name, trigger, jobs=None):
    spec = {"version": 1, "name": name, "triggers": {"said": trigger}, "jobs": jobs or {"a": {"uses": "noop"}}}
    return await client.post(f"/api/v1/deployment/workflows/{name}/deploy", json={"workflow_spec": spec})


async def send(application, client, body, kind="application/json", **headers):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    plain = {"content-type": kind, **headers}
    signed = slack.sign(None, PushRequest("POST", PATH, "", plain, raw, application.clock.now()), SECRET)
    return await client.post(PATH, body=raw, headers={**plain, **signed})


def said(number, text="hello", **event):
    inner = {"type": "message", "channel": "C1", "user": "U061F7AUR", "text": text, "ts": f"{number}.1", **event}
    return {"type": "event_callback", "team_id": "T1", "event_id": f"Ev{number}", "event": inner}


async def events(client, **wanted):
    items = (await client.get("/api/v1/events?limit=200")).json()["items"]
    return [one for one in items if all(one[key] == value for key, value in wanted.items())]


async def test_names_became_ids_at_deploy(client):
    (trigger,) = (await client.get("/api/v1/triggers?workflow=ops")).json()["items"]
    assert trigger["index_key"] == "T1"
    assert trigger["config"]["ids"] == {"#Ops": "C1", "ada@acme.test": "U061F7AUR"}
    assert trigger["config"]["channels"] == ["#Ops"]


async def test_slack_gets_its_challenge_and_nothing_is_stored(application, client):
    before = len(await events(client))
    reply = await send(application, client, {"type": "url_verification", "challenge": "3eZbrw1aB"})
    assert (reply.status, reply.text) == (200, "3eZbrw1aB")
    assert len(await events(client)) == before


async def test_a_message_starts_one_run_however_often_slack_tries(application, client):
    for number in range(4):
        retry = {"x-slack-retry-num": str(number)} if number else {}
        reply = await send(application, client, said(11), **retry)
        assert (reply.status, reply.body) == (200, b"")
    (event,) = await events(client, event_key="message:C1:11.1")
    (decision,) = (await client.get(f"/api/v1/events/{event['id']}/explain")).json()["decisions"]
    assert decision["outcome"] == "run_started"
    for other in (said(12, channel="C2"), said(13, user="U9"), said(14, bot_id="B7")):
        await send(application, client, other)
        (event,) = await events(client, event_key=f"message:{other['event']['channel']}:{other['event']['ts']}")
        (decision,) = (await client.get(f"/api/v1/events/{event['id']}/explain")).json()["decisions"]
        assert decision["outcome"] == "filtered", other


async def test_an_unsigned_or_old_request_is_401(application, client):
    raw = json.dumps(said(21)).encode()
    assert (await client.post(PATH, body=raw, headers={"content-type": "application/json"})).status == 401
    early = PushRequest("POST", PATH, "", {}, raw, application.clock.now() - 301_000_000)
    headers = {"content-type": "application/json", **slack.sign(None, early, SECRET)}
    assert (await client.post(PATH, body=raw, headers=headers)).status == 401
    assert (await client.get(PATH)).status == 405
    assert await events(client, event_key="message:C1:21.1") == []


@pytest.mark.parametrize(
    ("trigger", "sentence"),
    [
        ({"channels": ["#nowhere"], "connection": "chat"}, "there is no channel `#nowhere`"),
        ({"channels": ["#old"], "connection": "chat"}, "there is no channel `#old`"),
        ({"users": ["eve@acme.test"], "connection": "chat"}, "there is no user with the address `eve@acme.test`"),
        ({"workspace_id": "T9", "connection": "chat"}, "the token belongs to the workspace `T1`"),
        ({"channels": ["#ops"]}, "no token turns `#ops` into an id"),
        ({"connection": "other"}, "there is no connection `other`"),
        ({"secret": "unset"}, "the secret `unset` of the trigger `said` is not set"),
    ],
)
async def test_what_cannot_work_is_said_at_deploy(client, trigger, sentence):
    reply = await deploy(client, "wrong", {"type": "slack", **trigger})
    assert reply.status == 422, reply.text
    assert sentence in reply.json()["detail"]
    assert reply.json()["errors"][0]["field"].startswith("triggers.said")


async def test_a_token_that_is_refused_is_said_at_deploy(client, peer):
    peer.failures.append("token_revoked")
    reply = await deploy(client, "refused", {"type": "slack", "channels": ["#ops"], "connection": "chat"})
    assert reply.status >= 400
    assert "the token was revoked" in reply.json()["detail"]


async def asking(client, name, thread):
    """Start a run that waits in a thread, and return its id and its wait."""
    given = {"ask": "Deploy?", "to": ["slack:U061F7AUR"], "slack": {"team": "T1", "channel": "C1", "thread_ts": thread}}
    reply = await deploy(client, name, {"type": "manual"}, {"ask": {"uses": "approval", "with": given}})
    assert reply.status < 300, reply.text
    run_id = (await client.post(f"/api/v1/triggers/workflows/{name}/manual", json={})).json()["run_id"]
    async with asyncio.timeout(30):
        while True:
            for one in (await client.get("/api/v1/waits")).json()["items"]:
                if one["run_id"] == run_id:
                    return run_id, one


async def output_of(client, run_id):
    run = (await client.get(f"/api/v1/runs/{run_id}/wait?timeout=20")).json()
    assert run["status"] == "SUCCEEDED", run
    return run["output"]


async def test_an_answer_in_the_thread_resumes_the_run_and_that_of_a_bot_or_stranger_does_not(application, client):
    run_id, wait = await asking(client, "asks-in-thread", "1700.5")
    for number, other in ((31, {"bot_id": "B1"}), (32, {"user": "U0STRANGER"})):
        await send(application, client, said(number, "approve", thread_ts="1700.5", **other))
        assert (await client.get(f"/api/v1/waits/{wait['id']}")).json()["status"] == "OPEN"
    await send(application, client, said(39, "approve looks good", thread_ts="1700.5"))
    output = await output_of(client, run_id)
    assert (output["approved"], output["by"], output["comment"]) == (True, "slack:U061F7AUR", "looks good")


async def test_a_pressed_button_answers_its_wait_and_slack_gets_an_empty_answer(application, client):
    run_id, wait = await asking(client, "asks-by-button", "1700.6")
    pressed = {
        "type": "block_actions", "trigger_id": "1.2.3", "team": {"id": "T1"}, "user": {"id": "U061F7AUR"},
        "channel": {"id": "C1"}, "message": {"ts": "1700.7"},
        "actions": [{"action_id": "wfs:reject", "value": wait["id"]}],
    }  # fmt: skip
    form = urlencode({"payload": json.dumps(pressed)}).encode()
    reply = await send(application, client, form, "application/x-www-form-urlencoded")
    assert (reply.status, reply.body) == (200, b"")
    output = await output_of(client, run_id)
    assert (output["approved"], output["by"]) == (False, "slack:U061F7AUR")

"""Connections from the first request to the last: made over HTTP, tested, used by deployed jobs, rotated, refused."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mailbox import PASSWORD, USER, Post

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.slack_peer import TOKEN, SlackPeer

FLOW = {
    "version": 1,
    "name": "report",
    "triggers": {"hand": {"type": "manual"}},
    "jobs": {
        "count": {
            "uses": "sql",
            "with": {
                "connection": "shop",
                "statements": ["CREATE TEMPORARY TABLE t (n INTEGER)", "INSERT INTO t VALUES (:n)", "SELECT n FROM t"],
                "params": {"n": "${input.n}"},
            },
        },
        "mail": {
            "needs": ["count"],
            "uses": "email",
            "with": {
                "connection": "mail",
                "to": "${input.to}",
                "subject": "${jobs.count.output.rows[0].n} orders",
                "html": "<p>${input.note}</p>",
                "attachments": [{"filename": "rows.json", "json": "${jobs.count.output.rows}"}],
            },
        },
        "tell": {
            "needs": ["mail"],
            "uses": "slack",
            "with": {"connection": "chat", "channel": "#ops", "text": "sent ${jobs.mail.output.message_id}"},
        },
    },
}


@pytest.fixture
async def service(tmp_path):
    settings = Settings(data=tmp_path, allow_code=True, egress_allow="127.0.0.1", _env_file=None)
    application = Application(settings)
    await application.start()
    yield AsgiClient(application.asgi())
    await application.stop()


@pytest.fixture
def office(tmp_path):
    with Post(tmp_path, "starttls", login=True) as post:
        yield post


def mail(post, password=PASSWORD):
    fields = {"host": "127.0.0.1", "port": post.port, "username": USER, "password": password}
    return {"name": "mail", "kind": "smtp", "fields": {**fields, "sender": "w@example.test", "ca_certificate": post.ca}}


async def run(service, **given):
    reply = await service.post("/api/v1/triggers/workflows/report/manual?wait=run", json={"input": given})
    assert reply.status == 202, reply.text
    run_id = reply.json()["run_id"]
    shown = (await service.get(f"/api/v1/runs/{run_id}")).json()
    return shown["status"], {job["id"]: job for job in shown["jobs"]}


async def deploy(service, spec=FLOW):
    return await service.post("/api/v1/deployment/workflows/report/deploy", json={"workflow_spec": spec})


async def test_a_workflow_of_database_mail_and_slack(service, office):
    async with SlackPeer() as peer:
        refused = await deploy(service)
        assert refused.status == 422, refused.text
        assert {one["field"] for one in refused.json()["errors"]} == {
            "jobs.count.with.connection", "jobs.mail.with.connection", "jobs.tell.with.connection",
        }  # fmt: skip
        chat = {"kind": "slack", "fields": {"token": TOKEN, "api_url": peer.url}}
        shop = {"kind": "sql", "fields": {"url": "sqlite://"}}
        for body in (mail(office), {"name": "chat", **chat}, {"name": "shop", **shop}):
            made = await service.post("/api/v1/connections", json=body)
            assert made.status == 201, made.text
            tested = (await service.post(f"/api/v1/connections/{body['name']}/test", json={})).json()
            assert tested["ok"], tested
        assert (await deploy(service)).status == 200
        status, jobs = await run(service, n=17, to="bob@example.test", note="<b>x</b>")
        assert status == "SUCCEEDED", jobs
        (message,) = office.box.messages
        assert message["Subject"] == "17 orders"
        assert "&lt;b&gt;x&lt;/b&gt;" in message.get_body(("html",)).get_content()
        assert next(message.iter_attachments()).get_content() == b'[{"n":17}]'
        assert peer.messages()[0]["text"] == f"sent {message['Message-ID']}"
        status, jobs = await run(service, n=1, to="bob@example.test\r\nBcc: eve@example.test", note="")
        assert status == "FAILED"
        assert jobs["mail"]["error"]["code"] == "config_invalid"
        assert len(office.box.messages) == 1


async def test_a_connection_in_use_is_not_deleted_and_its_user_is_named(service, office):
    await service.post("/api/v1/connections", json=mail(office))
    spec = {**FLOW, "jobs": {"mail": {"uses": "email", "with": {
        "connection": "mail", "to": "b@example.test", "subject": "s", "text": "t"}}}}  # fmt: skip
    assert (await deploy(service, spec)).status == 200
    refused = await service.delete("/api/v1/connections/mail")
    assert refused.status == 409
    assert "live workflow `report`" in refused.json()["detail"]
    await service.post("/api/v1/deployment/workflows/report/undeploy", json={})
    assert (await service.delete("/api/v1/connections/mail")).status == 204
    assert (await service.get("/api/v1/connections/mail")).status == 404


async def test_a_rotation_is_tried_first_and_counts_for_the_next_run(service, office):
    await service.post("/api/v1/connections", json=mail(office, password="outdated"))
    spec = {**FLOW, "jobs": {"mail": {"uses": "email", "with": {
        "connection": "mail", "to": "b@example.test", "subject": "s", "text": "t"}}}}  # fmt: skip
    await deploy(service, spec)
    status, jobs = await run(service)
    assert status == "FAILED"
    assert "does not accept the log-in of ann" in jobs["mail"]["error"]["message"]
    wrong = await service.post("/api/v1/connections/mail/rotate", json={"secrets": {"password": "mistyped"}})
    assert wrong.status == 409, wrong.text
    right = await service.post("/api/v1/connections/mail/rotate", json={"secrets": {"password": PASSWORD}})
    assert right.status == 200, right.text
    assert right.headers["etag"] == '"2"'
    assert (await run(service))[0] == "SUCCEEDED"
    for text in (wrong.text, right.text, (await service.get("/api/v1/connections")).text):
        assert PASSWORD not in text
        assert "mistyped" not in text


async def test_a_key_on_a_request_with_a_secret_keeps_no_digest_of_it(service, office):
    headers = {"idempotency-key": "once"}
    first = await service.post("/api/v1/connections", json=mail(office), headers=headers)
    assert (first.status, (await service.post("/api/v1/connections", json=mail(office), headers=headers)).status) == (
        201, 201,
    )  # fmt: skip


async def test_an_owner_forbids_code_and_allows_it_again(service):
    spec = {**FLOW, "jobs": {"a": {"uses": "python", "with": {"function": "os.path:join", "args": ["a", "b"]}}}}
    assert (await deploy(service, spec)).status == 200
    assert (await run(service))[0] == "SUCCEEDED"
    changed = await service.request("PUT", "/api/v1/tenant/settings", json={"allow_code": False})
    assert changed.json() == {"tenant_id": "local", "allow_code": False, "code_allowed": False, "resources": {}}
    status, jobs = await run(service)
    assert (status, jobs["a"]["error"]["code"]) == ("FAILED", "forbidden")
    refused = await deploy(service, spec)
    assert (refused.status, refused.json()["errors"][0]["field"]) == (422, "jobs.a")
    await service.request("PUT", "/api/v1/tenant/settings", json={"allow_code": None})
    assert (await run(service))[0] == "SUCCEEDED"

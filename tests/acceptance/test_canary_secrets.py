"""Secrets with values that stand nowhere else, everything that can happen, and then a search for those values."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import socket
import stat
import threading
import time
import urllib.error
import urllib.request
from collections import deque

import pytest
from joserfc import jwk, jwt

PASSWORD = "canary-basic-7f21"
TOKEN = "canary-bearer-8c33"
HMAC = "canary-hmac-19ab"
APIKEY = "canary-apikey-55de"
GITHUB = "canary-github-e0f4"
ISSUER = "canary-jwt-secret-that-is-long-enough-2b7c"
SHORT = "canary-refused-value-4d21"
QUERY = "canary-query-token-6a11"
HEADER = "canary-header-cookie-3c9e"
WRONG = "wfs_canary-wrong-key-91ba"
SEEN = deque()
DEFINITION = {
    "version": 1,
    "name": "canary",
    "triggers": {
        "hand": {"type": "manual"},
        "basic": {"type": "webhook", "path": "basic", "signature": {"scheme": "basic", "secret": "basic"}},
        "key": {"type": "webhook", "path": "key",
                "signature": {"scheme": "api-key", "header": "X-Own-Key", "secret": "apikey"}},
        "signed": {"type": "webhook", "path": "signed",
                   "signature": {"scheme": "hmac-sha256", "header": "X-Signature", "secret": "hmac"}},
        "pushes": {"type": "github", "repository": "acme/billing", "events": {"push": {}}},
    },
    "jobs": {
        "call": {"uses": "http", "allow_failure": True, "with": {
            "url": "${input.url}", "auth": {"type": "bearer", "secret": "bearer"}}},
        "refused": {"uses": "http", "allow_failure": True, "with": {
            "url": "${input.url}/500", "auth": {"type": "header", "header": "X-Token", "secret": "bearer"}}},
        "lost": {"uses": "http", "allow_failure": True, "with": {
            "url": "http://127.0.0.1:1/", "auth": {"type": "basic", "username": "u", "secret": "bearer"}}},
        "print": {"run": "env", "needs": ["call"]},
        "fail": {"run": "python -c 'raise SystemExit(3)'", "allow_failure": True},
        "missing": {"uses": "http", "allow_failure": True, "with": {
            "url": "${input.url}", "auth": {"type": "bearer", "secret": "not-there"}}},
    },
}  # fmt: skip


class Target(http.server.BaseHTTPRequestHandler):
    """Takes the credentials that jobs send and says nothing about them."""

    def do_GET(self):
        SEEN.append(str(self.headers))
        self.send_response(500 if self.path.endswith("/500") else 200)
        self.end_headers()

    def log_message(self, *_arguments):
        """Print nothing."""


@pytest.fixture
def target():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class Client:
    """Calls the service and keeps every answer."""

    def __init__(self, url):
        self.url = url
        self.answers = []
        self.credentials = {}

    def __call__(self, method, path, body=None, **headers):
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given.setdefault("content-type", "application/json")
        request = urllib.request.Request(  # noqa: S310 - our own service
            self.url + path, data=body, method=method, headers={**self.credentials, **given}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - our own service
                status, head, text = reply.status, str(reply.headers), reply.read()
        except urllib.error.HTTPError as error:
            with error:
                status, head, text = error.code, str(error.headers), error.read()
        self.answers.append(f"{method} {path.partition('?')[0]} {status}\n{head}{text.decode('utf-8', 'replace')}")
        return status, json.loads(text) if text[:1] in b"{[" and text else text


def follow(url, key, sent):
    """Read the live stream in a thread until the service ends."""
    host, port = url.removeprefix("http://").split(":")

    def read():
        with socket.create_connection((host, int(port))) as connection:
            head = f"GET /api/v1/stream HTTP/1.1\r\nHost: {host}\r\nX-API-Key: {key}\r\nLast-Event-ID: 0\r\n\r\n"
            connection.sendall(head.encode())
            while part := connection.recv(65_536):
                sent.extend(part)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread


def use_everything(call, target):
    """Set secrets, use them rightly and wrongly, and read everything back."""
    values = {"basic": f"user:{PASSWORD}", "bearer": TOKEN, "hmac": HMAC, "apikey": APIKEY}
    for name, value in values.items():
        assert call("POST", "/api/v1/secrets", {"name": name, "value": value}, idempotency_key=name)[0] == 201
    for body in (
        {"name": "bad name", "value": SHORT}, {"name": "a", "value": [SHORT]}, {"name": "a", "value": SHORT * 9_000},
        {"name": "a", "value": SHORT + "\x00"}, {"name": "a", "value": {"b": SHORT}}, {"value": SHORT, "more": SHORT},
        {"nam": "a", "value": SHORT},
    ):  # fmt: skip
        assert call("POST", "/api/v1/secrets", body)[0] in {400, 422}
    assert call("POST", "/api/v1/secrets", f'{{"name": "a", "value": "{SHORT}'.encode())[0] in {400, 422}
    web = {"name": "web", "kind": "http", "fields": {"auth": "bearer", "secret": TOKEN}}
    assert call("POST", "/api/v1/connections", web, idempotency_key="web")[0] == 201
    rotation = {"secrets": {"secret": HMAC}, "test": False}
    assert call("POST", "/api/v1/connections/web/rotate", rotation, idempotency_key="rotate")[0] == 200
    for fields in (
        {"auth": SHORT, "secret": SHORT},
        {"secret": [SHORT]},
        {"auth": "basic", "secret": SHORT},
    ):
        status = call("POST", "/api/v1/connections", {"name": "w", "kind": "http", "fields": fields})[0]
        assert status == 422
    status, shown = call("POST", "/api/v1/deployment/workflows/canary/deploy", {"workflow_spec": DEFINITION})
    assert status == 200, shown
    deliver(call)
    status, started = call("POST", "/api/v1/triggers/workflows/canary/manual", {"input": {"url": target}})
    assert status == 202, started
    run = call("GET", f"/api/v1/runs/{started['run_id']}/wait?timeout=60")[1]
    assert run["ended"], run
    jobs = {job["id"]: job["status"] for job in run["jobs"]}
    assert (jobs["call"], jobs["refused"], jobs["missing"]) == ("SUCCEEDED", "FAILED", "FAILED")
    call("POST", "/v2/workflows/canary/execute", {"input": {"url": "http://169.254.169.254/latest"}})


def deliver(call):
    basic = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    wrong = base64.b64encode(f"user:{PASSWORD}x".encode()).decode()
    push = b'{"ref": "refs/heads/main", "repository": {"full_name": "acme/billing", "owner": {"login": "acme"}}}'
    sign = hmac.digest(GITHUB.encode(), push, hashlib.sha256).hex()
    anyone = Client(call.url)
    anyone.answers = call.answers
    hook = "/api/v1/public/webhook"
    for method, path, body, headers, status in (
        ("POST", f"{hook}/basic?token={QUERY}", {}, {"authorization": f"Basic {basic}"}, 202),
        ("POST", f"{hook}/basic", {}, {"authorization": f"Basic {wrong}"}, 401),
        ("POST", f"{hook}/key?wait=run", {},
         {"x-own-key": APIKEY, "cookie": f"s={HEADER}", "x-auth-token": QUERY}, 202),
        ("POST", f"{hook}/key", {}, {"x-own-key": APIKEY + "x"}, 401),
        ("POST", f"{hook}/signed", b"{}", {"x-signature": hmac.digest(HMAC.encode(), b"{}", "sha256").hex()}, 202),
        ("POST", "/api/v1/github/webhook", push, {"x-github-event": "push", "x-github-delivery": "1",
         "x-hub-signature-256": f"sha256={sign}", "content-type": "application/json"}, 202),
        ("GET", "/api/v1/workflows", None, {"x-api-key": WRONG}, 401),
        ("GET", "/api/v1/workflows", None, {"authorization": f"Bearer {WRONG}"}, 401),
        ("GET", "/api/v1/workflows", None, {"authorization": f"Bearer x.{WRONG}.y"}, 401),
        ("GET", f"/api/v1/workflows?api_key={QUERY}&limit={QUERY}", None, {}, 401),
    ):  # fmt: skip
        found, text = anyone(method, path, body, **headers)
        assert found == status, (path, found, text)


def read_everything(call):
    for name in (
        "workflows",
        "triggers",
        "events",
        "runs",
        "schedules",
        "secrets",
        "connections",
        "keys",
        "dead-letters",
    ):
        for item in call("GET", f"/api/v1/{name}?limit=500")[1]["items"]:
            if name not in {"secrets", "connections", "keys"}:
                call("GET", f"/api/v1/{name}/{item['id']}")
            if name == "events":
                call("GET", f"/api/v1/events/{item['id']}/explain")
            if name == "runs":
                call("GET", f"/api/v1/runs/{item['id']}/logs?limit=5000")
                call("GET", f"/api/v1/runs/{item['id']}/explain")
    for path in ("/metrics", "/health/detailed", "/openapi.json", "/api/v1/workflows/canary/versions/1",
                 "/api/v1/deployment/workflows/canary/history"):  # fmt: skip
        call("GET", path)


def searched(name, content, canaries):
    found = [canary for canary in canaries if canary.encode() in content]
    assert not found, (name, found, context(content, found[0]) if found else "")


def context(content, canary):
    place = content.index(canary.encode())
    return content[max(0, place - 300) : place + 100]


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_secret_is_found_anywhere(tmp_path, start, target, style):
    process, url = start(
        tmp_path, module="workflow_scheduler", PORT="0", WFS_DATA=str(tmp_path / "data"), WFS_ALLOW_CODE="true",
        LOG_LEVEL="DEBUG", DEBUG="true", LOG_FORMAT=style, JWT_SECRET=ISSUER, GITHUB_WEBHOOK_SECRET=GITHUB,
        WFS_EGRESS_ALLOW="127.0.0.1",
    )  # fmt: skip
    try:
        token = jwt.encode(
            {"alg": "HS256"}, {"sub": "ann", "tenant_id": "local", "role": "owner", "exp": int(time.time()) + 3_600},  # noqa: TID251 - the service runs by the real clock
            jwk.OctKey.import_key(ISSUER),
        )  # fmt: skip
        call = Client(url)
        call.credentials = {"authorization": f"Bearer {token}"}
        key = call("POST", "/api/v1/keys", {"name": "canary"}, idempotency_key="k")[1]["key"]
        call.answers.pop()
        assert call("POST", "/api/v1/keys", {"name": "canary"}, idempotency_key="k")[1]["key"] is None
        stream = bytearray()
        reading = follow(url, key, stream)
        use_everything(call, target)
        call.credentials = {"x-api-key": key}
        read_everything(call)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
    reading.join(10)
    assert any(TOKEN in text for text in SEEN), "the control: the secret was used"
    canaries = [PASSWORD, TOKEN, HMAC, APIKEY, GITHUB, ISSUER, SHORT, WRONG, HEADER, key, token, token.split(".")[2]]
    canaries.append(base64.b64encode(f"user:{PASSWORD}".encode()).decode())
    assert b"event.accepted" in stream
    searched("the live stream", bytes(stream), [*canaries, QUERY])
    for text in call.answers:
        searched("an answer", text.encode(), [*canaries, QUERY])
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"keys.json", "workflow_scheduler.db", "log"} <= {path.name for path in files}
    for path in files:
        searched(path.name, path.read_bytes(), canaries)
        if path.parent != tmp_path:
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "data" / "keys.json").stat().st_mode) == 0o600

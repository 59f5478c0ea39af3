"""Who gets in: the address that is listened on, the first key, and web pages that would like to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

V1 = "/api/v1/workflows"


def call(url, path=V1, method="GET", body=None, **headers):
    """Return status, headers and body."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else json.dumps(body).encode()
    if data is not None:
        given.setdefault("content-type", "application/json")
    request = urllib.request.Request(url + path, data=data, method=method, headers=given)  # noqa: S310 - our service
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310 - our own service
            return reply.status, reply.headers, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()


@pytest.fixture
def begin(tmp_path, start):
    """Give a function that starts the service on one data folder and returns its URL; all are stopped at the end."""
    started = []

    def run(**settings):
        process, url = start(
            tmp_path, module="workflow_scheduler", **{"PORT": "0", "WFS_DATA": str(tmp_path / "data"), **settings}
        )
        started.append(process)
        return process, url

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


def end(process):
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3"])
@pytest.mark.parametrize("arguments", [["workflow_scheduler"], ["workflow_scheduler.cli", "up"]])
def test_an_address_beyond_this_machine_needs_authentication(tmp_path, host, arguments):
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", *arguments], env={**kept, "HOST": host, "PORT": "0", "WFS_DATA": str(tmp_path)},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode not in {0, None}
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if host != "10.1.2.3":  # an address of another machine cannot be listened on in the first place
        assert f"refusing to listen on {host} without authentication" in done.stderr
        assert "key create" in done.stderr
        assert "127.0.0.1" in done.stderr


def test_with_a_key_or_an_issuer_every_address_is_served_and_nobody_gets_in_without(begin):
    process, url = begin()
    status, _, made = call(url, "/api/v1/keys", "POST", {"name": "first"})
    assert status == 201
    key = json.loads(made)["key"]
    end(process)
    process, url = begin(HOST="0.0.0.0")
    url = url.replace("0.0.0.0", "127.0.0.1")
    assert call(url)[0] == 401
    assert call(url, x_api_key=key)[0] == 200
    end(process)
    process, url = begin(HOST="0.0.0.0", JWT_SECRET="x" * 40)
    assert call(url.replace("0.0.0.0", "127.0.0.1"))[0] == 401


def test_the_first_key_closes_the_open_tenant_at_once_and_for_good(begin):
    process, url = begin()
    assert call(url)[0] == 200
    key = json.loads(call(url, "/api/v1/keys", "POST", {"name": "first"})[2])["key"]
    for path, method in ((V1, "GET"), ("/api/v1/keys", "POST"), ("/v2/executions/x", "GET"), ("/api/v1/stream", "GET"),
                         ("/api/v1/events", "POST"), ("/api/v1/schedules/preview", "POST")):  # fmt: skip
        status, headers, body = call(url, path, method, {} if method == "POST" else None)
        assert (status, json.loads(body)["code"]) == (401, "unauthenticated"), path
        assert headers["www-authenticate"].startswith("Bearer")
    for public in ("/health", "/metrics", "/docs", "/openapi.json"):
        assert call(url, public)[0] == 200
    end(process)
    _, url = begin()
    assert call(url)[0] == 401
    assert call(url, authorization=f"Bearer {key}")[0] == 200


def test_a_web_page_cannot_use_the_open_tenant(begin):
    _, url = begin()
    port = url.rpartition(":")[2]
    cases = (
        ({"host": f"evil.test:{port}"}, 403),
        ({"host": f"127.0.0.1.evil.test:{port}"}, 403),
        ({"host": f"localhost.evil.test:{port}"}, 403),
        ({"host": f"0.0.0.0:{port}"}, 403),
        ({"host": "169.254.169.254"}, 403),
        ({"origin": "https://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost.evil.test"}, 403),
        ({"origin": "http://evil.test@localhost"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"host": f"localhost:{port}"}, 200),
        ({"host": f"[::1]:{port}"}, 200),
        ({"origin": f"http://127.0.0.1:{port}"}, 200),
        ({"origin": f"http://localhost:{port}", "sec_fetch_site": "same-origin"}, 200),
    )
    for headers, status in cases:
        assert call(url, **headers)[0] == status, headers
        found = call(url, "/api/v1/triggers/workflows/x/manual", "POST", {}, content_type="text/plain", **headers)
        assert found[0] == (403 if status == 403 else 422), headers
    preflight = call(url, V1, "OPTIONS", origin="https://evil.test", access_control_request_method="POST")
    assert preflight[0] in {401, 403, 405}
    assert not [name for name in preflight[1] if name.lower().startswith("access-control")]


def test_cookies_are_neither_set_nor_read(begin):
    _, url = begin()
    key = json.loads(call(url, "/api/v1/keys", "POST", {"name": "first"})[2])["key"]
    for name in ("session", "token", "api_key", "x-api-key", "authorization"):
        assert call(url, cookie=f"{name}={key}")[0] == 401
    assert call(url, f"{V1}?api_key={key}&token={key}&access_token={key}")[0] == 401
    for path in (V1, "/", "/docs", "/health", "/metrics", "/openapi.json"):
        assert "set-cookie" not in {name.lower() for name in call(url, path, x_api_key=key)[1]}

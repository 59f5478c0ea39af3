"""What jobs may call, what paths may name, and what headers may carry, on the whole service."""

from __future__ import annotations

import asyncio

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient

REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def _head(reader):
    while (line := await reader.readline()) not in {b"", b"\r\n"}:
        yield line


class Listener:
    """Counts connections on this machine, and answers with a redirect to another address of it."""

    def __init__(self):
        self.connections = 0
        self.heads = []

    async def open(self):
        servers = [await asyncio.start_server(self.serve, "127.0.0.1", 0)]
        self.port = servers[0].sockets[0].getsockname()[1]
        self.servers = [*servers, await asyncio.start_server(self.serve, "::1", self.port)]
        return self

    async def serve(self, reader, writer):
        self.connections += 1
        self.heads.append(b"".join([line async for line in _head(reader)]))
        writer.write(REDIRECT)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def close(self):
        for server in self.servers:
            server.close()
            await server.wait_closed()


@pytest.fixture
async def listener():
    made = await Listener().open()
    yield made
    await made.close()


@pytest.fixture
async def start(tmp_path):
    started = []

    async def begin(**settings):
        application = Application(Settings(_env_file=None, data=tmp_path, **settings))
        await application.start()
        started.append(application)
        return AsgiClient(application.asgi())

    yield begin
    for application in started:
        await application.stop()


CALL = {
    "version": 1,
    "name": "call",
    "jobs": {"call": {"uses": "http", "with": {
        "method": "${input.method}", "url": "${input.url}", "headers": {"X-Own": "${input.header}"}}}},
}  # fmt: skip


async def called(client, url, method="GET", header="x"):
    given = {"input": {"url": url, "method": method, "header": header}}
    started = await client.post("/v2/workflows/call/execute", json=given)
    if started.status == 400:
        return None  # a NUL is refused before anything is started
    run = (await client.get(f"/api/v1/runs/{started.json()['execution_id']}/wait?timeout=20")).json()
    assert run["ended"], url
    return run


async def deploy(client, definition, status=200):
    path = f"/api/v1/deployment/workflows/{definition['name']}/deploy"
    reply = await client.post(path, json={"workflow_spec": definition})
    assert reply.status == status, reply.text
    return reply.json()


async def test_no_form_of_an_inner_address_is_connected_to(listener, start):
    client = await start()
    await deploy(client, CALL)
    port = listener.port
    for host in (
        "127.0.0.1", "localhost", "LOCALHOST.", "[::1]", "0.0.0.0", "[::]", "127.1", "2130706433", "0x7f000001",
        "0177.0.0.1", "127.0.0.1.", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]", "user:pass@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1%2523", "\uff11\uff12\uff17.0.0.1",
        "\u2460\u2461\u2466.0.0.1",
        "ip6-localhost", "127.255.255.254",
    ):  # fmt: skip
        run = await called(client, f"http://{host}:{port}/")
        assert run["status"] == "FAILED", (host, run)
    for url in (
        "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/", "http://192.168.0.1/", "http://172.16.0.1/",
        "http://100.64.0.1/", "http://[fd00::1]/", "http://[fe80::1%25lo]/", "http://224.0.0.1/", "http://255.255.255.255/",
        "file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", f"//127.0.0.1:{port}/", "http:///x", "http://",
        f"http:\\\\127.0.0.1:{port}", f"http://127.0.0.1:{port}\\@example.com/", "", " ", "http://[::1", "http://a:99999/",
    ):  # fmt: skip
        assert (await called(client, url))["status"] == "FAILED", url
    assert listener.connections == 0


async def test_a_redirect_to_an_inner_address_is_not_followed(listener, start):
    client = await start(egress_allow="127.0.0.1")
    await deploy(client, CALL)
    run = await called(client, f"http://127.0.0.1:{listener.port}/")
    assert (run["status"], listener.connections) == ("FAILED", 1)
    assert "not public" in str(run["jobs"][0]["error"])


async def test_nothing_is_smuggled_into_a_request(listener, start):
    client = await start(egress_allow="127.0.0.1,::1")
    await deploy(client, CALL)
    url = f"http://127.0.0.1:{listener.port}"
    for method, path, header in (
        ("GET / HTTP/1.1\r\nX-Bad: 1\r\n\r\nGET", "/", "x"),
        ("GET", "/", "x\r\nX-Bad: 1"),
        ("GET", "/", "x\nX-Bad: 1"),
        ("GET", "/ HTTP/1.1\r\nX-Bad: 1\r\n\r\n", "x"),
        ("GET", "/%0d%0aX-Bad:%201", "x"),
        ("GET", "/", "x\x00"),
        ("GE T", "/", "x"),
        ("", "/", "x"),
    ):
        await called(client, url + path, method, header)
    assert not [head for head in listener.heads if b"\nX-Bad" in head]


@pytest.mark.parametrize(
    "path",
    [
        "/docs/..%2f..%2fsettings.py", "/docs/%2e%2e/%2e%2e/app.py", "/docs/../problems.py", "/docs/..\\problems.py",
        "/docs/docs.js%00.css", "/docs//etc/passwd", "/docs/%2fetc%2fpasswd", "/static/docs.js", "/static/../app.py",
        "/schemas/../app.py", "/schemas/workflow/..%2f..%2fapp.py", "/problems/..%2f..%2fapp.py", "/problems/<script>",
        "/problems/%3Cscript%3E", "/docs/docs.html", "/docs/.", "/docs/keys.json",
        "/../../etc/passwd", "/.env", "/keys.json",
    ],
)  # fmt: skip
async def test_no_path_leads_out_of_the_pages(start, path):
    reply = await (await start()).get(path)
    assert reply.status == 404
    assert reply.headers["content-type"] == "application/problem+json"
    assert b"root:" not in reply.body
    assert b"import" not in reply.body


async def test_nothing_that_is_sent_becomes_a_header_of_the_answer(start):
    client = await start()
    bad = "x%0d%0aX-Bad:%201"
    for method, target, headers in (
        ("GET", f"/api/v1/workflows/{bad}", {}),
        ("GET", f"/{bad}", {}),
        ("PATCH", f"/api/v1/workflows/{bad}", {}),
        ("POST", f"/api/v1/public/webhook/{bad}", {}),
        ("PUT", "/api/v1/schedules/x", {"if-match": "x\r\nX-Bad: 1"}),
        ("POST", "/api/v1/workflows", {"idempotency-key": "x\r\nX-Bad: 1"}),
        ("POST", "/api/v1/events", {"idempotency-key": "x\r\nX-Bad: 1", "ce-id": "1"}),
        ("GET", "/api/v1/stream?topics=x%0d%0aX-Bad", {}),
    ):
        reply = await client.request(method, target, headers=headers, body=b"{}" if method == "POST" else b"")
        assert 400 <= reply.status < 500, (target, reply.text)
        assert "x-bad" not in {name.lower() for name in reply.headers}
        assert not [value for value in reply.headers.values() if "\r" in value or "\n" in value]


CODE = (
    {"run": "id"},
    {"uses": "run", "with": {"command": "id"}},
    {"uses": "python", "with": {"code": "output = 1"}},
    {"uses": "python", "with": {"function": "os:getcwd"}},
)


@pytest.mark.parametrize("job", CODE)
async def test_code_needs_an_allowance_when_it_is_saved_and_when_it_runs(start, job):
    definition = {"version": 1, "name": "code", "jobs": {"it": job}}
    refused = await (await start()).post("/api/v1/workflows", json=definition)
    assert refused.status == 422, refused.text
    assert "WFS_ALLOW_CODE" in refused.text


async def test_code_that_was_deployed_before_does_not_run_once_the_allowance_is_gone(tmp_path):
    definition = {"version": 1, "name": "code", "jobs": {"it": {"run": f"touch {tmp_path}/ran"}}}
    for allowed, wanted in ((True, "SUCCEEDED"), (False, "FAILED")):
        application = Application(Settings(_env_file=None, data=tmp_path, allow_code=allowed))
        await application.start()
        try:
            client = AsgiClient(application.asgi())
            if allowed:
                await deploy(client, definition)
            started = (await client.post("/v2/workflows/code/execute", json={})).json()
            run = (await client.get(f"/api/v1/runs/{started['execution_id']}/wait?timeout=20")).json()
            assert run["status"] == wanted, run
        finally:
            await application.stop()
        if allowed:
            (tmp_path / "ran").unlink()
    assert not (tmp_path / "ran").exists()

"""The outbound client against real servers on loopback, which are reachable only where the test allows it."""

import asyncio
import socket
import zlib

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver

from workflow_scheduler.core.errors import (
    EgressRefused,
    NotConnected,
    OutcomeUnknown,
    Rejected,
    TooLarge,
    ValidationFailed,
)
from workflow_scheduler.core.ports.resources import HttpRequest
from workflow_scheduler.outbound.guard import EgressGuard
from workflow_scheduler.outbound.http import HttpClient


class Names(AbstractResolver):
    """Resolves the names it is given; counts how often."""

    def __init__(self, names):
        self.names = names
        self.asked = []

    async def resolve(self, host, port=0, family=socket.AF_INET):
        self.asked.append(host)
        if host not in self.names:
            raise OSError(None, "no such name")
        return [
            {"hostname": host, "host": one, "port": port, "family": socket.AF_INET6 if ":" in one else socket.AF_INET,
             "proto": 0, "flags": 0}
            for one in self.names[host]
        ]  # fmt: skip

    async def close(self):
        pass


class Server:
    def __init__(self):
        self.requests = []
        self.port = 0

    async def open(self):
        app = web.Application()
        app.router.add_route("*", "/redirect", self.redirect)
        app.router.add_get("/big", self.big)
        app.router.add_get("/bomb", self.bomb)
        app.router.add_get("/silent", self.silent)
        app.router.add_get("/cut", self.cut)
        app.router.add_route("*", "/{tail:.*}", self.echo)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.port = self.runner.addresses[0][1]
        return self

    async def close(self):
        await self.runner.cleanup()

    def url(self, path="/", host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    async def echo(self, request):
        body = await request.text()
        self.requests.append((request.method, request.path_qs, dict(request.headers), body))
        return web.json_response({"method": request.method, "body": body}, headers={"X-Two": "1"})

    async def redirect(self, request):
        self.requests.append((request.method, request.path_qs, dict(request.headers), await request.text()))
        return web.Response(status=int(request.query.get("status", "302")), headers={"Location": request.query["to"]})

    async def big(self, request):
        return web.Response(body=b"x" * 100_000)

    async def bomb(self, request):
        body = zlib.compress(b"\0" * (64 << 20))
        return web.Response(body=body, headers={"Content-Encoding": "deflate"})

    async def silent(self, request):
        await asyncio.get_running_loop().create_future()

    async def cut(self, request):
        request.transport.abort()
        return web.Response()


@pytest.fixture
async def server():
    opened = await Server().open()
    yield opened
    await opened.close()


@pytest.fixture
async def clients():
    made = []

    def client(*allow, names=None):
        made.append(HttpClient(EgressGuard(allow), resolver=Names(names or {})))
        return made[-1]

    yield client
    for one in made:
        await one.close()


def get(url, **more):
    return HttpRequest(method="GET", url=url, **more)


async def test_answer(server, clients):
    reply = await clients("127.0.0.1").send(
        HttpRequest(method="PUT", url=server.url("/a?b=c"), headers={"X-One": "1"}, body=b"hello")
    )
    assert reply.status == 200
    assert reply.headers["x-two"] == "1"
    assert reply.body == b'{"method": "PUT", "body": "hello"}'
    method, path, headers, _ = server.requests[0]
    assert (method, path, headers["X-One"]) == ("PUT", "/a?b=c", "1")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "169.254.169.254", "10.0.0.1"]
)
async def test_literals_are_refused(server, clients, host):
    with pytest.raises(EgressRefused):
        await clients().send(get(server.url(host=host)))
    assert server.requests == []


@pytest.mark.parametrize("host", ["2130706433", "0177.0.0.1", "0x7f.0.0.1", "127.1", "017700000001", "localhost"])
async def test_disguised_literals_are_refused_with_the_real_resolver(server, host):
    client = HttpClient(EgressGuard())
    try:
        with pytest.raises((EgressRefused, NotConnected, ValidationFailed)):
            await client.send(get(server.url(host=host)))
    finally:
        await client.close()
    assert server.requests == []


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.1.2.3"])
async def test_names_that_lead_inside_are_refused(server, clients, address):
    with pytest.raises(EgressRefused, match=r"good\.example are not allowed"):
        await clients(names={"good.example": [address]}).send(get(server.url(host="good.example")))
    assert server.requests == []


async def test_the_refusal_does_not_tell_the_address(server, clients):
    with pytest.raises(EgressRefused) as caught:
        await clients(names={"good.example": ["10.9.8.7"]}).send(get(server.url(host="good.example")))
    assert "10.9.8.7" not in str(caught.value)


async def test_an_allowed_network_is_reached_by_name(server, clients):
    client = clients("127.0.0.0/8", names={"good.example": ["127.0.0.1"]})
    assert (await client.send(get(server.url(host="good.example")))).status == 200


async def test_an_allowed_name_is_reached_wherever_it_leads(server, clients):
    client = clients("good.example", names={"good.example": ["127.0.0.1"], "evil.example": ["127.0.0.1"]})
    assert (await client.send(get(server.url(host="good.example")))).status == 200
    for host in ("evil.example", "127.0.0.1"):
        with pytest.raises(EgressRefused):
            await client.send(get(server.url(host=host)))
    assert len(server.requests) == 1


async def test_forbidden_answers_of_the_resolver_are_left_out(server, clients):
    client = clients("127.0.0.1", names={"good.example": ["10.0.0.1", "127.0.0.1"]})
    assert (await client.send(get(server.url(host="good.example")))).status == 200


async def test_the_address_that_was_checked_is_the_one_that_is_used(server, clients):
    """A name that would change its mind between check and connection is resolved once."""
    client = clients("127.0.0.1", names={"good.example": ["127.0.0.1"]})
    await client.send(get(server.url(host="good.example")))
    assert client._resolver.asked == ["good.example"]


@pytest.mark.parametrize(
    "target",
    ["http://10.0.0.1/", "http://169.254.169.254/latest/meta-data", "http://[::1]:{port}/", "http://evil.example/"],
)
async def test_redirects_are_checked_again(server, clients, target):
    client = clients("127.0.0.1", names={"evil.example": ["192.168.0.1"]})
    target = target.replace("{port}", str(server.port))
    with pytest.raises(EgressRefused):
        await client.send(get(server.url(f"/redirect?to={target}")))
    assert len(server.requests) == 1


@pytest.mark.parametrize("target", ["file:///etc/passwd", "gopher://x/", "ftp://8.8.8.8/"])
async def test_redirects_to_other_schemes_are_refused(server, clients, target):
    with pytest.raises(ValidationFailed, match="not an http or https URL"):
        await clients("127.0.0.1").send(get(server.url(f"/redirect?to={target}")))


async def test_redirects_are_followed_and_bounded(server, clients):
    client = clients("127.0.0.1")
    reply = await client.send(get(server.url("/redirect?to=/end")))
    assert (reply.status, reply.url) == (200, server.url("/end"))
    with pytest.raises(Rejected, match="redirects more than 3 times"):
        await client.send(get(server.url("/redirect?to=?to=%3Fto=%253Fto=%25253Fto=/end"), redirects_max=3))


async def test_redirects_are_handed_back_when_they_are_not_to_be_followed(server, clients):
    reply = await clients("127.0.0.1").send(get(server.url("/redirect?to=/end"), redirects_max=0))
    assert (reply.status, reply.headers["location"]) == (302, "/end")


@pytest.mark.parametrize(
    ("status", "method", "body"), [(302, "GET", ""), (303, "GET", ""), (307, "POST", "x"), (308, "POST", "x")]
)
async def test_a_post_is_repeated_only_where_the_status_says_so(server, clients, status, method, body):
    request = HttpRequest(method="POST", url=server.url(f"/redirect?status={status}&to=/end"), body=b"x")
    await clients("127.0.0.1").send(request)
    assert (server.requests[1][0], server.requests[1][3]) == (method, body)


async def test_credentials_stay_with_their_origin(server, clients):
    client = clients("127.0.0.1", names={"other.example": ["127.0.0.1"]})
    headers = {"Authorization": "Bearer s", "Cookie": "c", "X-Own-Token": "1", "Accept": "text/plain"}
    target = server.url("/end", host="other.example")
    await client.send(get(server.url(f"/redirect?to={target}"), headers=headers))
    assert server.requests[0][2]["Authorization"] == "Bearer s"
    there = server.requests[1][2]
    assert "Authorization" not in there
    assert "Cookie" not in there
    assert "X-Own-Token" not in there
    assert there["Accept"] == "text/plain"


@pytest.mark.parametrize("path", ["/big", "/bomb"])
async def test_large_answers_are_cut_off(server, clients, path):
    with pytest.raises(TooLarge, match="larger than 1000 bytes"):
        await clients("127.0.0.1").send(get(server.url(path), reply_bytes_max=1000))


async def test_time_runs_out_with_an_unknown_outcome(server, clients):
    with pytest.raises(OutcomeUnknown, match=r"did not answer within 0\.05 s"):
        await clients("127.0.0.1").send(get(server.url("/silent"), timeout_seconds=0.05))


async def test_a_lost_connection_is_an_unknown_outcome(server, clients):
    with pytest.raises(OutcomeUnknown, match="was lost"):
        await clients("127.0.0.1").send(get(server.url("/cut")))


async def test_a_refused_connection_is_surely_not_sent(server, clients):
    await server.close()
    with pytest.raises(NotConnected):
        await clients("127.0.0.1").send(get(server.url()))


async def test_an_unknown_name_is_surely_not_sent(clients):
    with pytest.raises(NotConnected):
        await clients().send(get("http://nowhere.example/"))


async def test_proxies_of_the_environment_are_not_used(server, clients, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await clients("127.0.0.1").send(get(server.url()))).status == 200


@pytest.mark.parametrize(
    "url", ["", "nothing", "file:///etc/passwd", "http://", "http://[::1", "http:///x", "http://a:999999/"]
)
async def test_what_is_not_a_url_is_refused(clients, url):
    with pytest.raises((ValidationFailed, EgressRefused)):
        await clients().send(get(url))


@pytest.mark.parametrize("headers", [{"X": "a\r\nHost: evil"}, {"X\r\nY": "1"}])
async def test_headers_cannot_be_smuggled(server, clients, headers):
    with pytest.raises(ValidationFailed, match="cannot be sent"):
        await clients("127.0.0.1").send(get(server.url(), headers=headers))
    assert server.requests == []

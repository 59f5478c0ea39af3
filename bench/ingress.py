# ruff: noqa: ANN001, ANN003, ANN201, ANN202, ANN204, D102
"""Requests per second of the raw ingress: uvicorn, uvloop and httptools with an inbox that stores nothing.

Run `python bench/ingress.py [seconds]`. It prints the Python time per request without a server, then the rate over
loopback from one client process with 64 connections beside a bare ASGI application of the same minute.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import socket
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import uvicorn
import uvloop

from workflow_scheduler.api.ingress import Ingress
from workflow_scheduler.api.protocol import GatheringProtocol
from workflow_scheduler.api.security import Authenticator
from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.pipeline.inbox import Inbox, Receipt
from workflow_scheduler.settings import Settings

CONNECTIONS = 64
BODY = b'{"order": 17, "amount": 120, "note": "' + b"x" * 950 + b'"}'
WEBHOOK = (
    b"POST /webhooks/webhook/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    b"user-agent: bench\r\naccept: */*\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
EVENT = b'{"specversion":"1.0","id":"1","source":"/shop","type":"order","data":' + BODY + b"}"
EVENTS = (
    b"POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/cloudevents+json\r\n"
    b"user-agent: bench\r\naccept: */*\r\ncontent-length: %d\r\n\r\n%s" % (len(EVENT), EVENT)
)


class Nothing:
    """A push source and an inbox that answer at once."""

    clock = SystemClock()

    async def receive(self, _provider, _route, _request):
        return [Receipt(mint(self.clock.now()), duplicate=False, decisions=[], run_ids=[])]

    def event(self, heard, **given):
        return Inbox.event(SimpleNamespace(_clock=self.clock), heard, **given)

    async def accept_all(self, events):
        return [Receipt(event.id, duplicate=False, decisions=[], run_ids=[]) for event in events]


class NoKeys:
    """An open local service."""

    async def owner(self, _digest):
        return None

    async def any_active(self):
        return False


async def bare(_scope, receive, send):
    """Answer without doing anything."""
    await receive()
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def ingress():
    """Return the ingress over nothing."""
    settings, nothing = Settings(_env_file=None), Nothing()
    authenticator = Authenticator(settings, NoKeys(), nothing.clock)
    await authenticator.start()
    context = SimpleNamespace(
        settings=settings, clock=nothing.clock, push=nothing, inbox=nothing, authenticator=authenticator,
        trigger_types={"webhook": SimpleNamespace(shape="push")},
    )  # fmt: skip
    return Ingress(bare, context)


async def python_time(app, raw, count=20_000):
    """Return microseconds of Python per request, without a server."""
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    path = lines[0].split()[1].decode()
    headers = [tuple(line.split(b": ", 1)) for line in lines[1:]]
    message = {"type": "http.request", "body": body, "more_body": False}

    async def receive():
        return message

    async def send(_message):
        return None

    began = time.perf_counter()
    for _ in range(count):
        scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers}
        await app(scope, receive, send)
    return (time.perf_counter() - began) / count * 1e6


class Client(asyncio.Protocol):
    """Sends the same request again and again and counts the answers."""

    def __init__(self, request):
        self.request = request
        self.count = 0

    def connection_made(self, transport):
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data):
        if data.startswith(b"HTTP") and not data.startswith(b"HTTP/1.1 202"):
            self.transport.close()
        elif data.endswith((b"ok", b"}")):
            self.count += 1
            self.transport.write(self.request)


async def load(port, request, seconds):
    """Return how many answers came over CONNECTIONS connections."""
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(lambda: Client(request), "127.0.0.1", port)
        clients.append(client)
    await _later(seconds)
    return sum(client.count for client in clients)


async def _later(seconds):
    future = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_later(seconds, future.set_result, None)
    await future


def serve(name, sock, protocol):
    """Serve in a process of its own."""

    async def run():
        app = bare if name == "bare" else await ingress()
        config = uvicorn.Config(app, loop="uvloop", http=protocol, log_level="error", access_log=False, lifespan="off")
        await uvicorn.Server(config).serve([sock])

    uvloop.run(run())


def rate(name, request, seconds, protocol=GatheringProtocol):
    """Return a line: requests per second of one application, and the CPU time its server took for each."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=256)
    server = multiprocessing.get_context("fork").Process(target=serve, args=(name, sock, protocol), daemon=True)
    server.start()
    try:
        answers = uvloop.run(load(sock.getsockname()[1], request, seconds))
        cpu = cpu_seconds(server.pid)
    finally:
        server.kill()
        server.join()
    return f"{answers / seconds:8.0f} req/s {cpu / answers * 1e6:8.1f} us of CPU each"


def cpu_seconds(pid):
    """Return the processor time a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    """Print the figures."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0

    async def measure():
        app = await ingress()
        return [(name, await python_time(app, raw)) for name, raw in (("webhook", WEBHOOK), ("cloudevent", EVENTS))]

    for name, microseconds in uvloop.run(measure()):
        print(f"{name:12} {microseconds:8.1f} us of Python per request")
    print(f"{'bare ASGI':12} {rate('bare', WEBHOOK, seconds)}")
    print(f"{'two writes':12} {rate('ingress', WEBHOOK, seconds, 'httptools')}")
    print(f"{'webhook':12} {rate('ingress', WEBHOOK, seconds)}")
    print(f"{'cloudevent':12} {rate('ingress', EVENTS, seconds)}")


if __name__ == "__main__":
    main()

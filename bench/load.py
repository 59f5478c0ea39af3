"""A load generator: keeps N connections busy with one prepared request each, and prints what it saw as JSON.

It runs as its own process (`python -m bench.load`), so that its work is on the other core, and parses no more of an
answer than its status line and length.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import cast

import uvloop


class Connection(asyncio.Protocol):
    """Sends the next request as soon as the answer to the last one is complete, or when the pace allows."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self.transport: asyncio.Transport | None = None
        self.buffer = b""
        self.sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start."""
        self.transport = cast("asyncio.Transport", transport)
        self.load.idle(self)

    def data_received(self, data: bytes) -> None:
        """Take answers apart."""
        self.buffer += data
        while True:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self.buffer[:end]
            length = 0
            place = head.lower().find(b"content-length:")
            if place >= 0:
                length = int(head[place + 15 :].split(b"\r\n", 1)[0])
            if len(self.buffer) < end + 4 + length:
                return
            self.buffer = self.buffer[end + 4 + length :]
            self.load.answered(self, int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Count a connection that the server ended."""
        del exc
        self.load.lost(self)

    def send(self, request: bytes) -> None:
        """Send one request."""
        self.sent_at = time.perf_counter()
        assert self.transport is not None
        self.transport.write(request)


class Load:
    """A number of requests over a number of connections, closed loop, or open loop at `rate` per second."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        body = options.body.encode()
        self.head = (
            f"{options.method} {options.path} HTTP/1.1\r\nHost: {options.host}:{options.port}\r\n"
            f"Content-Type: {options.type}\r\nContent-Length: {len(body)}\r\n"
        ).encode()
        self.body = body
        self.left = options.requests
        self.statuses: dict[int, int] = {}
        self.latencies: list[float] = []
        self.done = asyncio.Event()
        self.waiting: list[Connection] = []
        self.number = 0
        self.sent: list[tuple[str, float]] = []

    def request(self) -> bytes:
        """Return the next request; each has an id of its own."""
        self.number += 1
        if self.options.rate:
            self.sent.append((f"{self.options.prefix}-{self.number}", time.time()))
        return b"%sWebhook-Id: %s-%d\r\n\r\n%s" % (self.head, self.options.prefix.encode(), self.number, self.body)

    def idle(self, connection: Connection) -> None:
        """Give a free connection work."""
        if self.options.rate:
            self.waiting.append(connection)
        elif self.left > 0:
            self.left -= 1
            connection.send(self.request())

    def answered(self, connection: Connection, status: int) -> None:
        """Count an answer."""
        self.latencies.append(time.perf_counter() - connection.sent_at)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if len(self.latencies) >= self.options.requests:
            self.done.set()
        else:
            self.idle(connection)

    def lost(self, connection: Connection) -> None:
        """A lost connection ends the measurement when answers are missing."""
        del connection
        if len(self.latencies) < self.options.requests:
            self.statuses[0] = self.statuses.get(0, 0) + 1
            self.done.set()

    async def pace(self) -> None:
        """Send at a fixed rate, whatever the answers do."""
        begin = time.perf_counter()
        for index in range(self.options.requests):
            wait = begin + index / self.options.rate - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if self.waiting:
                self.waiting.pop().send(self.request())

    async def run(self) -> dict[str, object]:
        """Run and return the figures."""
        loop = asyncio.get_running_loop()
        begin = time.perf_counter()
        for _ in range(self.options.connections):
            await loop.create_connection(lambda: Connection(self), self.options.host, self.options.port)
        if self.options.rate:
            await self.pace()
        await asyncio.wait_for(self.done.wait(), self.options.timeout)
        seconds = time.perf_counter() - begin
        ordered = sorted(self.latencies)
        return {
            "requests": len(ordered),
            "seconds": seconds,
            "per_second": len(ordered) / seconds,
            "statuses": self.statuses,
            "p50_ms": ordered[len(ordered) // 2] * 1000,
            "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
            "sent": self.sent,
        }


def main() -> None:
    """Read the options, run, print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--method", default="POST")
    parser.add_argument("--type", default="application/json")
    parser.add_argument("--body", default="")
    parser.add_argument("--prefix", default="load")
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--timeout", type=float, default=120)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(Load(options).run())))


if __name__ == "__main__":
    main()

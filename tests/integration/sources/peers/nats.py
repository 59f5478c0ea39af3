"""A real NATS server with JetStream, which keeps its streams over a restart."""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import nats

from workflow_scheduler.testing.ports import free_port

TOKEN = "nats-token-of-the-test"
SERVER = Path(sys.executable).with_name("nats-server")


class Peer:
    """Read without a durable consumer."""

    type = "nats"
    durable = None

    def __init__(self):
        self.secrets = {}
        self.port = free_port()
        fields = {"servers": f"127.0.0.1:{self.port}", "token": TOKEN}
        self.connections = {"bus": {"kind": "nats", "fields": fields}}
        self.folder = tempfile.mkdtemp(prefix="wfs-nats-")
        self.process = None

    async def start(self):
        await self.restore()
        async with await self.client() as client:
            await client.jetstream().add_stream(name="NUMBERS", subjects=["numbers.>"])

    async def restore(self):
        await asyncio.to_thread(self._start)
        async with await self.client() as client:
            for _ in range(10_000):
                try:
                    await client.jetstream().account_info()
                except nats.js.errors.Error:  # JetStream recovers its streams first
                    continue
                return
        raise AssertionError

    def _start(self):
        self.process = subprocess.Popen(
            [SERVER, "-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", self.folder, "--auth", TOKEN],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(100_000):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.process.poll() is None, "the server has ended"
            else:
                return
        raise AssertionError

    async def client(self):
        return await nats.connect(f"nats://127.0.0.1:{self.port}", token=TOKEN)

    async def cut(self):
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    async def stop(self):
        await self.cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def config(self):
        wanted = {"type": "nats", "connection": "bus", "stream": "NUMBERS", "subject": "numbers.test"}
        return {**wanted, "start": "earliest", **({"durable": self.durable} if self.durable else {})}

    async def publish(self, numbers):
        async with await self.client() as client:
            stream = client.jetstream()
            for number in numbers:
                await stream.publish("numbers.test", b'{"n":%d}' % number)

    def number(self, data):
        return data["n"]


class Durable(Peer):
    """Read by a durable consumer."""

    durable = "runs"


PEERS = (Peer, Durable)

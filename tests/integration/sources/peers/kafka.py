"""librdkafka's mock cluster of three brokers in a process of its own; being cut off is being stopped (SIGSTOP)."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

CLUSTER = Path(__file__).parent.parent / "servers" / "kafka_cluster.py"


class Peer:
    type = "kafka"

    def __init__(self):
        self.secrets = {}
        self.connections = {}
        self.process = None

    async def start(self):
        servers = await asyncio.to_thread(self._start)
        fields = {"bootstrap_servers": servers, "security": "plaintext"}
        self.connections = {"events": {"kind": "kafka", "fields": fields}}

    def _start(self):
        self.process = subprocess.Popen(
            [sys.executable, CLUSTER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        return self.process.stdout.readline().strip()

    async def cut(self):
        self.process.send_signal(signal.SIGSTOP)

    async def restore(self):
        self.process.send_signal(signal.SIGCONT)

    async def stop(self):
        self.process.kill()
        await asyncio.to_thread(self.process.communicate)

    def config(self):
        return {"type": "kafka", "connection": "events", "topic": "numbers", "start": "earliest"}

    async def publish(self, numbers):
        def tell(line):
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "published\n"

        numbers = list(numbers)
        for first in range(0, len(numbers), 100):
            await asyncio.to_thread(tell, " ".join(map(str, numbers[first : first + 100])))

    def number(self, data):
        return data["n"]

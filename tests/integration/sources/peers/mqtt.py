"""Mosquitto, which keeps the sessions of its readers over a restart."""

import asyncio
import json
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from aiomqtt import Client

from workflow_scheduler.testing.ports import free_port

SERVER = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")


class Peer:
    type = "mqtt"
    missing = None if SERVER else "Mosquitto is not installed (Debian: mosquitto)"

    def __init__(self):
        self.secrets = {}
        self.port = free_port()
        fields = {"host": "127.0.0.1", "port": self.port, "tls": False}
        self.connections = {"plant": {"kind": "mqtt", "fields": fields}}
        self.folder = Path(tempfile.mkdtemp(prefix="wfs-mqtt-"))
        self.settings_lines = ["allow_anonymous true"]
        self.process = None

    async def start(self):
        lines = [
            f"listener {self.port} 127.0.0.1", "persistence true", f"persistence_location {self.folder}/",
            "max_queued_messages 0", "user root", *self.settings_lines,
        ]  # fmt: skip
        (self.folder / "broker.conf").write_text("\n".join(lines) + "\n")
        await self.restore()

    async def restore(self):
        await asyncio.to_thread(self._start)

    def _start(self):
        self.process = subprocess.Popen(
            [SERVER, "-c", str(self.folder / "broker.conf")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100_000):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                assert self.process.poll() is None, "the broker has ended"
            else:
                return

    async def cut(self):
        self.process.terminate()
        await asyncio.to_thread(self.process.wait)

    async def stop(self):
        await self.cut()
        shutil.rmtree(self.folder)

    def config(self):
        return {"type": "mqtt", "connection": "plant", "topics": ["numbers/#"]}

    async def publish(self, numbers):
        async with Client("127.0.0.1", self.port) as client:
            for number in numbers:
                await client.publish(f"numbers/{number % 7}", json.dumps({"n": number}), qos=1)

    def number(self, data):
        return data["n"]

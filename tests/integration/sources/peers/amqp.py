"""RabbitMQ, whose durable queues are there again after a restart."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import aio_pika

from workflow_scheduler.testing.ports import free_port

SERVER = next(filter(Path.exists, map(Path, ("/usr/lib/rabbitmq/bin/rabbitmq-server",))), None)
QUEUE = "numbers"
USER, PASSWORD = "guest", "guest"


class Peer:
    type = "amqp"
    missing = None if SERVER else "RabbitMQ is not installed (Debian: rabbitmq-server)"

    def __init__(self):
        self.port = free_port()
        self.secrets = {}
        fields = {"host": "127.0.0.1", "port": self.port, "tls": False, "username": USER, "password": PASSWORD}
        self.connections = {"bus": {"kind": "amqp", "fields": fields}}
        self.folder = Path(tempfile.mkdtemp(prefix="wfs-amqp-"))
        self.process = None
        # Erlang's name server runs beside the broker, on a port of its own.
        self.environment = {
            **os.environ, "HOME": str(self.folder), "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"), "RABBITMQ_NODENAME": f"wfs{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port), "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_DIST_PORT": str(free_port()), "ERL_EPMD_PORT": str(free_port()),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
        }  # fmt: skip

    async def start(self):
        (self.folder / "plugins").write_text("[].")
        await self.restore()

    async def restore(self):
        self._run()
        while True:
            try:
                async with self.channel() as channel:
                    await channel.declare_queue(QUEUE, durable=True)
            except (OSError, aio_pika.AMQPException) as error:
                assert self.process.poll() is None, (self.folder / "out").read_text()[-2000:]
                del error
            else:
                return

    def _run(self):
        with (self.folder / "out").open("ab") as out:
            self.process = subprocess.Popen(
                [SERVER], env=self.environment, stdout=out, stderr=out, start_new_session=True, cwd=self.folder
            )

    def _end_name_server(self):
        subprocess.run(["epmd", "-kill"], env=self.environment, capture_output=True, check=False)

    def channel(self):
        return Channel(self.port)

    async def cut(self):
        """End the broker as it asks for: what it has is on disk then."""
        os.killpg(self.process.pid, signal.SIGTERM)
        await asyncio.to_thread(self.process.wait)

    async def stop(self):
        await self.cut()
        await asyncio.to_thread(self._end_name_server)
        shutil.rmtree(self.folder, ignore_errors=True)

    def config(self):
        return {"type": "amqp", "connection": "bus", "queue": QUEUE}

    async def publish(self, numbers):
        async with self.channel() as channel:
            for number in numbers:
                await self.send(channel, number)

    async def send(self, channel, number, **more):
        body = b'{"n":%d}' % number
        message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, **more)
        await channel.default_exchange.publish(message, QUEUE)

    def number(self, data):
        return data["n"]


class Channel:
    """A channel of a connection that ends with it."""

    def __init__(self, port):
        self.port = port

    async def __aenter__(self):
        self.connection = await aio_pika.connect(
            host="127.0.0.1", port=self.port, login=USER, password=PASSWORD, timeout=5
        )
        return await self.connection.channel()

    async def __aexit__(self, *_):
        await self.connection.close()

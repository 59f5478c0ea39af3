"""A real Temporal server, and the whole program on it."""

import asyncio
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.ports import free_port

HISTORY_EVENTS = 120  # a history as long as this is left for a new one, so that the suite sees that happen


class Server:
    """A development server on a file, which can be stopped and started again."""

    def __init__(self, folder: Path):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.file = folder / "temporal.db"
        self.process = None

    def start(self):
        binary = Path(sys.executable).with_name("temporal")
        self.process = subprocess.Popen(
            [
                binary, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(self.port), "--headless",
                "--db-filename", self.file, "--log-level", "error",
                "--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={HISTORY_EVENTS}",
            ],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        asyncio.run(self._answers())
        return self

    async def _answers(self):
        async with asyncio.timeout(60):  # a server that is about to start can accept a connection and say nothing
            while not await self._has_answered():
                assert self.process.poll() is None, f"the Temporal server ended with {self.process.returncode}"

    async def _has_answered(self):
        try:
            async with asyncio.timeout(10):
                await (await Client.connect(self.address)).count_workflows("")
        except (TimeoutError, RuntimeError, RPCError):
            return False
        return True

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture(scope="session")
def temporal_address(tmp_path_factory):
    """HOST:PORT of a Temporal server: that of WFS_TEST_TEMPORAL, else one that is started here."""
    if address := os.environ.get("WFS_TEST_TEMPORAL"):
        yield address
        return
    server = Server(tmp_path_factory.mktemp("temporal")).start()
    yield server.address
    server.stop()


@pytest.fixture
def own_server(tmp_path):
    """A server that a test may stop."""
    server = Server(tmp_path).start()
    yield server
    server.stop()


@pytest.fixture
def queue():
    """A task queue that no other test uses."""
    return f"q-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def start(tmp_path, queue, temporal_address):
    """A function that starts an instance of the service."""
    running = []

    async def start_one(**more):
        settings = Settings(
            **{
                "data": tmp_path, "allow_code": True, "lock_timeout": 1, "temporal_address": temporal_address,
                "temporal_task_queue": queue, "temporal_heartbeat_seconds": 2.0, "_env_file": None, **more,
            }
        )  # fmt: skip
        application = Application(settings)
        await application.start()
        running.append(application)
        return application, AsgiClient(application.asgi())

    start_one.running = running
    yield start_one
    for application in running:
        await application.stop()


@pytest.fixture
async def service(start):
    """The client of an instance that works itself, on SQLite."""
    _, client = await start()
    return client

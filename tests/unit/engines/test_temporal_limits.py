"""A Temporal server that says nothing holds nobody up: not a call, and not the end of a worker."""

import asyncio
import logging
import socket

import pytest

from workflow_scheduler.core.errors import EngineUnavailable
from workflow_scheduler.core.model.run import JobStatus, Wake
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.engines.temporal import client, driver, worker
from workflow_scheduler.engines.temporal.client import TemporalAddress


@pytest.fixture
def mute(monkeypatch):
    """The address of a server that takes connections and never answers."""
    monkeypatch.setattr(client, "CALL_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield TemporalAddress(target=f"127.0.0.1:{listening.getsockname()[1]}")


async def test_a_server_that_says_nothing_is_unavailable(mute):
    engine = driver.TemporalEngine(mute, {}, None, SystemClock())
    async with asyncio.timeout(20):
        with pytest.raises(EngineUnavailable, match=r"does not answer: nothing came within 0\.2 s"):
            await engine.check()
        with pytest.raises(EngineUnavailable, match="nothing came within"):
            await engine.tell(Wake(tenant_id="t", run_id="r", job_id="j", name="n", status=JobStatus.SUCCEEDED, at=0))


class Endless:
    """A worker that waits for its server, whatever it is told."""

    def __init__(self):
        self.begun = asyncio.Event()

    async def run(self):
        self.begun.set()
        await asyncio.Event().wait()

    async def shutdown(self):
        await asyncio.Event().wait()


async def test_a_worker_that_does_not_finish_is_given_up(monkeypatch, caplog):
    endless = Endless()

    async def connected(address):
        return address

    monkeypatch.setattr(worker, "connect", connected)
    monkeypatch.setattr(worker, "STOP_SECONDS", 0.05)
    monkeypatch.setattr(worker.TemporalWorker, "worker", lambda self, client: endless)
    running = asyncio.create_task(worker.TemporalWorker(None, {}, None, None, SystemClock()).run())
    await endless.begun.wait()
    running.cancel()
    with caplog.at_level(logging.WARNING), pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(20):
            await running
    assert "has not finished within 0.05 s" in caplog.text

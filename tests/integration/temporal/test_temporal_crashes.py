"""What is killed in the middle of runs: workers, the Temporal server, the service."""

import asyncio
import os
import signal
import sys

import pytest
from temporal_kit import deploy, ended, execute, until

SLOW = "sleep 1.5; echo $$ done"


@pytest.fixture
async def workers(postgres_url, tmp_path, queue, temporal_address):
    """A function that starts a worker process on the same PostgreSQL."""
    running = []
    environment = {
        **os.environ, "DATABASE_URL": postgres_url, "WFS_DATA": str(tmp_path), "WFS_TEMPORAL_TASK_QUEUE": queue,
        "WFS_TEMPORAL_HEARTBEAT": "2", "WFS_ALLOW_CODE": "true", "LOCK_TIMEOUT": "2",
    }  # fmt: skip

    async def start_worker(address=temporal_address):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "workflow_scheduler.cli", "worker", "--engine", "temporal",
            env={**environment, "WFS_TEMPORAL_ADDRESS": address}, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        line = await process.stdout.readline()
        assert queue in line.decode(), line
        return process

    yield start_worker
    for process in running:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def states(client, run_id):
    run = (await client.get(f"/api/v1/runs/{run_id}")).json()
    return {job["id"]: job["status"] for job in run["jobs"]}


async def test_a_killed_worker_costs_an_attempt_and_no_finished_job_is_run_again(
    start, workers, postgres_url, tmp_path
):
    _, client = await start(database_url=postgres_url, roles="api,ingest,dispatch,timer,sources")
    first = await workers()
    counter = tmp_path / "counter"
    jobs = {
        "done": {"run": f"printf d >> {counter}"},
        "cut": {"needs": ["done"], "run": f"printf c >> {counter}; test $ATTEMPTS = 1 && sleep 600; true"},
        "after": {"needs": ["cut"], "run": f"printf a >> {counter}"},
    }
    jobs["cut"]["run"] = f"printf c >> {counter}; test $(grep -o c {counter} | wc -l) -gt 1 || sleep 600"
    await deploy(client, "killed", jobs)
    run_id = await execute(client, "killed")

    async def is_cut():
        return counter.exists() and counter.read_text() == "dc"

    await until(is_cut)
    first.send_signal(signal.SIGKILL)
    await first.wait()
    await workers()
    run, found = await ended(client, run_id)
    assert run["status"] == "SUCCEEDED", run["error"]
    assert counter.read_text() == "dcca"
    assert {name: job["attempt"] for name, job in found.items()} == {"done": 1, "cut": 2, "after": 1}


async def test_a_stopped_worker_hands_its_job_to_another_one_at_once(start, workers, postgres_url, tmp_path):
    _, client = await start(database_url=postgres_url, roles="api,ingest,dispatch,timer,sources")
    first = await workers()
    counter = tmp_path / "counter"
    cut = f"printf c >> {counter}; test $(grep -o c {counter} | wc -l) -gt 1 || sleep 600"
    await deploy(client, "stopped", {"cut": {"run": cut}})
    run_id = await execute(client, "stopped")

    async def is_cut():
        return counter.exists()

    await until(is_cut)
    await workers()
    first.send_signal(signal.SIGTERM)
    assert await first.wait() == 0
    run, found = await ended(client, run_id)
    assert run["status"] == "SUCCEEDED", run["error"]
    assert found["cut"]["attempt"] == 2


async def test_runs_go_on_when_the_temporal_server_comes_back(start, own_server):
    _, client = await start(temporal_address=own_server.address)
    await deploy(client, "back", {"a": {"run": "sleep 2"}, "b": {"needs": ["a"], "uses": "noop"}})
    run_id = await execute(client, "back")

    async def is_running():
        return (await states(client, run_id)).get("a") == "RUNNING"

    await until(is_running)
    own_server.stop()
    waiting = await execute(client, "back")
    await asyncio.to_thread(own_server.start)
    for one in (run_id, waiting):
        run, _ = await ended(client, one)
        assert run["status"] == "SUCCEEDED", run["error"]


async def test_runs_go_on_when_the_service_comes_back(start):
    first, client = await start()
    jobs = {"a": {"uses": "sleep_for", "with": {"duration": "2s"}}, "b": {"needs": ["a"], "run": "echo there"}}
    await deploy(client, "again", jobs)
    run_id = await execute(client, "again")

    async def is_parked():
        return (await states(client, run_id)).get("a") == "PAUSED"

    await until(is_parked)
    await first.stop()
    start.running.remove(first)
    _, client = await start()
    run, found = await ended(client, run_id)
    assert run["status"] == "SUCCEEDED", run["error"]
    assert found["b"]["attempt"] == 1
    assert run["output"]["stdout"] == "there\n"

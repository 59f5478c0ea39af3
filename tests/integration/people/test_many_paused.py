"""Runs that wait for people hold nothing: no task, no thread, no transaction; and each goes on when it is answered."""

import asyncio
import threading

from steps import deploy, ended, execute

PAUSED = 300
POOLED = 48


async def still(client, count):
    """Wait until so many runs are paused."""
    while True:
        items = (await client.get(f"/api/v1/runs?status=PAUSED&limit={count}")).json()["items"]
        if len(items) == count:
            return
        await client.get("/api/v1/runs?status=RUNNING&limit=1")


def tasks():
    return sum(not task.done() for task in asyncio.all_tasks())


async def test_paused_runs_hold_no_task_thread_or_connection(house, ann):
    await deploy(ann)
    first = await execute(ann)
    await still(ann, 1)
    threads, before = threading.active_count(), tasks()
    runs = await asyncio.gather(*(execute(ann) for _ in range(PAUSED - 1)))
    async with asyncio.timeout(60):
        await still(ann, PAUSED)
    engine = house.application.engines["embedded"]
    async with asyncio.timeout(30):
        while engine.active:  # they leave the process one after the other
            await ann.get("/api/v1/runs?limit=1")
    assert tasks() <= before + 2
    assert threading.active_count() <= threads + POOLED, "threads of pools, whose size the runs do not change"

    waits = (await ann.get(f"/api/v1/waits?status=OPEN&limit={PAUSED}")).json()["items"]
    assert {wait["run_id"] for wait in waits} == {first, *runs}
    for wait in waits[::50]:
        assert (await ann.post(f"/api/v1/waits/{wait['id']}", json={"approved": True})).status == 200
        assert (await ended(ann, wait["run_id"]))[0]["status"] == "SUCCEEDED"

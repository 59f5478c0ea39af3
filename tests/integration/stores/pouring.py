"""A process that pours events into a store and prints the ids of those that were acknowledged; to be killed."""

import asyncio
import sys

from workflow_scheduler.core.ports.store import Batch
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.stores.sqlite.store import SqliteStore
from workflow_scheduler.testing.conformance.store_material import ended, started
from workflow_scheduler.testing.factories import make_job


async def pour(store):
    while True:
        items = [started() for _ in range(5)]
        runs = [item.runs[0] for item in items]
        await store.commit(Batch(accepted=items))
        await store.commit(Batch(jobs=[make_job(run) for run in runs], run_changes=[ended(run) for run in runs]))
        sys.stdout.write("".join(f"{item.event.id}\n" for item in items))
        sys.stdout.flush()


async def main(where):
    store = (PostgresStore if "://" in where else SqliteStore)(where, SystemClock())
    await store.open()
    await asyncio.gather(*(pour(store) for _ in range(8)))


asyncio.run(main(sys.argv[1]))

"""How fast a store takes events, and what that costs the event loop beside it.

For batches of 1, 10, 100 and 500 events (each one event of 1 kB, one decision, one run) and then their ends (a run
change and a job record each): microseconds per event, and how much slower a busy loop in the same process becomes.
Run: `python bench/store_commit.py [--seconds 3] [--postgres URL] [--random-keys]`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from workflow_scheduler.core.ids import mint
from workflow_scheduler.core.model.decision import Decision
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.model.run import JobRecord, JobStatus, Run, RunChange, RunStatus
from workflow_scheduler.core.ports.store import Accepted, Batch, Store
from workflow_scheduler.core.reasons import Outcome, Reason
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.stores.postgres.store import PostgresStore
from workflow_scheduler.stores.sqlite.store import SqliteStore

CLOCK = SystemClock()
DATA = b'{"text":"' + b"x" * 1000 + b'"}'
SUBMITTERS = 4
RANDOM_KEYS = "--random-keys" in sys.argv


def accepted() -> Accepted:
    """Return one event that starts one run."""
    now = CLOCK.now()
    event_id, run_id = mint(now), mint(now)
    key = uuid.uuid4().hex if RANDOM_KEYS else event_id
    same = {"tenant_id": "local", "event_id": event_id, "trigger_id": "t1", "workflow_id": "w1"}
    event = Event(
        id=event_id, tenant_id="local", provider="webhook", source="webhook/orders", type="order", event_key=key,
        time=now, received_at=now, data=DATA, index_keys=("orders",),
    )  # fmt: skip
    decision = Decision(**same, outcome=Outcome.RUN_STARTED, reason=Reason.MATCHED, decided_at=now, run_id=run_id)
    run = Run(
        **same, id=run_id, workflow="orders", version=1, trigger_type="webhook", event_key=key, created_at=now,
        owner="bench",
    )  # fmt: skip
    return Accepted(event, [decision], [run])


def ends(items: list[Accepted]) -> Batch:
    """Return the batch that finishes the runs of `items`."""
    now = CLOCK.now()
    batch = Batch()
    for item in items:
        run = item.runs[0]
        own = {"tenant_id": "local", "run_id": run.id, "fence": 1, "started_at": now, "ended_at": now}
        batch.run_changes.append(RunChange(**own, status=RunStatus.SUCCEEDED, output=b"{}"))
        batch.jobs.append(JobRecord(**own, job_id="only", status=JobStatus.SUCCEEDED, output=b'{"done":true}'))
    return batch


class Busy:
    """A loop that is never idle: counts how many short turns it gets."""

    def __init__(self) -> None:
        """Start at zero."""
        self.turns = 0
        self.open = True

    async def run(self) -> None:
        """Turn until told to stop."""
        while self.open:
            sum(range(400))
            self.turns += 1
            await asyncio.sleep(0)


async def pour(store: Store, batches: list[list[Accepted]]) -> list[float]:
    """Accept and finish every batch, with several submitters at once; return each acceptance's seconds."""
    waits: list[float] = []
    queue = iter(batches)

    async def submit() -> None:
        for items in queue:
            began = time.perf_counter()
            await store.commit(Batch(accepted=items))
            waits.append(time.perf_counter() - began)
            await store.commit(ends(items))

    await asyncio.gather(*(submit() for _ in range(SUBMITTERS)))
    return waits


async def turns_per_second(seconds: float) -> float:
    """Return how many turns an undisturbed busy loop makes."""
    busy = Busy()
    task = asyncio.ensure_future(busy.run())
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    busy.open = False
    await task
    return busy.turns / (time.perf_counter() - began)


async def measure(store: Store, size: int, seconds: float, *, with_busy: bool) -> None:
    """Print one line for batches of `size`."""
    alone = await turns_per_second(0.5) if with_busy else 0.0
    count = max(SUBMITTERS * 2, int({1: 2_000, 10: 8_000}.get(size, 15_000) * seconds) // size)
    batches = [[accepted() for _ in range(size)] for _ in range(count)]
    busy = Busy()
    task = asyncio.ensure_future(busy.run()) if with_busy else None
    cpu, began = time.process_time(), time.perf_counter()
    waits = await pour(store, batches)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    busy.open = False
    if task is not None:
        await task
    events = size * count
    line = f"{size:>4} per batch  {events / took:>9,.0f} events/s  {took / events * 1e6:>6.1f} us each"
    line += f"  cpu {cpu / events * 1e6:>6.1f} us"
    slowest = sorted(waits)[len(waits) * 99 // 100]
    line += f"  accept p50 {statistics.median(waits) * 1e3:>6.2f} ms  p99 {slowest * 1e3:>6.2f} ms"
    if with_busy:
        lost = took - busy.turns / alone
        line += f"  taken from the loop {lost / events * 1e6:>5.1f} us each ({lost / took:.0%})"
    print(line, flush=True)


def probe(folder: Path) -> float:
    """Return the median microseconds of one fdatasync of 8 kB."""
    descriptor = os.open(folder / "probe", os.O_RDWR | os.O_CREAT)
    times = []
    for _ in range(300):
        began = time.perf_counter()
        os.pwrite(descriptor, os.urandom(8192), 0)
        os.fdatasync(descriptor)
        times.append(time.perf_counter() - began)
    os.close(descriptor)
    return statistics.median(times) * 1e6


async def bench(arguments: argparse.Namespace) -> None:
    """Run every size, with and without a busy loop."""
    with tempfile.TemporaryDirectory() as folder:
        print(f"fdatasync of 8 kB: {probe(Path(folder)):.0f} us")
        store: Store = (
            PostgresStore(arguments.postgres, CLOCK) if arguments.postgres
            else SqliteStore(Path(folder) / "bench.db", CLOCK)
        )  # fmt: skip
        await store.open()
        try:
            for with_busy in (False, True):
                print("beside a busy loop" if with_busy else "alone")
                for size in arguments.sizes:
                    await measure(store, size, arguments.seconds, with_busy=with_busy)
        finally:
            await store.close()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--postgres")
    parser.add_argument("--random-keys", action="store_true", help="event keys in no order, as senders' own ids are")
    parser.add_argument("--sizes", type=int, nargs="*", default=[1, 10, 100, 500])
    arguments = parser.parse_args()
    sys.setswitchinterval(0.005)
    import uvloop

    uvloop.run(bench(arguments))


if __name__ == "__main__":
    main()

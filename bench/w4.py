"""W4: matching one push against many triggers, three of which match."""

from __future__ import annotations

import asyncio
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from bench import seed
from workflow_scheduler.app import trigger_types
from workflow_scheduler.core.model.event import Event
from workflow_scheduler.core.reasons import Outcome
from workflow_scheduler.core.time.clock import SystemClock
from workflow_scheduler.pipeline.candidates import CandidateCache
from workflow_scheduler.pipeline.intents import decide
from workflow_scheduler.stores.portable.catalog import StoreCatalog
from workflow_scheduler.stores.sqlite.store import SqliteStore


def push(repository: str, branch: str = "main") -> Event:
    """Return a push as the GitHub trigger hears it."""
    data = {"ref": f"refs/heads/{branch}", "repository": {"full_name": repository}, "commits": [], "deleted": False}
    return Event(
        id="event", tenant_id=seed.TENANT, provider="github", source=f"https://github.com/{repository}", type="push",
        event_key="k", time=0, received_at=0, data=json.dumps(data).encode(),
        attributes=b'{"headers":{"x-github-event":"push"}}', index_keys=(repository,),
        sub_keys=("push", f"push:refs/heads/{branch}"),
    )  # fmt: skip


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def _measure(folder: Path, triggers: int) -> dict[str, Any]:
    store = SqliteStore(folder / "workflow_scheduler.db", SystemClock())
    await store.open()
    before = _resident_bytes()
    cache = CandidateCache(StoreCatalog(store), store, trigger_types())
    await cache.refresh()
    hot, spread, cold = [], [], []

    async def one(event: Event, into: list[float], matches: int) -> None:
        begin = time.perf_counter()
        bucket = cache.cached(event) or await cache.find(event)
        accepted = decide(event, bucket, 1, "bench")
        into.append((time.perf_counter() - begin) * 1e6)
        found = sum(decision.outcome is Outcome.RUN_STARTED for decision in accepted.decisions)
        if found != matches:
            raise SystemExit(f"{found} triggers matched, {matches} expected")

    for _ in range(2000):
        await one(push("acme/hot"), hot, 3)
    step = max(1, triggers // 5000)
    keys = [f"acme/repo-{index}" for index in range(triggers // 100 + 1, triggers, step)][:4000]
    for key in keys:
        await one(push(key), cold, 1)
    for key in keys:
        await one(push(key), spread, 1)
    grown = _resident_bytes() - before
    await store.close()
    return {
        "triggers": triggers,
        "hot_key_us": statistics.median(hot),
        "spread_us": statistics.median(spread),
        "first_look_us": statistics.median(cold),
        "bytes_per_trigger": grown / triggers,
    }


def match(triggers: int = 1_000_000) -> dict[str, Any]:
    """Return the median microseconds of matching and deciding one push; 1 % of the triggers share one key."""
    folder = Path(tempfile.mkdtemp(prefix="wfs-bench-", dir=Path.cwd().parent))
    try:
        connection = seed.open_database(folder)
        with connection:
            seed.workflows(connection, 1000)
            seed.pushes(connection, triggers, triggers // 100, 1000)
        connection.close()
        return asyncio.run(_measure(folder, triggers))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    """Run W4 alone, at three sizes."""
    for size in (1000, 100_000, 1_000_000):
        print(match(size))


if __name__ == "__main__":
    main()

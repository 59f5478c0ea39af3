"""W6: runs that wait for people: what ten thousand of them hold, and how soon one goes on once it is answered."""

from __future__ import annotations

import statistics
import threading
import time
from pathlib import Path
from typing import Any

from bench.service import Service
from bench.size import cpu_seconds, memory_mb

PAUSED = 10_000
ANSWERS = 50
IDLE_SECONDS = 20.0
SETTLE_SECONDS = 10.0
SENDERS = 8
WORKFLOW: dict[str, Any] = {
    "version": 1,
    "name": "asks",
    "triggers": {"by-hand": {"type": "manual"}},
    "jobs": {"ask": {"uses": "approval", "with": {"ask": "Go on?", "timeout": "7d"}}},
}


def _held(service: Service) -> dict[str, float]:
    """Return what the process holds now, and its share of a processor while nobody does anything."""
    assert service.process is not None
    pid = service.process.pid
    before = cpu_seconds(pid)
    time.sleep(IDLE_SECONDS)
    share = (cpu_seconds(pid) - before) / IDLE_SECONDS * 100
    process = Path(f"/proc/{pid}")
    return {
        "threads": len(list((process / "task").iterdir())),
        "files": len(list((process / "fd").iterdir())),
        "memory_mb": memory_mb(pid),
        "cpu_percent": share,
    }


def _pause(service: Service, count: int) -> None:
    def start(share: int) -> None:
        for _ in range(share):
            service.call("POST", "/api/v1/triggers/workflows/asks/manual", {})

    threads = [threading.Thread(target=start, args=(count // SENDERS,)) for _ in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for status in ("QUEUED", "RUNNING"):
        while service.call("GET", f"/api/v1/runs?status={status}&limit=1")["items"]:
            time.sleep(0.2)
    time.sleep(SETTLE_SECONDS)  # what the pauses told others is heard meanwhile


def _answer_ms(service: Service) -> float:
    """Return the median time from an answer to the end of its run, asked for over HTTP, in milliseconds."""
    times = []
    for wait in service.call("GET", f"/api/v1/waits?limit={ANSWERS}")["items"]:
        began = time.perf_counter()
        service.call("POST", f"/api/v1/waits/{wait['id']}", {"approved": True, "by": "bench"})
        service.call("GET", f"/api/v1/runs/{wait['run_id']}/wait?timeout=10")
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def paused(count: int = PAUSED) -> dict[str, float]:
    """Return what `count` paused runs add to an idle service, per run where it is memory, and the time of an answer."""
    service = Service().start()
    try:
        service.deploy(WORKFLOW)
        _pause(service, SENDERS)
        _answer_ms(service)
        none = _held(service)
        _pause(service, count)
        many = _held(service)
        return {
            "threads": many["threads"] - none["threads"],
            "files": many["files"] - none["files"],
            "kilobytes_per_run": (many["memory_mb"] - none["memory_mb"]) * 1024 / count,
            "cpu_percent": many["cpu_percent"],
            "cpu_percent_without": none["cpu_percent"],
            "answer_ms": _answer_ms(service),
        }
    finally:
        service.stop()


if __name__ == "__main__":
    print(paused())

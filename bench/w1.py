"""W1: POST of a 1 kB event to a finished one-job run, acknowledged only when durable."""

from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any

from bench.service import Service, load

BODY = json.dumps({"order": 1, "text": "x" * 980})
WORKFLOW = {
    "version": 1,
    "name": "bench-w1",
    "triggers": {"hook": {"type": "webhook", "path": "bench", "signature": {"scheme": "none"}}},
    "jobs": {"only": {"uses": "noop"}},
}
PATH = "/api/v1/public/webhook/bench"


def throughput(service: Service, requests: int = 30_000, connections: int = 128) -> dict[str, Any]:
    """Return accepted and finished runs per second."""
    load(service, PATH, BODY, 2000, connections, prefix="warm")
    service.wait_finished(2000)
    begin = time.perf_counter()
    seen = load(service, PATH, BODY, requests, connections, prefix="run")
    end = service.wait_finished(2000 + requests)
    if seen["statuses"] != {"202": requests}:
        raise SystemExit(f"unexpected answers: {seen['statuses']}")
    start_up = (end - begin) - seen["seconds"]
    return {
        "accepted": seen["per_second"],
        "finished": requests / (seen["seconds"] + max(0.0, start_up - 0.25)),
        "p50_ms": seen["p50_ms"],
        "p99_ms": seen["p99_ms"],
    }


def latency(service: Service, seconds: float = 10, rate: float = 50) -> dict[str, Any]:
    """Return the time from the POST to the start of its job, and to its durable answer, at a low rate."""
    count = int(seconds * rate)
    seen = load(service, PATH, BODY, count, 8, rate=str(rate), prefix=f"slow{time.time_ns()}")
    sent = dict(seen["sent"])
    waits: list[float] = []
    path = "/api/v1/runs?limit=200&workflow=bench-w1"
    cursor = ""
    while len(waits) < count:
        page = service.call("GET", path + cursor)
        for run in page["items"]:
            if run["event_key"] in sent:
                started = datetime.fromisoformat(run["jobs"][0]["started_at"]).timestamp()
                waits.append((started - sent[run["event_key"]]) * 1000)
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    waits.sort()
    return {
        "start_p50_ms": waits[len(waits) // 2],
        "start_p99_ms": waits[int(len(waits) * 0.99)],
        "answer_p50_ms": seen["p50_ms"],
        "answer_p99_ms": seen["p99_ms"],
        "found": len(waits),
    }


def main() -> None:
    """Run W1 alone."""
    service = Service().start()
    try:
        service.deploy(WORKFLOW)
        print(throughput(service))
        print(latency(service))
    finally:
        service.stop()


if __name__ == "__main__":
    main()

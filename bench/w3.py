"""W3: what a job step costs when its result is durable before the next job starts."""

from __future__ import annotations

import http.client
import json
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from bench.service import Service

NOOP = {"uses": "noop"}


def chain(length: int) -> dict[str, Any]:
    """Return a workflow of `length` jobs, one after the other."""
    jobs = {"j0": NOOP, **{f"j{n}": {"uses": "noop", "needs": [f"j{n - 1}"]} for n in range(1, length)}}
    return {"version": 1, "name": f"chain-{length}", "jobs": jobs}


def fan(width: int) -> dict[str, Any]:
    """Return a workflow 1 -> width -> 1."""
    middle = {f"m{n}": {"uses": "noop", "needs": ["first"]} for n in range(width)}
    jobs = {"first": NOOP, **middle, "last": {"uses": "noop", "needs": list(middle)}}
    return {"version": 1, "name": f"fan-{width}", "concurrency": {"max_parallel_jobs": width}, "jobs": jobs}


def _run(service: Service, name: str) -> dict[str, Any]:
    started = service.call("POST", f"/api/v1/triggers/workflows/{name}/manual", {})
    run_id = started["run_id"]
    service.call("GET", f"/api/v1/runs/{run_id}/wait")
    run: dict[str, Any] = service.call("GET", f"/api/v1/runs/{run_id}")
    if run["status"] != "SUCCEEDED":
        raise SystemExit(f"{name}: {run['status']} {run['error']}")
    return run


def per_job(service: Service, definition: dict[str, Any], rounds: int = 9) -> float:
    """Return the median of milliseconds per job over several runs, from the run's start to its end."""
    service.deploy(definition)
    jobs = len(definition["jobs"])
    figures = []
    for _ in range(rounds):
        run = _run(service, definition["name"])
        seconds = (datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["started_at"])).total_seconds()
        figures.append(seconds * 1000 / jobs)
    return statistics.median(figures)


def one_after_the_other(service: Service, count: int = 500) -> float:
    """Return one-job runs per second, each started when the one before has ended."""
    hook = {"hook": {"type": "webhook", "path": "serial", "signature": {"scheme": "none"}}}
    service.deploy({"version": 1, "name": "serial", "triggers": hook, "jobs": {"only": NOOP}})
    connection = http.client.HTTPConnection("127.0.0.1", service.port)
    headers = {"Content-Type": "application/json"}
    begin = time.perf_counter()
    for _ in range(count):
        connection.request("POST", "/api/v1/public/webhook/serial?wait=run", b"{}", headers)
        answer = json.loads(connection.getresponse().read())
        if answer["status"] != "SUCCEEDED":
            raise SystemExit(f"one after the other: {answer}")
    return count / (time.perf_counter() - begin)


def on_temporal(rounds: int = 3) -> Iterator[tuple[str, float]]:
    """Yield milliseconds per job of chains and fans on a development server of Temporal that is started for this."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    path = Path(sys.executable).with_name("temporal")
    command = [path, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), "--headless"]
    server = subprocess.Popen([*command, "--log-level", "error"], stdout=subprocess.DEVNULL)
    service = Service(WFS_TEMPORAL_ADDRESS=f"127.0.0.1:{port}").start()
    try:
        kinds = {
            "inline": {"uses": "noop"},
            "activities": {"uses": "python", "with": {"function": "math:sqrt", "args": [4]}},
        }
        for kind, job in kinds.items():
            for shape in (chain(100), fan(200)):
                name = f"{shape['name']}-{kind}"
                jobs = {job_id: {**one, **job} for job_id, one in shape["jobs"].items()}
                yield name, per_job(service, {**shape, "name": name, "engine": "temporal", "jobs": jobs}, rounds)
    finally:
        service.stop()
        server.kill()
        server.wait()


def main() -> None:
    """Run W3 alone; with `--temporal` only its graphs on the engine `temporal`."""
    if "--temporal" in sys.argv:
        for name, figure in on_temporal():
            print(f"temporal, {name}, ms per job: {figure:.2f}", flush=True)
        return
    service = Service().start()
    try:
        print("chain of 100, ms per job:", per_job(service, chain(100)))
        print("1 -> 200 -> 1, ms per job:", per_job(service, fan(200)))
        print("DAG of 2000 jobs, ms per job:", per_job(service, fan(1998), 3))
        print("one after the other, runs/s:", one_after_the_other(service))
    finally:
        service.stop()


if __name__ == "__main__":
    main()

"""Starts the real service in a process of its own, on a temporary folder, and talks to its API."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


class Service:
    """One service process. `stop` ends it and removes its folder."""

    def __init__(self, *, database_url: str = "", folder: Path | None = None, **environment: str) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="wfs-bench-", dir=Path.cwd().parent))
        self.kept = folder is not None
        self.environment = {
            **os.environ,
            "WFS_DATA": str(self.folder),
            "DATABASE_URL": database_url,
            "PORT": "0",
            "LOG_LEVEL": "WARNING",
            "WFS_ALLOW_CODE": "true",
            **environment,
        }
        self.process: subprocess.Popen[str] | None = None
        self.url = ""
        self.ready_seconds = 0.0

    def start(self) -> Service:
        """Start and wait until it answers."""
        begin = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "workflow_scheduler"], env=self.environment, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise SystemExit("the service did not start")
        while self.get("/health") is None:
            pass
        self.ready_seconds = time.perf_counter() - begin
        return self

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rsplit(":", 1)[1])

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request and return the decoded answer; a refusal ends the benchmark with its text."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.code} {error.read().decode()}") from error

    def get(self, path: str) -> Any:
        """GET, or None when nobody answers yet."""
        try:
            return self.call("GET", path)
        except urllib.error.URLError:
            return None

    def deploy(self, definition: dict[str, Any]) -> str:
        """Create and deploy a workflow; return its id."""
        created = self.call("POST", "/api/v1/workflows", definition)
        self.call("POST", f"/api/v1/deployment/workflows/{created['id']}/deploy")
        identifier: str = created["id"]
        return identifier

    def finished(self) -> float:
        """Return how many runs have ended since the start."""
        with urllib.request.urlopen(self.url + "/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("triggers_runs_finished_total"))

    def wait_finished(self, count: float, seconds: float = 120) -> float:
        """Wait until `count` runs have ended; return when that was (perf_counter)."""
        deadline = time.perf_counter() + seconds
        while self.finished() < count:
            if time.perf_counter() > deadline:
                raise SystemExit(f"only {self.finished():.0f} of {count:.0f} runs ended in time")
            time.sleep(0.02)
        return time.perf_counter()

    def stop(self, number: int = signal.SIGTERM) -> None:
        """End the process and remove its folder."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(30)
        if not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)


def load(service: Service, path: str, body: str, requests: int, connections: int, **more: str) -> dict[str, Any]:
    """Run the load generator in its own process against `service`."""
    command = [sys.executable, "-m", "bench.load", "--port", str(service.port), "--path", path, "--body", body]
    command += ["--requests", str(requests), "--connections", str(connections)]
    for name, value in more.items():
        command += [f"--{name}", value]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found

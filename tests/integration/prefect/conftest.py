"""A real Prefect server in an environment of its own, a process that serves flows, and the whole program beside it."""

import asyncio
import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from workflow_scheduler.app import Application
from workflow_scheduler.settings import Settings
from workflow_scheduler.testing.asgi import AsgiClient
from workflow_scheduler.testing.ports import free_port

PACKAGES = ("prefect==3.8.8", "fastapi<0.151")
FLOWS = Path(__file__).with_name("prefect_flows.py")
READY_SECONDS = 180


def environment_folder():
    """Return the folder of Prefect's own environment, which later sessions use again."""
    cache = os.environ.get("WFS_TEST_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    version = ".".join(map(str, sys.version_info[:2]))
    return Path(cache) / "workflow-scheduler-tests" / f"prefect-3.8.8-{version}"


def prefect_python():
    """Return the interpreter of that environment, which is made where it is not whole yet."""
    folder = environment_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    python, whole = folder / "bin" / "python", folder / "whole"
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if whole.exists() and subprocess.run([python, "-c", ""], check=False).returncode == 0:
            return python
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        for attempt in range(3):
            shutil.rmtree(folder, ignore_errors=True)
            steps = (
                [uv, "venv", "--quiet", "--python", sys.executable, folder],
                [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *PACKAGES],
            )
            done = [subprocess.run(step, capture_output=True, text=True, check=False) for step in steps]
            if all(one.returncode == 0 for one in done):
                whole.touch()
                return python
            assert attempt < 2, "\n".join(one.stderr for one in done)
    raise AssertionError


class Prefect:
    """A server and a process that serves flows. The server can be stopped and started again."""

    def __init__(self, folder):
        self.python = prefect_python()
        self.folder = folder
        self.port = free_port()
        self.api = f"http://127.0.0.1:{self.port}/api"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "WFS_"))},
            "PREFECT_HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
            "PREFECT_API_URL": self.api, "PREFECT_RUNNER_POLL_FREQUENCY": "1",
            "PREFECT_LOGGING_TO_API_BATCH_INTERVAL": "0.2",
        }  # fmt: skip
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.processes = {}

    def run(self, name, *arguments):
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [self.python, *arguments], env=self.environment, cwd=self.folder, stdout=log, stderr=log
            )

    def start(self):
        self.run(
            "server", "-m", "prefect", "server", "start", "--no-ui", "--host", "127.0.0.1", "--port", str(self.port)
        )
        self.until("server", lambda: self.call("GET", "/health") is True)

    def serve(self):
        self.run("flows", FLOWS)
        self.until("flows", lambda: self.call("GET", "/deployments/name/confirm/test"))

    def until(self, name, holds):
        """Wait until it holds, while the process lives."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(OSError):
                if holds():
                    return
            dead = self.processes[name].poll() is not None
            if dead or time.monotonic() > deadline:
                raise AssertionError((self.folder / f"{name}.log").read_text()[-4000:])
            time.sleep(0.1)

    def stop(self, name):
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def call(self, method, path, value=None):
        """Return what the server answers, None for a 404; its SQLite is busy at times, which it says by a 503."""
        body = None if value is None else json.dumps(value).encode()
        request = urllib.request.Request(  # noqa: S310 - our own server
            self.api + path, body, {"content-type": "application/json"}, method=method
        )
        for attempt in range(100):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                    return json.loads(answer.read() or b"null")
            except urllib.error.HTTPError as error:
                if error.code == 404:
                    return None
                if error.code != 503 or attempt == 99:
                    raise
            time.sleep(0.05)
        raise AssertionError

    def flow_runs(self, run_id):
        """Return the flow runs that were begun for a run of ours."""
        wanted = {"flow_runs": {"idempotency_key": {"any_": [run_id]}}}
        return self.call("POST", "/flow_runs/filter", wanted)

    def idle_deployment(self, name):
        """Make a deployment that nothing works on: its flow runs do what a test sets them to."""
        flow = self.call("POST", "/flows/", {"name": name})
        return self.call("POST", "/deployments/", {"name": "idle", "flow_id": flow["id"]})

    def set_state(self, run_id, kind, **more):
        for flow_run in self.flow_runs(run_id):
            wish = {"state": {"type": kind, **more}, "force": True}
            self.call("POST", f"/flow_runs/{flow_run['id']}/set_state", wish)


@pytest.fixture(scope="session")
def prefect(tmp_path_factory):
    """The server, with the flows of prefect_flows.py."""
    opened = Prefect(tmp_path_factory.mktemp("prefect"))
    try:
        opened.start()
        opened.serve()
        yield opened
    finally:
        for name in ("flows", "server"):
            opened.stop(name)


@pytest.fixture
async def start(tmp_path, prefect):
    """A function that starts an instance of the service."""
    running = []

    async def start_one():
        application = Application(Settings(data=tmp_path, prefect_api_url=prefect.api, lock_timeout=1, _env_file=None))
        await application.start()
        running.append(application)
        return AsgiClient(application.asgi())

    yield start_one
    await asyncio.gather(*(application.stop() for application in running))


@pytest.fixture
async def service(start):
    """The client of an instance on SQLite."""
    return await start()

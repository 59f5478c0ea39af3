"""Real processes: the service on a free port and the command line, as users start them."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

CLI = [sys.executable, "-m", "workflow_scheduler.cli"]
SECONDS = 60


def environment(**more):
    names = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONHASHSEED": "0", **more}


def first_line(process, seconds=30):
    """Return the first line a process prints, or fail with what it said."""
    text = b""
    while not text.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        part = os.read(process.stdout.fileno(), 4096) if ready else b""
        assert part, "the process did not print its first line"
        text += part
    return text.decode().strip()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """A running service that allows code: its URL and folder."""
    folder = tmp_path_factory.mktemp("service")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*CLI, "up", "--port", "0", "--data", str(folder / "data")],
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=environment(WFS_ALLOW_CODE="true"),
        )
    try:
        yield SimpleNamespace(url=first_line(process), folder=folder, process=process)
    finally:
        process.terminate()
        status = process.wait(SECONDS)
        process.stdout.close()
        Path(folder / "status").write_text(str(status))


class Called(SimpleNamespace):
    """How a command ended: `code`, `out`, `err`."""

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture(scope="session")
def command():
    """Give a function that runs the command line to its end."""

    def call(*arguments, cwd, stdin="", timeout=SECONDS, **more):
        done = subprocess.run(
            [*CLI, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=cwd,
            env=environment(**more),
            timeout=timeout,
            check=False,
        )
        return Called(code=done.returncode, out=done.stdout, err=done.stderr)

    return call


@pytest.fixture(scope="module")
def wfs(service, command):
    """Give a function that runs the command line against the service."""

    def call(*arguments, stdin="", **more):
        return command(*arguments, cwd=service.folder, stdin=stdin, **{"WFS_SERVER": service.url, **more})

    return call

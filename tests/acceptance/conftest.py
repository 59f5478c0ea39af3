"""Real processes: the service on a free port and the command line, as users start them."""

import json
import os
import select
import subprocess
import sys
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


@pytest.fixture(scope="session")
def start():
    """Give a function that starts a process and returns it with the first line that it prints."""

    def begin(folder, *arguments, module="workflow_scheduler.cli", **more):
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                env=environment(**more),
            )
        try:
            return process, first_line(process)
        except BaseException:
            process.kill()
            process.wait()
            process.stdout.close()
            raise

    return begin


@pytest.fixture(scope="module")
def service(tmp_path_factory, start):
    """A running service that allows code: its URL and folder."""
    folder = tmp_path_factory.mktemp("service")
    data = str(folder / "data")
    process, url = start(folder, "up", "--port", "0", "--data", data, WFS_ALLOW_CODE="true")
    try:
        yield SimpleNamespace(url=url, folder=folder)
    finally:
        process.terminate()
        process.wait(SECONDS)
        process.stdout.close()


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


@pytest.fixture
def flows(service, command, tmp_path):
    """Give a function that runs the command line for JSON answers in a folder of its own, and deploys definitions."""

    def call(*arguments):
        return command(*arguments, "--json", cwd=tmp_path, WFS_SERVER=service.url)

    def deploy(definition):
        (tmp_path / "flow.json").write_text(json.dumps(definition))
        done = call("deploy", "flow.json")
        assert done.code == 0, done.err

    call.deploy, call.folder = deploy, tmp_path
    return call

"""A service of its own for the demo: a child process on a temporary folder, apart from the user's settings."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from workflow_scheduler.core.errors import NotConnected
from workflow_scheduler.core.time.clock import SystemClock

START_SECONDS = 30.0
STOP_SECONDS = 15.0
_HOST = "127.0.0.1"
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "VIRTUAL_ENV", "PYTHONPATH", "LD_LIBRARY_PATH")


def free_port(wanted: int) -> int:
    """Return `wanted` if nothing listens there, else 0: any free one."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, wanted))
        except OSError:
            return 0
    return wanted


class DemoService:
    """Runs the service while the block lasts; `url` is its address, `log` the file of its messages."""

    def __init__(self, port: int) -> None:
        """Take the port; 0 is any free one."""
        self._port = port
        self._folder = tempfile.TemporaryDirectory(prefix="workflow-scheduler-demo-", ignore_cleanup_errors=True)
        self._child: subprocess.Popen[bytes] | None = None
        self.folder = Path(self._folder.name)
        self.log = self.folder / "service.log"
        self.url = ""

    def __enter__(self) -> Self:
        """Start the service and wait until it answers.

        Raises:
            NotConnected: it did not start in time.

        """
        data = self.folder / "data"
        command = [sys.executable, "-m", "workflow_scheduler.cli", "up", "--host", _HOST, "--port", str(self._port)]
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(  # noqa: S603 -- our own module
                [*command, "--data", str(data)],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.folder,
                env=_environment(),
            )
        try:
            self.url = self._first_line()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Stop the service and remove its folder."""
        self.stop()

    def _first_line(self) -> str:
        assert self._child is not None
        assert self._child.stdout is not None
        clock = SystemClock()
        deadline = clock.monotonic() + START_SECONDS
        text = b""
        while not text.endswith(b"\n"):
            ready, _, _ = select.select([self._child.stdout], [], [], max(0.0, deadline - clock.monotonic()))
            part = os.read(self._child.stdout.fileno(), 4096) if ready else b""
            if not part:
                raise NotConnected(f"the service did not start: {self._last_words()}")
            text += part
        return text.decode().strip()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def wait(self) -> int:
        """Wait until the service ends by itself and return its exit status."""
        assert self._child is not None
        return self._child.wait()

    def stop(self) -> int:
        """Stop the service; return its exit status, and remove its folder."""
        status = 0
        if self._child is not None:
            self._child.terminate()
            try:
                status = self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                status = self._child.wait()
            if self._child.stdout is not None:
                self._child.stdout.close()
            self._child = None
        self._folder.cleanup()
        return status


def _environment() -> dict[str, str]:
    """Return a clean environment: the demo uses its own folder and tenant, whatever the user has configured."""
    kept = {name: value for name, value in os.environ.items() if name in _KEPT}
    return {**kept, "WFS_ALLOW_CODE": "true", "LOG_LEVEL": "WARNING", "SCHEDULER_TIMEZONE": "UTC"}

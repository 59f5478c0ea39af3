"""One service process: started, killed and stopped from outside, and spoken to over HTTP."""

import atexit
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path

from workflow_scheduler.testing.ports import free_port

START_SECONDS = 30
WORK = Path(__file__).parent / "work"


class Refused(Exception):
    """The service answered with an error; `status` is its HTTP status."""

    def __init__(self, status, text):
        super().__init__(f"{status} {text}")
        self.status = status


class Service:
    """The service on `folder` and one fixed port, so that senders find it again after a restart."""

    def __init__(self, folder, database_url="", module="workflow_scheduler", **environment):
        self.module = module
        self.folder = Path(folder)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.marks = self.folder / "marks.txt"
        self.log = self.folder / "service.log"
        self.environment = {
            **os.environ,
            "WFS_DATA": str(self.folder / "data"),
            "DATABASE_URL": database_url,
            "PORT": str(self.port),
            "LOG_LEVEL": "WARNING",
            "WFS_ALLOW_CODE": "true",
            "CHAOS_MARKS": str(self.marks),
            "PYTHONPATH": os.pathsep.join(filter(None, (str(WORK), os.environ.get("PYTHONPATH")))),
            **environment,
        }
        self.process = None
        atexit.register(self.leave_nothing)
        self.ready_seconds = []
        self.ready_cpu_seconds = []

    def start(self, **environment):
        """Start, wait until /health answers, and return how long that took in seconds; None if it died before."""
        began = time.perf_counter()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                env={**self.environment, **environment},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.process.stdout.readline()
        while not self.healthy():
            if self.process.poll() is not None:
                return None
            if time.perf_counter() - began > START_SECONDS:
                raise AssertionError("the service does not become ready\n" + self.tail())
        self.ready_seconds.append(time.perf_counter() - began)
        self.ready_cpu_seconds.append(self.cpu_seconds())
        return self.ready_seconds[-1]

    def cpu_seconds(self):
        """Return the processor time that the process has used; unlike the clock's, others do not add to it."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def healthy(self):
        try:
            return self.call("GET", "/health")["status"] == "healthy"
        except (OSError, http.client.HTTPException):
            return False

    def call(self, method, path, body=None, headers=None, timeout=30):
        """Send a request and return the decoded answer; an error answer raises Refused."""
        status, _, text = self.answer(method, path, body, headers, timeout)
        if status >= 400:
            raise Refused(status, text.decode("utf-8", "replace"))
        return json.loads(text or b"null")

    def answer(self, method, path, body=None, headers=None, timeout=30):
        """Send a request and return (status, headers, body) of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            given = {"Content-Type": "application/json"} if data is not None else {}
            connection.request(method, path, data, {**given, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def deploy(self, definition):
        """Create and deploy a workflow; return its id."""
        created = self.call("POST", "/api/v1/workflows", definition)
        self.call("POST", f"/api/v1/deployment/workflows/{created['id']}/deploy")
        return created["id"]

    def items(self, path, **query):
        """Return all items of a list, page after page."""
        found, cursor = [], None
        while True:
            given = {"limit": 500, **query, **({"cursor": cursor} if cursor else {})}
            page = self.call("GET", f"{path}?{urllib.parse.urlencode(given)}")
            found += page["items"]
            cursor = page["next"]
            if cursor is None:
                return found

    def open_runs(self):
        """Return how many runs are not over, as far as one page shows."""
        return sum(
            len(self.call("GET", f"/api/v1/runs?status={status}&limit=100")["items"])
            for status in ("QUEUED", "RUNNING", "PAUSED")
        )

    def come_to_rest(self, paused="ticks"):
        """Pause the workflow that a schedule starts again and again, and wait until no run is open any more."""
        self.call("POST", f"/api/v1/workflows/{paused}/pause", {})
        wait_until(lambda: self.open_runs() == 0, what="the end of all runs")

    def died_within(self, seconds):
        """Wait for the process to end by itself for at most `seconds`; return whether it did."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def kill(self):
        """End the process without warning."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def leave_nothing(self):
        """End the process if a test that failed has left it behind."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()

    def stop(self, seconds=30):
        """Ask the process to stop, and return its exit status."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(seconds)
        self.process.stdout.close()
        return status

    def tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def wait_until(happened, seconds=60, every=0.05, what="it"):
    """Ask `happened` again and again until it is true; it looks at another process, which sends no signals."""
    deadline = time.perf_counter() + seconds
    while not happened():
        if time.perf_counter() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} s")
        select_nothing(every)


def select_nothing(seconds):
    """Let `seconds` pass."""
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(seconds)
        try:
            left.recv(1)
        except TimeoutError:
            return

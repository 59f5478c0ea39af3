"""The workflows of the chaos suite, and the processes around them."""

import datetime as dt
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[3]
SOON_SECONDS = 5  # so much a deployment may take on a busy machine
FAILPOINT = re.compile(r"""signals\.emit\(\s*"([a-z.]+)\"""")


def mark(job, *needs, function="mark"):
    given = {"function": f"chaos_marks:{function}", "args": ["${run.id}", job]}
    return {"uses": "python", "with": given, "needs": list(needs)}


HOOK = {
    "version": 1,
    "name": "hook",
    "triggers": {"in": {"type": "webhook", "path": "chaos", "signature": {"scheme": "none"}}},
    "jobs": {
        "first": mark("first"),
        "rest": {"uses": "sleep_for", "with": {"duration": "50ms"}, "needs": ["first"]},
        "left": mark("left", "rest"),
        "right": mark("right", "rest", function="mark_in_thread"),
        "tell": {"uses": "emit", "with": {"type": "chaos.told"}, "needs": ["left", "right"]},
        "last": mark("last", "tell"),
    },
}
NEEDS = {"left": ("first",), "right": ("first",), "last": ("left", "right", "first")}
PING = {
    "version": 1,
    "name": "ping",
    "triggers": {"in": {"type": "event", "event": "chaos.ping"}},
    "jobs": {"only": mark("only")},
}
TOLD = {
    "version": 1,
    "name": "told",
    "triggers": {"in": {"type": "event", "event": "chaos.told"}},
    "jobs": {"only": {"uses": "noop"}},
}
AFTER = {
    "version": 1,
    "name": "after",
    "triggers": {"in": {"type": "workflow", "workflow": "hook"}},
    "jobs": {"only": mark("only")},
}

HAND = {
    "version": 1,
    "name": "hand",
    "triggers": {"by-hand": {"type": "manual"}},
    "jobs": {"only": mark("only")},
}
BOTH = {
    "version": 1,
    "name": "both",
    "triggers": {"in": {"type": "workflow", "all": ["hook", "ping"]}},
    "jobs": {"only": mark("only")},
}
WORKFLOWS = (HOOK, PING, TOLD, AFTER, HAND, BOTH)


def drop(folder):
    """Return a workflow that runs for each file that comes into `folder`."""
    return {
        "version": 1,
        "name": "drop",
        "triggers": {"in": {"type": "file", "folder": str(folder), "every": "1s", "settle": "0s", "start": "earliest"}},
        "jobs": {"only": mark("only")},
    }


LOOKED = {
    "version": 1,
    "name": "looked",
    "triggers": {
        "in": {
            "type": "sql_poll",
            "connection": "rows",
            "table": "numbers",
            "watermark": "id",
            "every": "1s",
            "start": "earliest",
        }
    },
    "jobs": {"only": mark("only")},
}


class Files:
    """The folder of `drop` and the table of `looked`, and how much was put into each of them."""

    def __init__(self, folder):
        self.folder = folder / "drop"
        self.folder.mkdir()
        self.rows = folder / "rows.db"
        self.count = 0
        self._write("CREATE TABLE numbers (id INTEGER PRIMARY KEY)")

    def deploy(self, service):
        """Let a service hear both: a stream and a poll."""
        fields = {"url": f"sqlite:///{self.rows}"}
        service.call("POST", "/api/v1/connections", {"name": "rows", "kind": "sql", "fields": fields})
        for definition in (drop(self.folder), LOOKED):
            service.deploy(definition)

    def put(self):
        """Put one more file there, whole at once, and one more row."""
        self.count += 1
        (self.folder / f"{self.count}.txt").write_text("")
        self._write("INSERT INTO numbers VALUES (?)", self.count)

    def _write(self, statement, *values):
        with closing(sqlite3.connect(self.rows, timeout=30)) as database:
            database.execute(statement, values)
            database.commit()


def ticks(seconds):
    """Return a workflow with an interval, a cron and a one-time schedule for each second from now on."""
    now = dt.datetime.now(dt.UTC).replace(microsecond=0)  # noqa: TID251 -- a test of the real clock
    onces = {
        f"once-{n}": {"type": "once", "run_at": (now + dt.timedelta(seconds=n + SOON_SECONDS)).isoformat()}
        for n in range(seconds)
    }
    return {
        "version": 1,
        "name": "ticks",
        "triggers": {
            "second": {"type": "interval", "every": "1s", "catchup": "all"},
            "minute": {"type": "cron", "cron": "* * * * *", "catchup": "all"},
            **onces,
        },
        "jobs": {"only": mark("only")},
    }


def failpoints():
    """Return the names of all moments that the program tells of."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        found |= set(FAILPOINT.findall(path.read_text()))
    return sorted(found)


class Pour:
    """The sender's process; closing it waits until its last delivery is answered or given up."""

    def __init__(self, ports, ledger, seed, threads=6):
        command = [sys.executable, "-m", "chaos.pour", "--ledger", str(ledger), "--seed", str(seed)]
        command += ["--threads", str(threads)]
        for port in ports:
            command += ["--port", str(port)]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0

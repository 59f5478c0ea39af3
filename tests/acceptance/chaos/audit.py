"""What must be true of the tables after any number of crashes. Nothing here uses the program's own code."""

import asyncio
import itertools
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

import apsw
import asyncpg

from chaos.scene import NEEDS

SECOND_US = 1_000_000


class Tables:
    """Reads the database from outside: SQLite from a copy of its files, so that nothing is repaired on the way."""

    def __init__(self, folder, url=""):
        self.folder = Path(folder)
        self.url = url

    def select(self, *statements):
        """Return the rows of each statement, all as of one moment."""
        return asyncio.run(self._from_server(statements)) if self.url else self._from_files(statements)

    def _from_files(self, statements):
        with tempfile.TemporaryDirectory(dir=self.folder) as copy:
            for path in (self.folder / "data").glob("workflow_scheduler.db*"):
                if not path.name.endswith("-shm"):
                    shutil.copy(path, copy)
            connection = apsw.Connection(str(Path(copy) / "workflow_scheduler.db"))
            try:
                return [connection.execute(statement).fetchall() for statement in statements]
            finally:
                connection.close()

    async def _from_server(self, statements):
        connection = await asyncpg.connect(self.url)
        try:
            async with connection.transaction(isolation="repeatable_read"):
                return [[tuple(row) for row in await connection.fetch(statement)] for statement in statements]
        finally:
            await connection.close()

    def finished_jobs(self):
        """Return the (run, job) pairs that are recorded as done."""
        return set(self.select("SELECT run_id, job_id FROM jobs WHERE status = 'SUCCEEDED'")[0])


class Marks:
    """The file of the jobs. `close_chapter` after a kill says which of them may never be seen again."""

    def __init__(self, path):
        self.path = path
        self.seen = 0
        self.done = set()
        self.repeated = []

    def lines(self):
        text = self.path.read_text() if self.path.exists() else ""
        return [tuple(line.split()) for line in text.splitlines()]

    def close_chapter(self, finished):
        """Check the lines since the last call, then remember the jobs that are `finished` now."""
        lines = self.lines()
        self.repeated += [line for line in lines[self.seen :] if line in self.done]
        self.seen = len(lines)
        self.done |= finished

    def out_of_order(self):
        """Return the jobs that ran again after a job that needs them had begun."""
        begun, found = set(), []
        for run, job in self.lines():
            begun.add((run, job))
            later = [other for other, needs in NEEDS.items() if job in needs and (run, other) in begun]
            found += [(run, job, other) for other in later]
        return found


def events_and_runs(tables, ledger):
    """Return every complaint about acknowledged events, decisions and runs."""
    complaints = [f"unexpected answer: {entry}" for entry in ledger if entry["status"] != 202]
    events, runs, decisions, dead = tables.select(
        "SELECT id, event_key, provider FROM events",
        "SELECT id, workflow, trigger_id, event_key, event_id, status, error FROM runs",
        "SELECT event_id, trigger_id, outcome, run_id FROM decisions",
        "SELECT kind, reason, detail FROM dead_letters WHERE status = 'dead'",
    )
    stored = {row[0] for row in events}
    keys = Counter((row[2], row[1]) for row in events)
    complaints += [f"stored {count} times: {key}" for key, count in keys.items() if count > 1]
    started = {(row[1], row[4]) for row in runs}
    answered = {}
    for entry in ledger:
        if entry["status"] == 202:
            if entry["event"] not in stored:
                complaints.append(f"lost event: {entry}")
            if (entry["kind"], entry["event"]) not in started:
                complaints.append(f"no run: {entry}")
            if answered.setdefault((entry["kind"], entry["key"]), entry["event"]) != entry["event"]:
                complaints.append(f"two events for one key: {entry}")
    doubled = Counter((row[2], row[3]) for row in runs)
    complaints += [f"{count} runs of {key}" for key, count in doubled.items() if count > 1]
    complaints += [f"not succeeded: {row}" for row in runs if row[5] != "SUCCEEDED"]
    decided = Counter((row[0], row[1]) for row in decisions)
    complaints += [f"{count} decisions on {key}" for key, count in decided.items() if count > 1]
    known = {row[0] for row in runs}
    complaints += [f"decision without its run: {row}" for row in decisions if row[3] and row[3] not in known]
    complaints += [f"run without its decision: {row}" for row in runs if decided[row[4], row[2]] != 1]
    complaints += [f"dead letter: {row}" for row in dead]
    return complaints + _chains(runs)


def _chains(runs):
    """Every run of `hook` has exactly one run after it, and one that its `emit` caused; `both` needs two for each."""
    counts = Counter(row[1] for row in runs)
    wanted = counts["hook"]
    found = [f"{counts[name]} runs of `{name}` for {wanted} of `hook`" for name in ("after", "told")
             if counts[name] != wanted]  # fmt: skip
    if not 0 < counts["both"] <= min(wanted, counts["ping"]):
        found.append(f"{counts['both']} runs of `both` for {wanted} of `hook` and {counts['ping']} of `ping`")
    return found


def heard_files(tables):
    """Return how many events each file of the workflow `drop` has, by name; a run without its file counts as well."""
    (rows,) = tables.select(
        "SELECT e.attributes FROM runs r JOIN events e ON e.tenant_id = r.tenant_id AND e.id = r.event_id "
        "WHERE r.workflow = 'drop'"
    )
    return Counter(json.loads(row[0])["path"] for row in rows)


def heard_rows(tables):
    """Return how many events each row of the workflow `looked` has, by its number."""
    (rows,) = tables.select(
        "SELECT e.data FROM runs r JOIN events e ON e.tenant_id = r.tenant_id AND e.id = r.event_id "
        "WHERE r.workflow = 'looked'"
    )
    return Counter(json.loads(row[0])["id"] for row in rows)


def are_heard(tables, count):
    """Tell whether `count` files and as many rows have a run."""
    return len(heard_files(tables)) == len(heard_rows(tables)) == count


def files(tables, count):
    """Return every complaint about the files 1.txt to `count`.txt and the rows 1 to `count`: each has one run."""
    heard = heard_files(tables) + heard_rows(tables)
    wanted = {f"{number}.txt" for number in range(1, count + 1)} | set(range(1, count + 1))
    complaints = [f"no run of the file or row {name}" for name in wanted - heard.keys()]
    return complaints + [f"{times} runs of the file or row {name}" for name, times in heard.items() if times > 1]


def schedules(tables):
    """Return every complaint about schedules: each nominal time has one occurrence and one run."""
    triggers, occurrences, runs, left = tables.select(
        "SELECT id, name FROM trigger_index WHERE trigger_subtype IN ('interval', 'once', 'cron')",
        "SELECT trigger_id, nominal, outcome, run_id FROM occurrences",
        "SELECT trigger_id, scheduled_for, id FROM runs WHERE scheduled_for IS NOT NULL",
        "SELECT trigger_id FROM schedules WHERE kind = 'once' AND completed = 0",
    )
    names = dict(triggers)
    complaints = [f"not on time: {row}" for row in occurrences if row[2] != "run_started"]
    fired = Counter((row[0], row[1]) for row in runs)
    complaints += [f"{count} runs of {key}" for key, count in fired.items() if count > 1]
    planned = {(row[0], row[1]): row[3] for row in occurrences}
    ran = {(row[0], row[1]): row[2] for row in runs}
    complaints += [f"occurrence and run differ: {key}" for key in planned.keys() | ran.keys()
                   if planned.get(key) != ran.get(key)]  # fmt: skip
    for trigger, name in names.items():
        times = sorted(nominal for one, nominal in planned if one == trigger)
        step = {"second": SECOND_US, "minute": 60 * SECOND_US}.get(name)
        if step is not None:
            gaps = [at for at, after in itertools.pairwise(times) if after - at != step]
            complaints += [f"`{name}` left something out after {at}" for at in gaps]
        elif len(times) != 1 and trigger not in {row[0] for row in left}:
            complaints.append(f"`{name}` fired {len(times)} times")
    if not any(name == "second" for one, _ in planned for name in [names[one]]):
        complaints.append("no interval has fired")
    return complaints

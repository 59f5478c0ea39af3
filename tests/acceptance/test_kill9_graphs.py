"""kill -9 in the middle of graphs of 500 jobs with maps and loops: what had ended is not run again, the rest completes.

`WFS_GRAPH_KILLS=50` sets the number of kills per store, `WFS_SEED=N` repeats a run.
"""

import json
import os
import random
import secrets
from collections import Counter

import pytest
from chaos import audit
from chaos.service import Service, wait_until

KILLS = int(os.environ.get("WFS_GRAPH_KILLS", "10"))
LAYERS, WIDTH = 25, 20
UP_SECONDS = (0.2, 1.2)
DRAIN_SECONDS = 300


def marking(name):
    return {"uses": "python", "with": {"function": "chaos_marks:mark", "args": ["${run.id}", name]}}


def graph(draw):
    """Return a definition of 500 jobs in layers; each layer has a pause, a map and a loop among its jobs."""
    jobs, before = {}, []
    for layer in range(LAYERS):
        names = [f"l{layer}j{place}" for place in range(WIDTH)]
        for place, name in enumerate(names):
            one = marking(name)
            if place == 0:
                one = {"uses": "sleep_for", "with": {"duration": "100ms"}}
            elif place == 1:
                one = {"map": [1, 2, 3, 4], "max_parallel": 2, **marking(name + "[${iteration.index}]")}
            elif place == 2:
                one = {"for_each": ["a", "b", "c"], **marking(name + "[${iteration.index}]")}
            elif place == 3:
                one = {"while": "iteration.index < 2", "max_iterations": 9, **marking(name + "[${iteration.index}]")}
            jobs[name] = {**one, "needs": draw.sample(before, min(len(before), draw.randint(1, 3))) if before else []}
        before = names
    assert len(jobs) == LAYERS * WIDTH == 500
    return {
        "version": 1, "name": "big", "concurrency": {"max_parallel_jobs": 20}, "jobs": jobs,
        "triggers": {"by-hand": {"type": "manual"}},
    }  # fmt: skip


def instances(definition):
    """Return the ids of all records that a run leaves behind."""
    found = set(definition["jobs"])
    for name, job in definition["jobs"].items():
        count = 4 if "map" in job else 3 if "for_each" in job else 2 if "while" in job else 0
        found |= {f"{name}[{place}]" for place in range(count)}
    return found


class Siege:
    """One service, runs of one graph, and kills at any time while one is under way."""

    def __init__(self, folder, url, seed):
        self.draw = random.Random(seed)  # noqa: S311 -- a seed repeats the run
        self.definition = graph(self.draw)
        self.service = Service(folder, url, LOCK_TIMEOUT="2")
        self.tables = audit.Tables(folder, url)
        self.marks = audit.Marks(self.service.marks)
        self.hit = 0

    def run(self):
        self.service.start()
        self.service.deploy(self.definition)
        while self.hit < KILLS:
            if self.service.open_runs() == 0:
                self.service.call("POST", "/api/v1/triggers/workflows/big/manual", {})
            self.service.died_within(self.draw.uniform(*UP_SECONDS))
            if self.service.open_runs() == 0:
                continue  # this machine was quick; the next run is killed
            self.hit += 1
            self.service.kill()
            self.marks.close_chapter(self.tables.finished_jobs())
            self.service.start()
        wait_until(self.over, seconds=DRAIN_SECONDS, what="the end of all runs")
        self.marks.close_chapter(set())
        assert self.service.stop() == 0, self.service.tail()

    def over(self):
        """Return whether every run has ended; what was under way at so many kills is put back, as people would."""
        if self.service.items("/api/v1/dead-letters", status="dead"):
            self.service.call("POST", "/api/v1/dead-letters/redrive", {"filter": {"reason": "poison"}})
        return self.service.open_runs() == 0

    def complaints(self):
        runs, jobs, ends = self.tables.select(
            "SELECT id, status, error FROM runs", "SELECT run_id, job_id, status, output FROM jobs",
            "SELECT id FROM runs WHERE ended_at IS NULL",
        )  # fmt: skip
        found = [f"ran again although it was done: {line}" for line in self.marks.repeated]
        found += [f"not succeeded: {run}" for run in runs if run[1] != "SUCCEEDED"]
        found += [f"no end: {run}" for run in ends]
        found += [f"not succeeded: {job}" for job in jobs if job[2] != "SUCCEEDED"]
        expected, by_run = instances(self.definition), {}
        for run, job, _, output in jobs:
            by_run.setdefault(run, {})[job] = output
        for run, outputs in by_run.items():
            found += [f"wrong records of {run}: {sorted(expected ^ set(outputs))[:5]}"] * (expected != set(outputs))
            found += self._wrong_order(run, outputs)
        return found + self._too_early()

    def _wrong_order(self, run, outputs):
        """Return the repeated jobs whose gathered output is not that of their instances in order."""
        for name, job in self.definition["jobs"].items():
            if "map" in job or "for_each" in job or "while" in job:
                gathered = [one["job"] for one in json.loads(bytes(outputs[name]))]
                if gathered != [f"{name}[{place}]" for place in range(len(gathered))]:
                    yield f"wrong output of {name} in {run}: {gathered}"

    def _too_early(self):
        """Return the jobs that began again after a job that needs them had begun."""
        needed_by = {}
        for name, job in self.definition["jobs"].items():
            for need in job["needs"]:
                needed_by.setdefault(need, set()).add(name)
        begun, found = set(), []
        for run, job in self.marks.lines():
            name = job.partition("[")[0]
            begun.add((run, name))
            found += [f"{run} {job} after {later}" for later in needed_by.get(name, ()) if (run, later) in begun]
        return found


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_graphs_survive_being_killed_many_times(tmp_path, store, request):
    seed = int(os.environ.get("WFS_SEED", secrets.randbelow(10**6)))
    url = request.getfixturevalue("postgres_url") if store == "postgres" else ""
    siege = Siege(tmp_path, url, seed)
    siege.run()
    complaints = siege.complaints()
    twice = Counter(siege.marks.lines()).most_common(1)[0]
    print(f"seed {seed}: {KILLS} kills in the middle of a run, most often run: {twice}")  # noqa: T201
    assert not complaints, f"seed {seed}: {len(complaints)} complaints\n" + "\n".join(complaints[:20])

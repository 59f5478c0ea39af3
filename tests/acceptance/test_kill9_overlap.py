"""kill -9 while runs queue up behind each other: in each lane one at a time, in order, and none is lost or doubled."""

import itertools
import json
import os
import random
import secrets
import threading

from chaos import audit
from chaos.service import Service, wait_until

KILLS = int(os.environ.get("WFS_OVERLAP_KILLS", "3"))
LANES = 3
UP_SECONDS = (0.2, 1.2)


def mark(job, *needs):
    given = {"function": "chaos_marks:mark", "args": ["${run.id}", job + "-${event.data.lane}"]}
    return {"uses": "python", "with": given, "needs": list(needs)}


LANE = {
    "version": 1,
    "name": "lane",
    "triggers": {
        "in": {
            "type": "webhook",
            "path": "lane",
            "signature": {"scheme": "none"},
            "overlap": {"policy": "queue_all", "key": "event.data.lane", "limit": 100_000},
        },
    },
    "jobs": {
        "begin": mark("begin"),
        "work": {"uses": "sleep_for", "with": {"duration": "20ms"}, "needs": ["begin"]},
        "end": mark("end", "work"),
    },
}
TICKS = {
    "version": 1,
    "name": "ticks",
    "triggers": {"second": {"type": "interval", "every": "1s", "catchup": "all", "overlap": "queue_one"}},
    "jobs": {"nap": {"uses": "sleep_for", "with": {"duration": "1500ms"}}},
}


class Sender(threading.Thread):
    """Sends events to the lanes in turn, each until it is acknowledged."""

    def __init__(self, services):
        super().__init__(daemon=True)
        self.stopping = threading.Event()
        self.accepted = []
        self.turn = itertools.cycle(services)

    def run(self):
        number = 0
        while not self.stopping.wait(0.03):
            number += 1
            while not self.stopping.is_set() and not self.send(number):
                self.stopping.wait(0.05)

    def send(self, number):
        body = json.dumps({"lane": number % LANES, "n": number}).encode()
        headers = {"Content-Type": "application/json", "webhook-id": f"n{number}"}
        service = next(self.turn)
        try:
            status, _, text = service.answer("POST", "/api/v1/public/webhook/lane", body, headers, 5)
        except (OSError, ValueError):
            return False
        if status != 202:
            return False
        self.accepted.append(json.loads(text)["event_id"])
        return True


def complaints(tables, marks, accepted):
    runs, decisions, occurrences = tables.select(
        "SELECT id, event_id, status, workflow FROM runs",
        "SELECT event_id, outcome, run_id FROM decisions",
        "SELECT outcome, run_id FROM occurrences",
    )
    started = {row[1] for row in runs}
    found = [f"no run for {event}" for event in accepted if event not in started]
    found += [f"{row[2]}: {row}" for row in runs if row[3] == "lane" and row[2] != "SUCCEEDED"]
    doubled = len(decisions) - len({row[0] for row in decisions})
    found += [f"{doubled} events were decided twice"] if doubled else []
    found += [
        f"decision without run: {row}" for row in decisions if row[1] in {"run_started", "deferred"} and not row[2]
    ]
    states = {row[0]: row[2] for row in runs}
    for outcome, run_id in occurrences:
        wanted = "CANCELLED" if outcome == "skipped" else "SUCCEEDED"
        if states.get(run_id) != wanted:
            found.append(f"a time is {outcome}, and its run {states.get(run_id)}")
    return found + overlaps(marks)


def overlaps(marks):
    """Return the runs that began before the one before them in their lane had ended."""
    under_way, found = {}, []
    done = set()
    for run, word in marks:
        job, _, lane = word.partition("-")
        if under_way.get(lane, run) != run:
            found.append(f"run {run} does `{job}` in lane {lane} while {under_way[lane]} is under way")
        if run in done and job == "begin":
            found.append(f"run {run} began again after its end")
        if job == "begin":
            under_way[lane] = run
        else:
            under_way.pop(lane, None)
            done.add(run)
    return found


def besiege(folder):
    seed = int(os.environ.get("WFS_SEED", "0")) or secrets.randbelow(1_000_000)
    draw = random.Random(seed)  # noqa: S311 -- a seed repeats the run
    services = [Service(folder)]
    for service in services:
        service.start(LOCK_TIMEOUT="3")
    for definition in (LANE, TICKS):
        services[0].deploy(definition)
    sender = Sender(services)
    sender.start()
    for number in range(KILLS):
        victim = services[number % len(services)]
        assert not victim.died_within(draw.uniform(*UP_SECONDS)), victim.tail()
        victim.kill()
        assert victim.start(LOCK_TIMEOUT="3") is not None, victim.tail()
    sender.stopping.set()
    sender.join()
    services[0].call("POST", "/api/v1/workflows/ticks/pause", {})
    for letter in services[0].items("/api/v1/dead-letters"):
        services[0].call("POST", f"/api/v1/dead-letters/{letter['id']}/redrive")
    wait_until(lambda: services[0].open_runs() == 0, seconds=120, what="the end of all runs")
    tables, marks = audit.Tables(folder), audit.Marks(services[0].marks).lines()
    found = complaints(tables, marks, sender.accepted)
    for service in services:
        assert service.stop() == 0, service.tail()
    assert len(sender.accepted) > 3 * LANES
    assert not found, f"seed {seed}: {len(found)} complaints\n" + "\n".join(found[:20])


def test_one_at_a_time_in_each_lane_on_sqlite(tmp_path):
    besiege(tmp_path)

"""kill -9 around the answer to a paused run: what was acknowledged resumes its run once, whatever dies in between.

`WFS_WAIT_KILLS=100` sets the number of kills per store, `WFS_SEED=N` repeats a run.
"""

import http.client
import os
import random
import secrets
import threading

import pytest
from chaos import audit
from chaos.service import Refused, Service, select_nothing, wait_until

KILLS = int(os.environ.get("WFS_WAIT_KILLS", "10"))
BETWEEN_SECONDS = 0.06  # an answer is acknowledged and its run goes on within about that time
ANSWERED_BEFORE = 409
ASKS = {
    "version": 1,
    "name": "asks",
    "triggers": {"by-hand": {"type": "manual"}},
    "jobs": {
        "before": {"uses": "python", "with": {"function": "chaos_marks:mark", "args": ["${run.id}", "before"]}},
        "ask": {"needs": ["before"], "uses": "approval", "with": {"ask": "Go on?", "timeout": "1h"}},
        "after": {
            "needs": ["ask"],
            "if": "jobs.ask.output.approved",
            "uses": "python",
            "with": {"function": "chaos_marks:mark", "args": ["${run.id}", "after"]},
        },
    },
}


class Siege:
    """One service, and paused runs that are answered while it is killed."""

    def __init__(self, folder, url, seed):
        self.draw = random.Random(seed)  # noqa: S311 -- a seed repeats the run
        self.service = Service(folder, url, LOCK_TIMEOUT="2")
        self.tables = audit.Tables(folder, url)
        self.marks = audit.Marks(self.service.marks)
        self.acknowledged = []

    def pause(self, count):
        self.service.start()
        self.service.deploy(ASKS)
        for _ in range(count):
            self.service.call("POST", "/api/v1/triggers/workflows/asks/manual", {})
        wait_until(lambda: len(self.service.items("/api/v1/runs", status="PAUSED")) == count, what="that all wait")
        return self.service.items("/api/v1/waits", status="OPEN")

    def answer(self, wait):
        """Answer, and note it where the service said that it has the answer."""
        try:
            self.service.call("POST", f"/api/v1/waits/{wait['id']}", {"approved": True, "by": "ann"})
        except (OSError, http.client.HTTPException):
            return
        except Refused as refused:
            if refused.status != ANSWERED_BEFORE:  # it had the answer and could not say so
                raise
        self.acknowledged.append(wait["id"])

    def kill_around(self, wait):
        thread = threading.Thread(target=self.answer, args=(wait,))
        thread.start()
        select_nothing(self.draw.uniform(0, BETWEEN_SECONDS))
        self.service.kill()
        thread.join()
        self.marks.close_chapter(self.tables.finished_jobs())
        self.service.start()
        # A run that is under way at six kills in a row is taken for their cause.
        wait_until(self.none_under_way, what="the run to go on")

    def none_under_way(self):
        """Return whether every run has ended that was answered."""
        answered = {wait["run_id"] for wait in self.service.items("/api/v1/waits", status="ANSWERED")}
        return all(run["ended_at"] for run in self.service.items("/api/v1/runs") if run["id"] in answered)


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_an_acknowledged_answer_resumes_its_run_once(tmp_path, request, store):
    seed = int(os.environ.get("WFS_SEED", "0")) or secrets.randbelow(1_000_000) + 1
    url = request.getfixturevalue("postgres_url") if store == "postgres" else ""
    siege = Siege(tmp_path, url, seed)
    waits = siege.pause(KILLS)
    for wait in waits:
        siege.kill_around(wait)
    known = {one["id"]: one["status"] for one in siege.service.items("/api/v1/waits", status="ANSWERED")}
    lost = [wait_id for wait_id in siege.acknowledged if wait_id not in known]
    assert not lost, f"seed {seed}: acknowledged, and not there: {lost}"
    for wait in waits:
        if wait["id"] not in known:
            siege.answer(wait)
    wait_until(
        lambda: all(run["ended_at"] for run in siege.service.items("/api/v1/runs")), what=f"all ends (seed {seed})"
    )
    runs = siege.service.items("/api/v1/runs")
    others = [run for run in runs if run["status"] != "SUCCEEDED"]
    assert (len(runs), others) == (KILLS, []), f"seed {seed}"
    siege.marks.close_chapter(set())
    assert siege.marks.repeated == [], f"seed {seed}: ran again although it was done"
    assert {(run["id"], job) for run in runs for job in ("before", "after")} == set(siege.marks.lines())
    assert siege.service.stop() == 0, siege.service.tail()

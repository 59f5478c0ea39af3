"""kill -9 at random points and at every named failpoint, under load: nothing acknowledged is lost, nothing doubles.

`WFS_KILLS=1000` sets the number of kills on SQLite, `WFS_SEED=N` repeats a part of them.
"""

import os
import random
import secrets

import pytest
from chaos import audit, ledger, scene
from chaos.service import Service, wait_until

KILLS_SQLITE = int(os.environ.get("WFS_KILLS", "50"))
KILLS_POSTGRES = int(os.environ.get("WFS_KILLS_POSTGRES", str(max(20, KILLS_SQLITE // 10))))
KILLS_PER_FOLDER = 50
READY_SECONDS = float(os.environ.get("WFS_READY_SECONDS", "2.0"))
UP_SECONDS = (0.1, 0.9)
FAILPOINT_SECONDS = 3.0
EXTRA_KILLS = 20
SELDOM = ("timer.", "recovery.", "source.")  # these happen once a second or once a start, not with each event
# Moments of engines outside the process, of backfills and of people: other tests reach the first two, none the last.
ELSEWHERE = ("dispatch.", "backfill.", "wait.")
# On PostgreSQL a source waits for the lease of the instance that died: test_kill9_sources.py has the time for it.
LEASED = ("source.",)


class Siege:
    """One folder or database, one sender, and a number of kills."""

    def __init__(self, folder, seed, url=""):
        self.draw = random.Random(seed)  # noqa: S311 -- a seed repeats the run
        self.seed = seed
        self.service = Service(folder, url)
        self.tables = audit.Tables(folder, url)
        self.marks = audit.Marks(self.service.marks)
        self.ledger = folder / "ledger.jsonl"
        self.files = scene.Files(folder)
        self.tried = set()
        self.kills = 0
        self.buried = 0
        self.hit = {""}

    def run(self, kills, failpoints):
        self.service.start()
        for definition in (*scene.WORKFLOWS, scene.ticks(2 * kills)):
            self.service.deploy(definition)
        self.files.deploy(self.service)
        pour = scene.Pour([self.service.port], self.ledger, self.seed)
        self._die("")
        try:
            while self.kills < kills or (failpoints and self.kills < kills + EXTRA_KILLS):
                failpoint = failpoints.pop() if failpoints and (self.kills % 2 or self.kills >= kills) else ""
                self._cycle(failpoint)
                if failpoint not in self.hit:
                    failpoints.insert(0, failpoint)
            self.service.start()
        finally:
            pour.close()
        wait_until(lambda: audit.are_heard(self.tables, self.files.count), what="a run of each file and row")
        self.service.come_to_rest()
        self._redrive()
        assert self.service.stop() == 0, self.service.tail()

    def _redrive(self):
        """Put back what was under way at so many kills in a row that it was taken for their cause, as people would."""
        letters = self.service.items("/api/v1/dead-letters")
        self.buried = len(letters)
        assert {letter["reason"] for letter in letters} <= {"poison"}, letters
        assert self.buried <= self.kills // 10, letters
        if letters:
            self.service.call("POST", "/api/v1/dead-letters/redrive", {"filter": {"reason": "poison"}})
            wait_until(lambda: self.service.open_runs() == 0, what="the end of the runs that were put back")

    def _cycle(self, failpoint):
        """Start, and end the process at the failpoint, or at any time where there is none."""
        seldom = failpoint in self.tried or failpoint.startswith(SELDOM)
        count = 1 if seldom else self.draw.randint(1, 12)
        self.tried.add(failpoint)
        self.files.put()  # while nobody looks
        began = self.service.start(**({"WFS_FAILPOINT": f"{failpoint}:{count}"} if failpoint else {}))
        if began is not None:
            self._die(failpoint)
            return
        self.hit.add(failpoint)
        self._settle()

    def _die(self, failpoint):
        self.files.put()
        if failpoint and self.service.died_within(FAILPOINT_SECONDS):
            self.hit.add(failpoint)
        elif not failpoint:
            self.service.died_within(self.draw.uniform(*UP_SECONDS))
        self._settle()

    def _settle(self):
        self.service.kill()
        self.kills += 1
        self.marks.close_chapter(self.tables.finished_jobs())

    def complaints(self):
        entries = ledger.read(self.ledger)
        assert len(entries) > 100, self.service.tail()
        self.marks.close_chapter(set())
        found = [f"ran again although it was done: {line}" for line in self.marks.repeated]
        found += [f"ran again after what needs it: {line}" for line in self.marks.out_of_order()]
        found += audit.events_and_runs(self.tables, entries) + audit.schedules(self.tables)
        return found + audit.files(self.tables, self.files.count)


def besiege(folder, kills, seed, url=""):
    elsewhere = ELSEWHERE + LEASED if url else ELSEWHERE
    failpoints = [name for name in scene.failpoints() if not name.startswith(elsewhere)]
    assert "inbox.commit.after" in failpoints
    random.Random(seed).shuffle(failpoints)  # noqa: S311 -- a seed repeats the run
    wanted = set(failpoints)
    siege = Siege(folder, seed, url)
    siege.run(kills, failpoints)
    times, busy = sorted(siege.service.ready_seconds), max(siege.service.ready_cpu_seconds)
    acknowledged = len(ledger.read(siege.ledger))
    print(  # noqa: T201 -- what a release writes down, and what a failing run is repeated by
        f"seed {seed}: {siege.kills} kills, {acknowledged} acknowledged, ready after {times[len(times) // 2]:.2f} s, "
        f"{times[-1]:.2f} s at worst ({busy:.2f} s of processor time), {siege.buried} redriven"
    )
    complaints = siege.complaints()
    assert not complaints, f"seed {seed}: {len(complaints)} complaints\n" + "\n".join(complaints[:20])
    assert wanted <= siege.hit, f"seed {seed}: never reached {wanted - siege.hit}"
    assert busy < READY_SECONDS
    if os.getloadavg()[0] < os.cpu_count():  # on a machine that is busy with something else the clock tells nothing
        assert times[len(times) // 2] < READY_SECONDS, times


@pytest.fixture
def seed(part):
    """A number that is another one in each session; WFS_SEED repeats a part."""
    return int(os.environ.get("WFS_SEED", "0")) or secrets.randbelow(1_000_000) + 1


def parts(kills):
    """Return a test for every KILLS_PER_FOLDER; parts have names of their own, seeds are drawn when they run."""
    return pytest.mark.parametrize("part", range(-(-kills // KILLS_PER_FOLDER)))


@parts(KILLS_SQLITE)
def test_nothing_is_lost_or_doubled_on_sqlite(tmp_path, seed):
    besiege(tmp_path, min(KILLS_SQLITE, KILLS_PER_FOLDER), seed)


@parts(KILLS_POSTGRES)
def test_nothing_is_lost_or_doubled_on_postgres(tmp_path, postgres_url, seed):
    besiege(tmp_path, min(KILLS_POSTGRES, KILLS_PER_FOLDER), seed, postgres_url)

"""Runs whose claim reached the disk although nobody heard so: they are found, and continued once."""

import pytest

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.pipeline.recovery import Recovery
from workflow_scheduler.pipeline.redrive import Redrive
from workflow_scheduler.stores.portable import claims
from workflow_scheduler.testing.clock import FakeClock

_ZEROS = ("version", "created_at", "depth", "cancel_requested")
_GIVEN = {"id": "r1", "tenant_id": "local", "status": "QUEUED", "fence": 2, "deliveries": 2, "input": b"{}"}
ROW = tuple(_GIVEN.get(name, 0 if name in _ZEROS else "x") for name in claims.RUN_COLUMNS.split(", "))


class Store:
    """Carries out the first change of runs, and loses the connection before it says so."""

    dialect = "sqlite"

    def __init__(self):
        self.done = False
        self.known = True

    async def transact(self, work):
        rows, statement = [], next(work)
        while True:
            if "dead_letters" in statement.text:
                rows = [("r1",)]
            elif statement.text.startswith("SELECT overlap_key"):
                rows = [(None,)]
            elif statement.text.startswith("UPDATE runs SET"):
                rows = [] if self.done else [ROW]
            try:
                statement = work.send(rows)
            except StopIteration as end:
                if rows and not self.done:
                    self.done = True
                    raise StoreUnavailable("no answer") from None
                return end.value

    async def read(self, text, params):
        if "FROM instances WHERE lease_until" in text:
            return [("dead",)]
        if "fence = :fence" in text and self.known:
            assert params == {"tenant": "local", "id": "r1", "fence": 2, "me": "me"}
            return [ROW]
        return []


class Launcher:
    def __init__(self):
        self.resumed = []

    def is_local(self, run):
        return True

    def leave(self, run):
        return False

    def resume(self, run, event, done):
        self.resumed.append(run.id)

    async def stop(self, run):
        raise AssertionError(run)


@pytest.fixture
def scene():
    store, launcher, clock = Store(), Launcher(), FakeClock()
    recovery = Recovery(store, launcher, None, clock, "me", Signals())
    return store, launcher, recovery, Redrive(store, recovery, clock, "me")


async def test_a_claim_without_an_answer_is_looked_up(scene):
    _, launcher, recovery, _ = scene
    with pytest.raises(StoreUnavailable):
        await recovery.take_over()
    assert not launcher.resumed
    await recovery.take_over()
    await recovery.take_over()
    assert launcher.resumed == ["r1"]


async def test_a_claim_that_did_not_happen_is_forgotten_after_some_looks(scene):
    store, launcher, recovery, _ = scene
    store.known = False
    with pytest.raises(StoreUnavailable):
        await recovery.take_over()
    for _ in range(4):
        await recovery.take_over()
    store.known = True
    await recovery.take_over()
    assert not launcher.resumed


async def test_a_redrive_without_an_answer_goes_on_when_the_store_is_back(scene):
    _, launcher, recovery, redrive = scene
    with pytest.raises(StoreUnavailable):
        await redrive.redrive("local", "letter")
    await recovery.take_over()
    assert launcher.resumed == ["r1"]

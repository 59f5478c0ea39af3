"""A tracker whose store fails for a while: the end of a run waits, and is written in the end."""

import asyncio

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import RunChange, RunStatus
from workflow_scheduler.pipeline.tracker import Tracker
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.factories import make_run


class Cache:
    """Fails as often as it is told."""

    epoch = 1

    def __init__(self, failures):
        self.failures = failures

    async def find(self, event):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("away")
        return ()


class Inbox:
    """Takes every entry at once, after some failures."""

    def __init__(self, failures):
        self.failures = failures
        self.taken = []

    def submit(self, entry):
        if self.failures:
            self.failures -= 1
            entry.future.set_exception(StoreUnavailable("away"))
        else:
            self.taken.append(entry)
            entry.future.set_result(frozenset())


async def test_the_end_of_a_run_outlives_failing_reads_and_writes():
    clock, inbox = FakeClock(), Inbox(3)
    tracker = Tracker(inbox, Cache(4), None, clock)
    run, ended = make_run(), []
    tracker.on_end = ended.append
    change = RunChange(tenant_id=run.tenant_id, run_id=run.id, fence=1, status=RunStatus.SUCCEEDED, ended_at=1)
    finishing = asyncio.ensure_future(tracker.finish(change, run))
    await clock.settle()
    assert not inbox.taken
    await clock.advance(10)
    await finishing
    assert [entry.changes for entry in inbox.taken] == [(change,)]
    assert ended == [run.id]

"""What is left of the jobs of a run that ends while it is not under way."""

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import JobStatus
from workflow_scheduler.pipeline.remains import closed_jobs
from workflow_scheduler.testing.clock import FakeClock
from workflow_scheduler.testing.factories import make_run


class Store:
    """Answers at the second attempt."""

    def __init__(self, *rows):
        self.rows = rows
        self.away = True

    async def read(self, text, params):
        if self.away:
            self.away = False
            raise StoreUnavailable
        return list(self.rows)


class Hasty(FakeClock):
    async def sleep(self, seconds):
        self.jump(seconds)


def row(job, status, wake_at=None):
    return (job, status, 1, 5, None, None, None, wake_at)


async def test_open_records_are_closed_and_ended_ones_stay():
    clock, run = Hasty(), make_run(fence=3)
    store = Store(row("a", "SUCCEEDED"), row("b", "RUNNING"), row("c", "QUEUED", 99), row("d", "SKIPPED"))
    jobs = await closed_jobs(store, clock, run, JobStatus.FAILED, b'{"code":"poison"}')
    assert [(job.job_id, job.status, job.fence) for job in jobs] == [("b", "FAILED", 3), ("c", "FAILED", 3)]
    assert {(job.ended_at, job.wake_at, job.error) for job in jobs} == {(clock.now(), None, b'{"code":"poison"}')}


async def test_records_that_cannot_be_read_are_left_alone():
    assert await closed_jobs(Store(row("a", "NEVER")), Hasty(), make_run(), JobStatus.CANCELLED) == []

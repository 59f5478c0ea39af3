"""Runs that were under way at several crashes go on one at a time, and only what is at work is counted."""

import asyncio

import pytest

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import JobRecord, JobStatus, Run, RunStatus
from workflow_scheduler.pipeline.suspects import DELIVERIES_MAX, Suspects, worn_out


def run_of(number, deliveries=3):
    return Run(
        id=f"r{number}", tenant_id="local", workflow_id="w", workflow="w", version=1, trigger_id="t",
        trigger_type="webhook", event_id="e", event_key=f"k{number}", created_at=0, engine="embedded", input=b"{}",
        fence=4, deliveries=deliveries, status=RunStatus.RUNNING,
    )  # fmt: skip


def job_of(status, **more):
    return JobRecord(tenant_id="local", run_id="r", job_id="j", fence=4, status=status, **more)


class House:
    """The store, the tracker and the recovery, as far as suspects see them."""

    def __init__(self):
        self.happened = []
        self.jobs = []
        self.mine = True
        self.ends = True
        self.away = 0
        self.quiet = asyncio.Event()

    async def read(self, text, params):
        return self.jobs

    async def transact(self, work):
        if self.away:
            self.away -= 1
            raise StoreUnavailable
        statement = next(work)
        kind = "counted" if "deliveries + 1" in statement.text else "cleared"
        self.happened.append((kind, statement.params["id"]))
        try:
            work.send([("id",)] if self.mine else [])
        except StopIteration as end:
            return end.value
        raise AssertionError("one statement is enough")

    async def wait(self, tenant_id, run_id, seconds):
        self.happened.append(("waited", run_id))
        self.quiet.set()
        return self.ends

    async def resume(self, run):
        self.happened.append(("resumed", run.id, run.deliveries))

    async def bury(self, run):
        self.happened.append(("buried", run.id))
        self.quiet.set()

    async def sleep(self, seconds):
        self.happened.append(("slept", seconds))


@pytest.fixture
async def house():
    made = House()
    made.suspects = Suspects(made, made, made.resume, made.bury)
    task = asyncio.create_task(made.suspects.loop(made.sleep))
    yield made
    task.cancel()


async def until(house, count):
    while len(house.happened) < count:
        house.quiet.clear()
        await asyncio.wait_for(house.quiet.wait(), 5)


async def test_each_is_counted_before_it_goes_on_and_the_next_waits_for_its_end(house):
    house.suspects.add(run_of(1))
    house.suspects.add(run_of(2))
    await until(house, 6)
    assert house.happened == [
        ("counted", "r1"), ("resumed", "r1", 4), ("waited", "r1"),
        ("counted", "r2"), ("resumed", "r2", 4), ("waited", "r2"),
    ]  # fmt: skip


async def test_one_that_was_delivered_too_often_is_given_up(house):
    house.suspects.add(run_of(1, deliveries=DELIVERIES_MAX + 1))
    await until(house, 1)
    assert house.happened == [("buried", "r1")]


async def test_one_that_belongs_to_another_instance_now_is_left_alone(house):
    house.mine = False
    house.suspects.add(run_of(1))
    house.suspects.add(run_of(2, deliveries=9))
    await until(house, 2)
    assert house.happened == [("counted", "r1"), ("buried", "r2")]


async def test_a_store_that_is_away_is_waited_for(house):
    house.away = 2
    house.suspects.add(run_of(1))
    await until(house, 5)
    assert [one[0] for one in house.happened] == ["slept", "slept", "counted", "resumed", "waited"]


@pytest.mark.parametrize(
    ("jobs", "cleared"),
    [
        ([("a", "PAUSED", 1, 0, None, None, None, 99)], True),
        ([("a", "PAUSED", 1, 0, None, None, None, 99), ("b", "RUNNING", 1, 0, None, None, None, None)], False),
        ([("a", "RUNNING", 1, 0, None, None, None, None)], False),
        ([], False),
    ],
)
async def test_only_one_that_waits_for_a_time_is_trusted_again(house, jobs, cleared):
    house.ends = False
    house.jobs = jobs
    house.suspects.add(run_of(1))
    house.suspects.add(run_of(2, deliveries=99))
    await until(house, 5 if cleared else 4)
    assert (("cleared", "r1") in house.happened) is cleared


def test_each_job_that_ended_earns_another_delivery():
    assert worn_out(run_of(1, deliveries=6), ())
    assert not worn_out(run_of(1, deliveries=6), (job_of(JobStatus.SUCCEEDED),))
    assert worn_out(run_of(1, deliveries=6), (job_of(JobStatus.RUNNING), job_of(JobStatus.QUEUED)))
    assert worn_out(run_of(1, deliveries=8), (job_of(JobStatus.SUCCEEDED), job_of(JobStatus.SKIPPED)))

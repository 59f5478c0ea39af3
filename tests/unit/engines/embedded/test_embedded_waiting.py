"""Jobs that are parked until they are told something by name."""

import msgspec
import pytest

from workflow_scheduler.core.dag.park import WaitFor
from workflow_scheduler.core.model.run import JobStatus, Wake


def told(task, job="ask", name="answer:1", status=JobStatus.SUCCEEDED, **more):
    run = task.run
    return Wake(tenant_id=run.tenant_id, run_id=run.id, job_id=job, name=name, status=status, at=1, **more)


@pytest.fixture
def asking(bench):
    """The bench with a job type that waits for `answer:ATTEMPT`."""
    bench.withdrawn = []
    bench.waits = 0

    async def withdraw(run, job_id, name):
        bench.withdrawn.append((job_id, name, bench.statuses(bench.asked)[job_id]))

    def began():
        bench.waits += 1

    def connect():
        bench.engine.connect_waiting(call=None, ask=None, withdraw=withdraw, on_wait=began)

    def ask(config, context):
        bench.seen(context)
        return WaitFor(f"answer:{context.attempt}", {"question": "Publish?"})

    bench.types["ask"] = bench.job_type("ask", ask, inline=True)
    bench.connect = connect
    connect()
    return bench


JOBS = {"ask": {"uses": "ask"}, "after": {"uses": "noop", "needs": ["ask"], "with": {"output": "${jobs.ask.output}"}}}


async def test_a_parked_job_shows_what_it_waits_for_and_holds_no_place(asking):
    jobs = {"ask": {"uses": "ask"}, "other": {"uses": "noop"}}
    asking.asked = task = await asking.start(jobs, parallel=1)
    assert asking.statuses(task) == {"ask": "PAUSED", "other": "SUCCEEDED"}
    shown = msgspec.json.decode(asking.sink.jobs[task.run.id]["ask"].output)
    assert shown == {"waiting_for": "answer:1", "question": "Publish?"}
    assert (asking.engine.waiting, asking.waits) == (1, 1)


async def test_what_it_is_told_becomes_its_output(asking):
    asking.asked = task = await asking.start(JOBS)
    assert asking.engine.complete(told(task, output=b'{"yes":true}'))
    await asking.clock.settle()
    assert asking.output(task) == {"yes": True}
    assert asking.engine.waiting == 0


async def test_a_failure_it_is_told_of_is_its_failure(asking):
    asking.asked = task = await asking.start(JOBS)
    error = b'{"code":"child_failed","message":"run 7 failed","retryable":false}'
    asking.engine.complete(told(task, status=JobStatus.FAILED, error=error))
    await asking.clock.settle()
    assert asking.status(task) == "FAILED"
    assert asking.error(task, "ask")["code"] == "child_failed"
    assert "run 7 failed" in asking.error(task)["message"]


async def test_being_told_twice_or_under_another_name_changes_nothing(asking):
    asking.asked = task = await asking.start(JOBS)
    assert not asking.engine.complete(told(task, name="answer:2", output=b"9"))
    assert not asking.engine.complete(told(task, job="after", output=b"9"))
    assert asking.engine.complete(told(task, output=b"1"))
    assert asking.engine.complete(told(task, output=b"2")) or asking.status(task)
    await asking.clock.settle()
    assert asking.output(task) == 1
    assert [one.job_id for one in asking.sink.history if one.status == "SUCCEEDED"] == ["ask", "after"]


async def test_it_waits_on_after_a_crash_without_being_run_again(asking):
    asking.asked = task = await asking.start(JOBS)
    again = asking.crash(task)
    asking.connect()
    asking.engine.submit([again])
    await asking.clock.settle()
    assert asking.engine.waiting == 1
    assert asking.engine.complete(told(again, output=b"5"))
    await asking.clock.settle()
    assert asking.output(again) == 5
    assert asking.calls == [("ask", 1), ("after", 1)]


async def test_a_cancelled_job_first_says_that_nobody_waits_any_more(asking):
    asking.asked = task = await asking.start(JOBS)
    await asking.engine.cancel(task.run)
    await asking.clock.settle()
    assert asking.withdrawn == [("ask", "answer:1", "PAUSED")]
    assert (asking.status(task), asking.statuses(task)["ask"]) == ("CANCELLED", "CANCELLED")
    assert asking.engine.waiting == 0


async def test_the_time_limit_of_the_job_counts_from_its_start_across_a_crash(asking):
    asking.asked = task = await asking.start({"ask": {"uses": "ask", "timeout": "10m"}})
    await asking.clock.advance(400)
    again = asking.crash(task)
    asking.connect()
    asking.engine.submit([again])
    await asking.clock.advance(100)
    assert asking.status(again) != "FAILED"
    await asking.clock.advance(101)
    assert asking.error(again, "ask")["code"] == "timeout"
    assert [name for _, name, _ in asking.withdrawn] == ["answer:1"]

# ruff: noqa: T201 - printing is what is tested
import asyncio
import logging
import sys

import pytest

from workflow_scheduler.jobs.current import current_job, inside_job
from workflow_scheduler.testing.job_context import FakeJobContext, FakeResources


@pytest.fixture(autouse=True)
def own_streams():
    """Leave the streams and the root logger as they were."""
    before = sys.stdout, sys.stderr, list(logging.getLogger().handlers)
    yield
    sys.stdout, sys.stderr, logging.getLogger().handlers = before


def test_outside_of_jobs_there_is_none(capsys):
    assert current_job() is None
    with inside_job(FakeJobContext()):
        pass
    print("outside")
    assert capsys.readouterr().out == "outside\n"
    assert current_job() is None


def test_what_is_printed_inside_is_the_jobs_log(capsys):
    context = FakeJobContext()
    with inside_job(context):
        print("one")
        print("two", end="")
        print(" three\nfour", end="")
        sys.stderr.write("bad\n")
        sys.stdout.writelines(["!\n", "end"])
        assert current_job() is context
    assert context.lines == [
        ("stdout", "one"),
        ("stdout", "two three"),
        ("stderr", "bad"),
        ("stdout", "four!"),
        ("stdout", "end"),
    ]
    assert capsys.readouterr() == ("", "")


def test_long_lines_come_in_pieces():
    context = FakeJobContext()
    with inside_job(context):
        sys.stdout.write("x" * 40_000)
    assert [len(line) for _, line in context.lines] == [16_384, 16_384, 7232]


def test_log_records_are_the_jobs_log_too():
    context = FakeJobContext()
    with inside_job(context):
        logging.getLogger("shop").warning("low on %s", "tea")
        logging.getLogger("shop").warning("two\nlines")
    logging.getLogger("shop").warning("outside")
    assert [line for _, line in context.lines] == ["WARNING shop: low on tea", "WARNING shop: two", "lines"]


async def test_jobs_at_the_same_time_do_not_mix():
    resources = FakeResources()
    contexts = [FakeJobContext(resources=resources) for _ in range(4)]

    async def work(number, context):
        with inside_job(context):
            print(f"loop {number}")
            await resources.workers.call(lambda: print(f"thread {number}"))
            await asyncio.create_task(later(number))

    async def later(number):
        print(f"task {number}")

    await asyncio.gather(*(work(number, context) for number, context in enumerate(contexts)))
    resources.close()
    for number, context in enumerate(contexts):
        assert context.lines == [("stdout", f"{kind} {number}") for kind in ("loop", "thread", "task")]


def test_the_streams_keep_their_other_abilities():
    with inside_job(FakeJobContext()):
        assert sys.stdout.isatty() in (True, False)
        sys.stdout.flush()
        assert sys.stdout.encoding

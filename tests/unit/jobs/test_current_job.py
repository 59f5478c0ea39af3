# ruff: noqa: T201 - printing is what is tested
import asyncio
import logging
import sys
from functools import partial

import pytest

from workflow_scheduler.core.errors import Rejected
from workflow_scheduler.core.model.attachment import StoredAttachment
from workflow_scheduler.jobs.current import attachment, current_job, inside_job
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


async def test_a_plain_function_reads_what_came_with_the_event():
    context = FakeJobContext()
    stored = StoredAttachment(event_id="e", number=0, name="a", content_type="a/b", size=2, sha256="0")
    context.resources.attachments.known["e/0"] = (stored, b"hi")
    with inside_job(context):
        assert await context.resources.workers.call(partial(attachment, "e/0")) == b"hi"
        with pytest.raises(Rejected, match="there is no attachment `e/1`"):
            await context.resources.workers.call(partial(attachment, "e/1"))
        with pytest.raises(RuntimeError, match="plain functions"):
            attachment("e/0")
    with pytest.raises(RuntimeError, match="plain functions"):
        attachment("e/0")
    context.resources.close()

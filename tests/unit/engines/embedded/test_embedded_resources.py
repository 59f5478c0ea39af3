"""Jobs that ask for resources: they wait without a place, and give back whatever becomes of them."""

import msgspec
import pytest

from workflow_scheduler.core.dag.pools import Claimed
from workflow_scheduler.core.errors import NotConnected

WAIT = {"uses": "wait"}
NOOP = {"uses": "noop"}
POOL = {"resources": {"db": 1}}
ASKS = {**WAIT, "resources": ["db"]}


class Book:
    """Pools of which a test says what is granted."""

    def __init__(self, engine, state=Claimed.WAITING):
        self.engine, self.state = engine, state
        self.open = {}
        self.asked = []
        self.returned = []
        engine.connect_pools(claim=self.claim, give_back=self.give_back)

    async def claim(self, run, job_id, attempt, wants):
        self.open[job_id] = (run.id, job_id, (run.fence, attempt))
        self.asked.append((job_id, attempt, [(want.pool, want.amount, want.capacity) for want in wants]))
        return self.state

    async def give_back(self, run, job_id, attempt):
        self.returned.append((job_id, attempt))

    def tell(self, job_id, state=Claimed.GRANTED):
        self.engine.claimed(*self.open[job_id], state)


@pytest.fixture
def book(bench):
    return Book(bench.engine)


async def test_a_job_that_waits_says_for_what_and_holds_no_place(bench, book):
    task = await bench.start({"a": ASKS, "b": WAIT}, parallel=1, **POOL)
    assert bench.statuses(task) == {"a": "QUEUED", "b": "RUNNING"}
    shown = bench.sink.jobs[task.run.id]["a"].output
    assert msgspec.json.decode(shown) == {"waiting_for": "resources: db (1)"}
    assert book.asked == [("a", 1, [(f"w:{task.run.workflow_id}:db", 1, 1)])]
    book.tell("a")
    await bench.clock.settle()
    assert bench.statuses(task)["a"] == "QUEUED"
    await bench.release("b")
    assert bench.statuses(task) == {"a": "RUNNING", "b": "SUCCEEDED"}
    await bench.release("a", "done")
    assert (bench.status(task), book.returned) == ("SUCCEEDED", [("a", 1)])
    assert bench.engine.claiming == 0


async def test_what_is_granted_at_once_leaves_no_trace(bench, book):
    book.state = Claimed.GRANTED
    task = await bench.start({"a": {**NOOP, "resources": ["db"]}}, **POOL)
    assert bench.status(task) == "SUCCEEDED"
    assert [str(record.status) for record in bench.sink.history] == ["SUCCEEDED"]
    assert book.returned == [("a", 1)]


async def test_every_attempt_asks_anew_and_holds_nothing_between(bench, book):
    book.state = Claimed.GRANTED
    task = await bench.start({"a": {**ASKS, "retry": {"attempts": 2, "delay": "5s"}}}, **POOL)
    await bench.release("a", NotConnected("away"))
    assert book.returned == [("a", 1)]
    await bench.clock.advance(5)
    assert [one[:2] for one in book.asked] == [("a", 1), ("a", 2)]
    await bench.release("a")
    assert (bench.status(task), book.returned) == ("SUCCEEDED", [("a", 1), ("a", 2)])


async def test_a_job_that_sleeps_holds_nothing(bench, book):
    book.state = Claimed.GRANTED
    task = await bench.start({"a": {"uses": "sleep", "with": {"seconds": 90}, "resources": ["db"]}}, **POOL)
    assert (bench.statuses(task), book.returned) == ({"a": "PAUSED"}, [("a", 1)])
    await bench.clock.advance(91)
    assert (bench.status(task), book.returned) == ("SUCCEEDED", [("a", 1)])


@pytest.mark.parametrize("granted", [False, True])
async def test_a_run_that_is_cancelled_gives_back_what_it_holds_or_waits_for(bench, book, granted):
    book.state = Claimed.GRANTED if granted else Claimed.WAITING
    task = await bench.start({"a": ASKS}, **POOL)
    await bench.engine.cancel(task.run)
    await bench.clock.settle()
    assert (bench.statuses(task), bench.status(task)) == ({"a": "CANCELLED"}, "CANCELLED")
    assert (book.returned, bench.engine.claiming) == ([("a", 1)], 0)
    book.tell("a")
    assert bench.calls == ([("a", 1)] if granted else [])


async def test_a_claim_that_is_refused_fails_the_job(bench, book):
    task = await bench.start({"a": {**ASKS, "resources": {"db": 3}}})
    book.tell("a", Claimed.REFUSED)
    await bench.clock.settle()
    assert bench.error(task, "a")["code"] == "resources_refused"
    assert "db (3)" in bench.error(task, "a")["message"]
    assert (bench.status(task), book.returned) == ("FAILED", [("a", 1)])


async def test_what_is_told_of_an_earlier_attempt_or_owner_starts_nothing(bench, book):
    task = await bench.start({"a": ASKS}, **POOL)
    run_id, job_id, (fence, attempt) = book.open["a"]
    for turn in ((fence - 1, attempt), (fence, attempt - 1), (fence, attempt + 1)):
        bench.engine.claimed(run_id, job_id, turn, Claimed.GRANTED)
    await bench.clock.settle()
    assert (bench.statuses(task), bench.calls) == ({"a": "QUEUED"}, [])


async def test_after_a_crash_a_job_asks_again(bench, book):
    task = await bench.start({"a": ASKS, "b": WAIT}, **POOL)
    again = bench.crash(task)
    book = Book(bench.engine, Claimed.GRANTED)
    bench.engine.submit([again])
    await bench.clock.settle()
    assert [one[:2] for one in book.asked] == [("a", 1)]
    assert bench.statuses(again) == {"a": "RUNNING", "b": "RUNNING"}


async def test_each_instance_of_a_map_asks_and_the_job_itself_does_not(bench, book):
    task = await bench.start({"m": {**ASKS, "map": [1, 2, 3], "max_parallel": 3}}, **POOL)
    assert [one[0] for one in book.asked] == ["m[0]", "m[1]", "m[2]"]
    for name in ("m[0]", "m[1]", "m[2]"):
        book.tell(name)
        await bench.clock.settle()
        await bench.release(name, name)
    assert bench.output(task) == ["m[0]", "m[1]", "m[2]"]
    assert sorted(book.returned) == [("m[0]", 1), ("m[1]", 1), ("m[2]", 1)]


async def test_a_job_whose_claim_cannot_be_stored_fails(bench):
    task = await bench.start({"a": ASKS}, **POOL)
    assert bench.error(task, "a")["code"] == "resources_refused"

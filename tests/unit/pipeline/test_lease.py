"""While the lease is in doubt nothing is begun; a run that was lost meanwhile is never started."""

import pytest

from workflow_scheduler.core.errors import StoreUnavailable
from workflow_scheduler.core.model.run import Run, RunStatus
from workflow_scheduler.core.signals import Signals
from workflow_scheduler.engines.embedded.admission import Admission
from workflow_scheduler.pipeline.dispatch import Dispatcher
from workflow_scheduler.pipeline.lease import Lease
from workflow_scheduler.testing.clock import FakeClock

RUN = Run(
    id="r", tenant_id="local", workflow_id="w", workflow="w", version=1, trigger_id="t", trigger_type="webhook",
    event_id="e", event_key="k", created_at=0, engine="http", input=b"{}", fence=2, status=RunStatus.RUNNING,
)  # fmt: skip


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def lease(clock):
    return Lease(clock)


async def test_a_lease_ends_by_itself_and_each_doubt_is_a_new_term(clock, lease):
    assert not lease.valid()
    lease.renew(clock.monotonic(), 15)
    assert (lease.valid(), lease.term) == (True, 1)
    await clock.advance(10)
    lease.renew(clock.monotonic(), 15)
    assert lease.term == 1
    await clock.advance(15)
    assert not lease.valid()
    lease.renew(clock.monotonic(), 15)
    assert (lease.valid(), lease.term) == (True, 2)


async def test_a_lease_counts_from_the_question_and_not_from_the_answer(clock, lease):
    asked = clock.monotonic()
    await clock.advance(14)
    lease.renew(asked, 15)
    await clock.advance(1)
    assert not lease.valid()


def test_nobody_enters_while_the_gate_is_closed():
    later = []
    admission = Admission(2, later.append)
    entered = []
    gate = [False]
    admission.gate = lambda: gate[0]

    def waiting(name):
        def enter():
            entered.append(name)
            return True

        return enter

    assert admission.enter(waiting("a")) is False
    assert admission.enter(waiting("b")) is False
    admission.reopen()
    later.pop()()
    assert entered == []
    gate[0] = True
    admission.reopen()
    later.pop()()
    assert entered == ["a", "b"]
    assert admission.enter(waiting("c")) is False
    admission.leave()
    later.pop()()
    assert entered == ["a", "b", "c"]


class House:
    """The engine and the store, as far as a dispatcher sees them."""

    def __init__(self, clock, lease):
        self.asked = []
        self.rows = [(1,)]
        self.away = 0
        self.dispatcher = Dispatcher(self, None, self, clock, "me", Signals())
        self.dispatcher.lease = lease
        self.dispatcher.engines = {"http": self}

    async def read(self, text, params):
        if self.away:
            self.away -= 1
            raise StoreUnavailable
        return self.rows

    async def describe(self, run):
        self.asked.append(run.id)

    async def record(self, **changes):
        return frozenset()


@pytest.fixture
def house(clock, lease):
    return House(clock, lease)


async def test_a_dispatcher_waits_for_the_lease_and_asks_who_owns_the_run(clock, lease, house):
    house.away = 1
    house.dispatcher.dispatch(RUN, b"null")
    await clock.advance(5)
    assert house.asked == []
    lease.renew(clock.monotonic(), 15)
    await clock.advance(2)
    assert house.asked == ["r"]


async def test_a_run_that_another_instance_has_now_is_left_alone(clock, lease, house):
    house.rows = []
    house.dispatcher.dispatch(RUN, b"null")
    lease.renew(clock.monotonic(), 15)
    await clock.advance(2)
    assert house.asked == []


async def test_with_a_sure_lease_nobody_is_asked(clock, lease, house):
    lease.renew(clock.monotonic(), 15)
    house.rows = []
    house.dispatcher.dispatch(RUN, b"null")
    await clock.settle()
    assert house.asked == ["r"]

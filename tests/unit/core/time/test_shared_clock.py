"""The clock that is told what time it is."""

import pytest

from workflow_scheduler.core.time.clock import SECOND_US, SharedClock
from workflow_scheduler.pipeline.shared_time import SharedTime
from workflow_scheduler.testing.clock import FakeClock

HALF_MINUTE = 30 * SECOND_US


class Server:
    """A store whose server's clock is ahead of the machine's, and which answers after a while."""

    def __init__(self, clock, ahead=0, seconds=0.0):
        self.clock, self.ahead, self.seconds = clock, ahead, seconds

    async def read(self, text):
        await self.clock.advance(self.seconds / 2)
        rows = [(self.clock.now() + self.ahead,)]
        await self.clock.advance(self.seconds / 2)
        return rows


@pytest.fixture
def own():
    return FakeClock()


async def test_a_clock_that_was_told_nothing_is_the_machines(own):
    clock = SharedClock(own)
    own.jump(5)
    assert (clock.now(), clock.own()) == (own.now(), own.now())


@pytest.mark.parametrize("ahead", [HALF_MINUTE, -HALF_MINUTE])
async def test_the_servers_time_is_taken_whatever_the_machine_says_later(own, ahead):
    clock = SharedClock(own)
    await SharedTime(Server(own, ahead, 0.02), clock).measure()
    assert clock.now() == own.now() + ahead
    before = clock.now()
    own.jump(3600)
    assert clock.now() == before
    await own.advance(2)
    assert clock.now() == before + 2 * SECOND_US


async def test_what_the_asking_explains_moves_nothing(own):
    clock = SharedClock(own)
    await SharedTime(Server(own, ahead=400_000, seconds=1.0), clock).measure()
    assert clock.now() == own.now()
    await SharedTime(Server(own, ahead=600_000, seconds=1.0), clock).measure()
    assert clock.now() == own.now() + 600_000

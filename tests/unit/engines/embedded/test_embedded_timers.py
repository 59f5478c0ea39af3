"""Timers on one waiting task."""

import pytest

from workflow_scheduler.engines.embedded.timers import Timers
from workflow_scheduler.testing.clock import FakeClock


@pytest.fixture
async def clock():
    return FakeClock()


@pytest.fixture
async def timers(clock):
    made = Timers(clock)
    yield made
    made.close()
    await clock.settle()


async def test_calls_come_in_the_order_of_their_times(clock, timers):
    seen = []
    for seconds in (5, 1, 3):
        timers.after(seconds, lambda seconds=seconds: seen.append((seconds, clock.monotonic())))
    start = clock.monotonic()
    await clock.advance(10)
    assert seen == [(1, start + 1), (3, start + 3), (5, start + 5)]


async def test_an_earlier_timer_is_not_held_up_by_a_later_one(clock, timers):
    seen = []
    timers.after(100, lambda: seen.append("late"))
    await clock.advance(1)
    timers.after(1, lambda: seen.append("soon"))
    await clock.advance(1)
    assert seen == ["soon"]


async def test_a_cancelled_timer_is_not_called(clock, timers):
    seen = []
    timer = timers.after(1, lambda: seen.append("no"))
    timer.cancel()
    timer.cancel()
    await clock.advance(2)
    assert seen == []
    assert len(timers) == 0


async def test_a_callback_may_plan_another_one(clock, timers):
    seen = []
    timers.after(1, lambda: timers.after(1, lambda: seen.append("second")))
    await clock.advance(2)
    assert seen == ["second"]


async def test_what_is_due_now_is_called_in_the_next_turn(clock, timers):
    seen = []
    timers.after(-5, lambda: seen.append("now"))
    assert seen == []
    await clock.settle()
    assert seen == ["now"]


async def test_only_one_task_waits_and_cancelled_timers_do_not_pile_up(clock, timers):
    for _ in range(50):
        for timer in [timers.after(3600, lambda: None) for _ in range(200)]:
            timer.cancel()
    await clock.settle()
    assert clock.sleeping <= 1
    assert len(timers._heap) < 3000


async def test_after_closing_nothing_is_called(clock, timers):
    seen = []
    timers.after(1, lambda: seen.append("no"))
    timers.close()
    await clock.advance(5)
    assert seen == []

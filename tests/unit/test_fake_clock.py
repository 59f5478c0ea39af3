"""The clock that tests move."""

import asyncio

from workflow_scheduler.testing.clock import FakeClock


async def test_it_stands_still_until_it_is_moved():
    clock = FakeClock()
    now, monotonic = clock.now(), clock.monotonic()
    await clock.settle()
    assert (clock.now(), clock.monotonic()) == (now, monotonic)
    await clock.advance(1.5)
    assert (clock.now() - now, clock.monotonic() - monotonic) == (1_500_000, 1.5)


async def test_sleepers_wake_in_order_each_at_its_own_time():
    clock, seen = FakeClock(), []
    start = clock.now()

    async def sleeper(seconds):
        await clock.sleep(seconds)
        seen.append((seconds, clock.now() - start))

    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (3, 1, 2)]
    await clock.settle()
    assert clock.sleeping == 3
    await clock.advance(2.5)
    assert seen == [(1, 1_000_000), (2, 2_000_000)]
    await clock.advance(1)
    await asyncio.gather(*tasks)
    assert clock.sleeping == 0


async def test_a_jump_moves_the_wall_clock_only():
    clock = FakeClock()
    monotonic = clock.monotonic()
    before = clock.now()
    clock.jump(-60)
    assert (clock.now() - before, clock.monotonic()) == (-60_000_000, monotonic)


async def test_chance_is_reproducible():
    assert [FakeClock(seed=3).random() for _ in range(2)] == [FakeClock(seed=3).random() for _ in range(2)]

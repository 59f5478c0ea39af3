"""The loop of the timer while somebody sets the clock, the host sleeps, or the calendar has an odd day; both stores."""

import asyncio

import pytest

from workflow_scheduler.core.time.clock import HOUR_US, SECOND_US, from_iso, to_iso
from workflow_scheduler.testing.factories import NOON

HOURLY = {"type": "cron", "cron": "0 * * * *"}
HOUR, DAY = 3600, 86_400


class Looking:
    """The timer's loop at work, and how often it asked the store for due rows."""

    def __init__(self, instance, monkeypatch):
        self.instance, self.looks, self.idle = instance, 0, asyncio.Event()
        due, pause = instance.timer._catalog.due, instance.timer._pause

        async def counted(*args):
            self.looks += 1
            return await due(*args)

        async def idling(seconds):
            self.idle.set()
            try:
                await pause(seconds)
            finally:
                self.idle.clear()

        monkeypatch.setattr(instance.timer._catalog, "due", counted)
        monkeypatch.setattr(instance.timer, "_pause", idling)
        self._loop = asyncio.create_task(instance.timer.loop())

    async def seconds(self, number):
        for _ in range(number):
            await self.instance.clock.advance(1)
            async with asyncio.timeout(60):  # a busy server answers late, and no second passes for the loop meanwhile
                await self.idle.wait()
            await self.instance.settle()

    async def stop(self):
        self._loop.cancel()
        await asyncio.gather(self._loop, return_exceptions=True)


async def runs(instance):
    return await instance.all("SELECT scheduled_for, created_at FROM runs ORDER BY scheduled_for")


@pytest.fixture
async def looking(one, monkeypatch):
    found = Looking(one, monkeypatch)
    yield found
    await found.stop()


@pytest.mark.parametrize("step", [HOUR, -HOUR, DAY, -DAY], ids=["hour on", "hour back", "day on", "day back"])
async def test_a_clock_that_is_set_fires_nothing_twice_nothing_early_and_keeps_no_one_busy(one, looking, step):
    await one.deploy("report", {"hourly": HOURLY})
    one.timer.wake()
    await looking.seconds(3)
    one.clock.jump(step)
    await looking.seconds(5)
    passed = max(0, step // HOUR)
    assert [at for at, _ in await runs(one)] == ([NOON + passed * HOUR_US] if passed else [])
    one.clock.jump(-step)  # set right again, then on to the next hour that has not run yet
    await looking.seconds(3)
    one.clock.jump((passed + 1) * HOUR)
    await looking.seconds(3)
    found = await runs(one)
    assert [at for at, _ in found] == [
        NOON + number * HOUR_US for number in ([passed] if passed else []) + [passed + 1]
    ]
    assert all(created >= at for at, created in found)
    assert looking.looks <= 3 * 14


async def test_a_host_that_slept_goes_on_with_the_newest_time(one, looking):
    """While a host sleeps its monotonic clock stands still; the wall clock has moved when it wakes."""
    await one.deploy("report", {"hourly": HOURLY})
    one.timer.wake()
    await looking.seconds(1)
    one.clock.jump(9 * HOUR + 120)
    await looking.seconds(2)
    assert [at for at, _ in await runs(one)] == [NOON + 9 * HOUR_US]
    assert looking.looks <= 3 * 4


@pytest.mark.parametrize(
    ("cron", "at", "following"),
    [
        ("14 3 19 1 *", "2038-01-19T03:14:00Z", "2039-01-19T03:14:00Z"),
        ("15 3 19 1 *", "2038-01-19T03:15:00Z", "2039-01-19T03:15:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"),
        ("0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00Z"),
        ("0 0 1 1 *", "2100-01-01T00:00:00Z", "2101-01-01T00:00:00Z"),
    ],
)
async def test_odd_days_fire_once_and_know_the_next_time(one, looking, cron, at, following):
    one.clock.jump((from_iso(at) - one.clock.now()) / SECOND_US - 2)
    await one.deploy("report", {"rare": {"type": "cron", "cron": cron}})
    one.timer.wake()
    await looking.seconds(1)
    assert await runs(one) == []
    await looking.seconds(3)
    assert [to_iso(scheduled) for scheduled, _ in await runs(one)] == [at]
    (due,) = await one.all("SELECT next_nominal FROM schedules")
    assert to_iso(due[0]) == following
    assert looking.looks <= 3 * 6

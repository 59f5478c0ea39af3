"""A year of one schedule, with whatever happens to schedules: the ledger adds up at every point, on both databases."""

import random

import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.time.clock import DAY_US, from_iso
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
PARTS = ("fired", "skipped", "missed", "coalesced", "superseded", "pending", "upcoming")
RULES = (
    {"cron": "*/30 * * * *", "catchup": "latest"},
    {"cron": "15 * * * *", "catchup": "all", "catchup_max": 5},
    {"cron": "0 */2 * * *", "catchup": "none"},
)


class Year:
    """Lets weeks go by, each in another way."""

    def __init__(self, house, schedule):
        self.house, self.schedule = house, schedule
        self.random = random.Random(2027)  # noqa: S311 -- the same numbers every time
        self.edits = 0

    async def settle(self):
        while await self.house.timer.tick():
            pass

    async def down(self):
        await self.house.clock.advance(self.random.choice((600, 90_000, 400_000)))
        await self.settle()

    async def paused(self):
        schedules = self.house.schedules
        await schedules.pause(LOCAL, self.schedule)
        await self.house.clock.advance(self.random.choice((7_000, 90_000)))
        await schedules.resume(LOCAL, self.schedule, missed=self.random.choice(("none", "latest", "all")))
        await self.settle()

    async def skipped(self):
        await self.house.schedules.skips.skip(LOCAL, self.schedule)
        await self.house.clock.advance(8_000)
        await self.settle()

    async def edited(self):
        self.edits += 1
        await self.house.schedules.update(LOCAL, self.schedule, {"timezone": "Europe/Berlin", **RULES[self.edits % 3]})
        await self.house.cache.refresh()

    async def on_time(self):
        for _ in range(4):
            due = (await self.house.store.read("SELECT next_fire_at FROM schedules"))[0][0]
            self.house.clock.jump(max(0, due - self.house.clock.now()) / 1_000_000)
            await self.settle()

    async def check(self):
        """Look at the year so far, and at every time of the last days."""
        now = self.house.clock.now()
        found = await self.house.schedules.occurrences(LOCAL, self.schedule, since=NOON, until=now + DAY_US, limit=1)
        sums = found["sums"]
        assert sums["planned"] == sum(sums[part] for part in PARTS)
        assert sums["pending"] == 0
        runs = (await self.house.store.read("SELECT COUNT(*) FROM runs"))[0][0]
        assert sums["fired"] == runs
        since = now - 3 * DAY_US
        page = await self.house.schedules.occurrences(LOCAL, self.schedule, since=since, until=now, limit=1000)
        whole = [item for item in page["items"] if "count" not in item]
        if len(whole) == len(page["items"]) and page["next"] is None:
            assert len(whole) == page["sums"]["planned"]
            assert all(since <= from_iso(item["utc"]) < now for item in whole)
        return sums


async def test_what_was_planned_is_the_sum_of_what_became_of_it_at_every_point_of_a_year(house):
    await house.deploy("report", tick={"type": "cron", "timezone": "Europe/Berlin", **RULES[0]})
    year = Year(house, await house.trigger_id("tick"))
    steps = (year.down, year.paused, year.skipped, year.edited, year.on_time)
    sums = {}
    for week in range(52):
        await steps[week % len(steps)]()
        house.clock.jump(max(0, NOON + (week + 1) * 7 * DAY_US - house.clock.now()) / 1_000_000)
        await year.settle()
        sums = await year.check()
    assert all(sums[part] for part in ("fired", "skipped", "missed", "coalesced", "superseded"))

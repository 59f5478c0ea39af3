"""New time zone data at a start: next times are computed again, once, and nothing is lost or repeated."""

import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.ports.store import Sql
from workflow_scheduler.core.time.clock import HOUR_US
from workflow_scheduler.core.time.zone import tzdata_version
from workflow_scheduler.services.retiming import Retiming
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
HOURLY = {"type": "cron", "cron": "0 * * * *"}


async def as_if(house, **values):
    """Let the row look as another version of the data has left it."""
    sets = "".join(f", {name} = :{name}" for name in values)

    def work():
        yield Sql(f"UPDATE schedules SET tzdata = '2020.1'{sets}", values)  # noqa: S608 -- constants

    await house.store.transact(work())


async def row(house):
    return (await house.store.read("SELECT tzdata, next_nominal, revision FROM schedules"))[0]


async def test_a_row_whose_next_time_is_the_same_only_gets_the_new_version(house):
    await house.deploy("report", hourly=HOURLY)
    before = await row(house)
    await as_if(house)
    assert await Retiming(house.store, house.clock, house.types).run() == 0
    assert await row(house) == (tzdata_version(), *before[1:])
    assert await house.store.read("SELECT nominal FROM occurrences") == []


async def test_a_time_that_moved_is_superseded_and_the_new_one_fires_once(house):
    await house.deploy("report", hourly=HOURLY)
    wrong = NOON + 3 * HOUR_US // 2
    await as_if(house, next_nominal=wrong, next_fire_at=wrong)
    retiming = Retiming(house.store, house.clock, house.types)
    assert (await retiming.run(), await retiming.run()) == (1, 0)
    assert (await row(house))[:2] == (tzdata_version(), NOON + HOUR_US)
    rows = await house.store.read("SELECT nominal, outcome, reason, note FROM occurrences")
    assert [line[:3] for line in rows] == [(wrong, "skipped", "superseded")]
    assert "2020.1" in rows[0][3]
    await house.clock.advance(3600)
    while await house.timer.tick():
        pass
    runs = await house.store.read("SELECT scheduled_for FROM runs")
    assert runs == [(NOON + HOUR_US,)]


async def test_a_due_time_is_left_to_the_timer(house):
    await house.deploy("report", hourly=HOURLY)
    await house.clock.advance(3600)
    await as_if(house)
    assert await Retiming(house.store, house.clock, house.types).run() == 0
    while await house.timer.tick():
        pass
    assert await house.store.read("SELECT scheduled_for FROM runs") == [(NOON + HOUR_US,)]


async def test_a_row_that_rests_until_a_later_time_is_brought_in_line_and_wakes_at_the_end_of_its_rest(house):
    await house.deploy("report", hourly=HOURLY)
    end = NOON + 5 * HOUR_US // 2
    await house.schedules.pause(LOCAL, await house.trigger_id("hourly"), until=end)
    wrong = NOON + 3 * HOUR_US // 2
    await as_if(house, next_nominal=wrong, next_fire_at=wrong)
    assert await Retiming(house.store, house.clock, house.types).run() == 1
    found = await house.store.read("SELECT tzdata, next_nominal, next_fire_at FROM schedules")
    assert found == [(tzdata_version(), NOON + HOUR_US, end)]


async def test_firing_marks_the_row_and_older_data_is_mended_while_newer_is_left_alone(house):
    await house.deploy("report", hourly=HOURLY)
    await as_if(house)
    await house.clock.advance(3600)
    while await house.timer.tick():
        pass
    assert (await row(house))[0] == tzdata_version()
    retiming = Retiming(house.store, house.clock, house.types)
    for version, moved in (("2020.1", 1), ("2999.1", 0)):
        wrong = NOON + 5 * HOUR_US // 2
        await as_if(house, next_nominal=wrong, next_fire_at=wrong)

        def pretend(version=version):
            yield Sql("UPDATE schedules SET tzdata = :version", {"version": version})

        await house.store.transact(pretend())
        assert await retiming.run(older=True) == moved


async def test_a_time_of_older_data_that_lies_after_the_start_is_computed_again_before_it_fires(house):
    await house.deploy("report", hourly=HOURLY)
    house.timer.retimes = retiming = Retiming(house.store, house.clock, house.types)
    wrong = NOON + HOUR_US // 2
    await as_if(house, next_nominal=wrong, next_fire_at=wrong)
    await house.clock.advance(1800)
    while await house.timer.tick():
        pass
    assert (await row(house))[:2] == (tzdata_version(), NOON + HOUR_US)
    assert await house.store.read("SELECT nominal, reason FROM occurrences") == [(wrong, "superseded")]
    await house.clock.advance(1800)
    while await house.timer.tick():
        pass
    assert await house.store.read("SELECT scheduled_for FROM runs") == [(NOON + HOUR_US,)]
    await as_if(house)
    assert await retiming.run() == 0
    await house.timer.settle("local", await house.trigger_id("hourly"))
    assert (await row(house))[:2] == (tzdata_version(), NOON + 2 * HOUR_US)


async def test_what_cannot_be_computed_again_is_left_to_the_timer_and_what_has_no_next_time_is_looked_at_once(house):
    await house.deploy("report", hourly=HOURLY)
    house.timer.retimes = retiming = Retiming(house.store, house.clock, house.types)
    await as_if(house)

    def broken():
        yield Sql("UPDATE trigger_index SET trigger_config = '{\"cron\": 5}'")

    await house.store.transact(broken())
    assert await retiming.run() == 0
    await house.clock.advance(3600)
    while await house.timer.tick():
        pass
    assert await house.store.read("SELECT kind FROM quarantine") == [("schedules",)]
    await as_if(house, next_fire_at=None)
    assert await retiming.run() == 0
    assert (await row(house))[0] == tzdata_version()

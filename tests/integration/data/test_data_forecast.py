"""The forecast over stored schedules, on both databases."""

import pytest

from workflow_scheduler.core.errors import ValidationFailed
from workflow_scheduler.core.model.principal import LOCAL, Principal
from workflow_scheduler.services import forecast

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
NINE = {"type": "cron", "cron": "0 9 * * *"}


async def test_collisions_over_all_workflows_with_advice(house):
    await house.deploy("one", a=NINE, b=NINE, spread={**NINE, "jitter": "1m"})
    await house.deploy("two", a=NINE, often={"type": "interval", "every": "1h"})
    found = await house.schedules.forecast.ahead(LOCAL, hours=24, spread=True)
    assert (found["schedules"], found["rules"], found["exact"], found["note"]) == (5, 3, True, None)
    assert found["total"] == 4 + 24
    (collision,) = found["collisions"][:1]
    assert collision["fires"] == 4, "the interval began at noon and is due at nine as well"
    assert collision["summary"] == "4 fires at 09:00:00 on 2027-01-06 (UTC)"
    assert {(one["workflow"], one["name"]) for one in collision["schedules"]} == {
        ("one", "a"), ("one", "b"), ("two", "a"), ("two", "often"),
    }  # fmt: skip
    assert collision["spread"]["peak_before"] == 4
    nine = next(one for one in found["items"] if one["start"] == "2027-01-06T09:00:00Z")
    assert nine["fires"] == 5


async def test_minutes_hours_and_their_bounds(house):
    await house.deploy("one", a={"type": "cron", "cron": "*/30 * * * *"})
    found = await house.schedules.forecast.ahead(LOCAL, hours=1, minutes=True)
    assert found["bucket_seconds"] == 60
    assert [one["start"] for one in found["items"]] == ["2027-01-05T12:30:00Z", "2027-01-05T13:00:00Z"]
    for wrong in (0, 745):
        with pytest.raises(ValidationFailed):
            await house.schedules.forecast.ahead(LOCAL, hours=wrong)


async def test_resting_schedules_and_other_tenants_do_not_count(house):
    await house.deploy("one", a=NINE, b=NINE, c={**NINE, "enabled": False})
    await house.schedules.pause(LOCAL, await house.trigger_id("a"), reason="stocktaking")
    found = await house.schedules.forecast.ahead(LOCAL)
    assert (found["total"], found["schedules"], found["resting"]) == (1, 1, 2)
    until = house.clock.now() + 48 * 3_600_000_000
    await house.schedules.pause(LOCAL, await house.trigger_id("b"), until=until)
    assert (await house.schedules.forecast.ahead(LOCAL, hours=72))["total"] == 1
    assert (await house.schedules.forecast.ahead(Principal(tenant_id="other", user_id="eve")))["schedules"] == 0


async def test_what_is_left_out_is_said(house, monkeypatch):
    monkeypatch.setattr(forecast, "SCHEDULES_MAX", 1)
    monkeypatch.setattr(forecast, "_PAGE", 1)
    await house.deploy("one", a=NINE, b=NINE)
    found = await house.schedules.forecast.ahead(LOCAL)
    assert (found["exact"], found["note"]) == (False, "only the first 1 schedules are covered")


async def test_no_more_fires_are_foretold_than_a_schedule_may_still_start(house):
    hourly = {"type": "cron", "cron": "0 * * * *", "max_fires": 3}
    often = {"type": "interval", "every": "1s", "max_fires": 5000}
    await house.deploy("one", a=hourly, b=hourly, c={**hourly, "max_fires": 100}, often=often)
    found = await house.schedules.forecast.ahead(LOCAL, hours=24)
    assert found["total"] == 3 + 3 + 24 + 5000
    await house.schedules.pause(LOCAL, await house.trigger_id("often"))
    await house.clock.advance(3600)
    while await house.timer.tick():
        pass
    found = await house.schedules.forecast.ahead(LOCAL, hours=24)
    assert found["total"] == 2 + 2 + 24
    assert [one["fires"] for one in found["collisions"][:2]] == [3, 3]

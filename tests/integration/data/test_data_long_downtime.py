"""Thirty days without a service: what each policy makes of them, exactly, on both databases.

`WFS_DOWN_SCHEDULES` says for how many schedules; a release looks at 10,000.
"""

import os

import pytest

from workflow_scheduler.core.model.principal import LOCAL
from workflow_scheduler.core.time.clock import DAY_US
from workflow_scheduler.testing.factories import NOON

pytestmark = pytest.mark.parametrize("new_store", ["sqlite", "postgres"], indirect=True)
SCHEDULES = int(os.environ.get("WFS_DOWN_SCHEDULES", "80"))
AT_ONCE = 20
# How many of the 720 hours run, are covered by another run, and are missed.
POLICIES = {
    "none": ({"catchup": "none"}, (0, 0, 720)),
    "latest": ({"catchup": "latest"}, (1, 23, 696)),
    "most": ({"catchup": "all", "catchup_window": "7d", "catchup_max": 50}, (50, 0, 670)),
    "window": ({"catchup": "all", "catchup_window": "10h", "catchup_max": 50}, (10, 0, 710)),
}


async def test_every_policy_gives_its_exact_counts_after_thirty_days(house):
    workflows = SCHEDULES // len(POLICIES) // AT_ONCE
    hourly = {"type": "cron", "cron": "0 * * * *"}
    triggers = {f"{name}{n}": hourly | rule for name, (rule, _) in POLICIES.items() for n in range(AT_ONCE)}
    for number in range(workflows):
        await house.deploy(f"flow{number}", **triggers)
    house.clock.jump(30 * 86_400 + 300)
    while await house.timer.tick():
        pass
    rows = await house.store.read(
        "SELECT t.name, count(r.id) FROM trigger_index t LEFT JOIN runs r ON r.tenant_id = t.tenant_id "
        "AND r.trigger_id = t.id GROUP BY t.id, t.name"
    )
    assert len(rows) == workflows * len(triggers)
    assert all(number == POLICIES[name.rstrip("0123456789")][1][0] for name, number in rows)
    doubled = "SELECT 1 FROM runs GROUP BY trigger_id, scheduled_for HAVING count(*) > 1 LIMIT 1"
    assert not await house.store.read(doubled)
    for name, (_, wanted) in POLICIES.items():
        found = await house.store.read("SELECT id FROM trigger_index WHERE name = :name", {"name": f"{name}0"})
        for row in found[:3]:
            page = await house.schedules.occurrences(LOCAL, row[0], since=NOON, until=NOON + 30 * DAY_US + 1, limit=1)
            sums = page["sums"]
            assert (sums["fired"], sums["coalesced"], sums["missed"]) == wanted
            assert sums["planned"] == sum(wanted)

"""The newest of many fires, found by counting: the same as in a list of them, in few counts."""

import pytest

from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, from_iso
from workflow_scheduler.core.time.timer import Timer
from workflow_scheduler.triggers import cron, interval

MAY = from_iso("2027-05-05T12:34:56")
RANKS = (1, 2, 3, 7, 50)
RULES = [
    (cron, {"cron": "0 * * * *"}, 20, 8),
    (cron, {"cron": "* * * * *"}, 2, 8),
    (interval, {"every": "17m"}, 20, 8),
    (cron, {"cron": "0 3 * * *", "timezone": "Europe/Berlin"}, 400, 8),
    (cron, {"cron": "*/7 9-17 * * MON-FRI", "timezone": "America/New_York"}, 30, 40),
    (cron, {"cron": "*/5 3 1 * *"}, 400, 80),
    (cron, {"cron": "0,1,2,3,59 0 29 2 *"}, 9000, 80),
]


class Counting(Timer):
    """A timer that counts how often it counts."""

    counts = 0

    def between(self, after, until):
        Counting.counts += 1
        return super().between(after, until)


@pytest.mark.parametrize(("module", "given", "days", "most"), RULES, ids=[str(rule[1]) for rule in RULES])
def test_the_newest_fires_are_those_of_a_list_in_few_counts(module, given, days, most):
    config = module.Config.model_validate(given)
    timer = Counting(module, config, "trigger", MAY - days * DAY_US)
    for until in (MAY, MAY + HOUR_US * 7):
        fires = []
        fire = timer.after(MAY - days * DAY_US)
        while fire is not None and fire.utc <= until:
            fires.append(fire.utc)
            fire = timer.after(fire.utc)
        for rank in (rank for rank in RANKS if rank <= len(fires)):
            Counting.counts = 0
            assert timer.newest(fires[0], until, rank) == fires[-rank]
            assert Counting.counts <= most, (given, rank)


def test_more_fires_than_there_are_give_the_first():
    timer = Timer(cron, cron.Config.model_validate({"cron": "0 * * * *"}), "trigger", 0)
    first = MAY // HOUR_US * HOUR_US
    assert timer.newest(first, first + 3 * HOUR_US, 9) == first
    assert timer.newest(first, first, 1) == first

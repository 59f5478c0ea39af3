"""Random changes, downtimes, clock steps and crashes of schedules, compared with a small model of the law on time.

`WFS_TIME_SEQUENCES` says how many and `WFS_TIME_STEPS` how long they are; `WFS_TIME_SEED` replays one.
"""

import os

import pytest
from timesim.sequence import divergences

SEQUENCES = int(os.environ.get("WFS_TIME_SEQUENCES", "500"))
STEPS = int(os.environ.get("WFS_TIME_STEPS", "20"))
PORTIONS = 20


def _seeds(portion):
    if seed := os.environ.get("WFS_TIME_SEED"):
        return [int(seed)] if portion == 0 else []
    return range(portion, SEQUENCES, PORTIONS)


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_every_time_has_the_outcome_that_the_law_gives_it(portion):
    for seed in _seeds(portion):
        found, steps = divergences(seed, STEPS)
        lines = "\n  ".join(found[:10])
        replay = f"WFS_TIME_SEED={seed} WFS_TIME_STEPS={STEPS} pytest tests/simulation/test_time_model.py"
        assert not found, f"after {'; '.join(steps)}:\n  {lines}\nreplay: {replay}"

"""Random sequences of events, changes, faults and crashes on virtual time, against what clients were told.

`WFS_SIM_SEQUENCES` says how many and `WFS_SIM_STEPS` how long they are; `WFS_SIM_SEED` replays one.
"""

import os

import pytest
from sim.sequence import complaints

SEQUENCES = int(os.environ.get("WFS_SIM_SEQUENCES", "200"))
STEPS = int(os.environ.get("WFS_SIM_STEPS", "24"))
PORTIONS = 20


def _seeds(portion):
    if seed := os.environ.get("WFS_SIM_SEED"):
        return [int(seed)] if portion == 0 else []
    return range(portion, SEQUENCES, PORTIONS)


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_nothing_is_lost_or_doubled(portion):
    for seed in _seeds(portion):
        found, steps = complaints(seed, STEPS)
        lines = "\n  ".join(found[:10])
        replay = f"WFS_SIM_SEED={seed} WFS_SIM_STEPS={STEPS} pytest tests/simulation"
        assert not found, f"after {' '.join(steps)}:\n  {lines}\nreplay: {replay}"

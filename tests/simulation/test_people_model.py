"""Random interleavings of triggers, answers, deliveries, expiries and crashes around paused runs, and the law on them.

`WFS_WAIT_SEQUENCES` says how many there are on SQLite and virtual time, `WFS_WAIT_SEED` replays one.
"""

import os

import pytest
from waitsim import sequence

SEQUENCES = int(os.environ.get("WFS_WAIT_SEQUENCES", "1000"))
ON_POSTGRES = int(os.environ.get("WFS_WAIT_SEQUENCES_POSTGRES", "36"))
PORTIONS = 10


def _seeds(portion):
    if seed := os.environ.get("WFS_WAIT_SEED"):
        return [int(seed)] if portion == 0 else []
    return range(portion, SEQUENCES, PORTIONS)


def _check(results):
    for seed, found, steps in results:
        lines, done = "\n  ".join(found[:10]), "\n  ".join(steps)
        replay = f"WFS_WAIT_SEED={seed} pytest tests/simulation/test_people_model.py"
        assert not found, f"after\n  {done}\nfound\n  {lines}\nreplay: {replay}"


@pytest.mark.parametrize("portion", range(PORTIONS))
def test_every_answer_goes_where_the_law_sends_it_and_resumes_once(portion):
    _check(sequence.virtual(_seeds(portion)))


def test_two_instances_on_postgres_keep_the_same_law(postgres_url, tmp_path):
    _check(sequence.paired(postgres_url, tmp_path, range(ON_POSTGRES)))

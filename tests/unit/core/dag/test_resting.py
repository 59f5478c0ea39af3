"""When a run rests, told by its jobs that are under way."""

import pytest

from workflow_scheduler.core.dag.park import REST_US, is_resting
from workflow_scheduler.core.model.run import JobStatus

NOW = 1_000_000
SOON, LATER = NOW + REST_US, NOW + REST_US + 1
RUNNING, PAUSED, QUEUED = JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.QUEUED


@pytest.mark.parametrize(
    ("jobs", "rests"),
    [
        ([], False),
        ([("a", RUNNING, None)], False),
        ([("a", PAUSED, None)], True),
        ([("a", PAUSED, None), ("b", RUNNING, None)], False),
        ([("a", PAUSED, LATER)], True),
        ([("a", PAUSED, SOON)], False),
        ([("a", PAUSED, LATER), ("b", QUEUED, SOON)], False),
        ([("a", PAUSED, None), ("b", QUEUED, SOON)], True),
        ([("a", QUEUED, LATER)], True),
        ([("m", RUNNING, None), ("m[0]", PAUSED, None), ("m[1]", PAUSED, LATER)], True),
        ([("m", RUNNING, None), ("m[0]", PAUSED, None), ("m[1]", RUNNING, None)], False),
    ],
)
def test_a_run_rests_while_nothing_works_and_nothing_is_due_soon(jobs, rests):
    assert is_resting(jobs, NOW) is rests

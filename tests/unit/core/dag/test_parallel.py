from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.dag.parallel import parallelism

SPANS = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=1, max_size=20)


def test_jobs_side_by_side_save_time():
    found = parallelism([(0, 10), (0, 10), (10, 20)])
    assert (found.most, found.mean, found.elapsed, found.sequential, found.saved) == (2, 1.5, 20, 30, 10)


def test_one_after_the_other_saves_nothing_and_pauses_are_no_loss():
    found = parallelism([(0, 10), (15, 20)])
    assert (found.most, found.saved, found.mean) == (1, 0, 0.75)


def test_no_job_no_figures():
    assert parallelism([]) is None


def test_jobs_that_took_no_time():
    assert parallelism([(5, 5), (5, 5)]).most == 1


@given(SPANS)
def test_the_greatest_number_is_what_counting_at_every_instant_gives(spans):
    spans = [(min(pair), max(pair)) for pair in spans]
    counted = max(sum(start <= at < end for start, end in spans) for at in range(51))
    found = parallelism(spans)
    assert found.most == max(counted, 1)
    assert found.mean <= found.most

from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.time.clock import SECOND_US
from workflow_scheduler.engines.breaker import Breaker, Circuit


def opened(now=0, **more):
    breaker = Breaker(failures_max=3, open_seconds=10, open_seconds_max=40, **more)
    for _ in range(3):
        breaker.failed(now)
    return breaker


def test_it_opens_after_failures_in_a_row():
    breaker = Breaker(failures_max=3, open_seconds=10)
    breaker.failed(0)
    breaker.failed(0)
    assert breaker.wait_us(0) == 0
    breaker.failed(0)
    assert breaker.state(0) is Circuit.OPEN
    assert breaker.wait_us(4 * SECOND_US) == 6 * SECOND_US


def test_a_success_in_between_starts_the_count_again():
    breaker = Breaker(failures_max=3)
    for _ in range(10):
        breaker.failed(0)
        breaker.failed(0)
        breaker.succeeded()
    assert breaker.state(0) is Circuit.CLOSED


def test_one_probe_at_a_time():
    breaker = opened()
    now = 10 * SECOND_US
    assert breaker.state(now) is Circuit.HALF_OPEN
    assert breaker.wait_us(now) == 0
    assert breaker.wait_us(now) == 10 * SECOND_US


def test_a_probe_that_never_reports_is_replaced():
    breaker = opened()
    assert breaker.wait_us(10 * SECOND_US) == 0
    assert breaker.wait_us(20 * SECOND_US) == 0


def test_a_good_probe_closes():
    breaker = opened()
    assert breaker.wait_us(10 * SECOND_US) == 0
    breaker.succeeded()
    assert breaker.state(10 * SECOND_US) is Circuit.CLOSED
    assert breaker.wait_us(10 * SECOND_US) == 0


def test_bad_probes_double_the_wait_up_to_a_limit():
    breaker = opened()
    now = 0
    waits = []
    for _ in range(4):
        now += breaker.wait_us(now)
        assert breaker.wait_us(now) == 0
        breaker.failed(now)
        waits.append(breaker.wait_us(now) // SECOND_US)
    assert waits == [20, 40, 40, 40]


def test_calls_that_were_under_way_when_it_opened_do_not_prolong_it():
    breaker = opened()
    breaker.failed(5 * SECOND_US)
    assert breaker.wait_us(5 * SECOND_US) == 5 * SECOND_US


@given(st.lists(st.tuples(st.sampled_from(["ask", "ok", "fail"]), st.integers(0, 100 * SECOND_US))))
def test_a_wait_is_never_longer_than_the_longest(steps):
    breaker = Breaker(failures_max=2, open_seconds=1, open_seconds_max=8)
    now = 0
    for step, elapsed in steps:
        now += elapsed
        if step == "ok":
            breaker.succeeded()
        elif step == "fail":
            breaker.failed(now)
        assert 0 <= breaker.wait_us(now) <= 8 * SECOND_US

from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.shaping.shape import Gather, Rate, admitted, due_of, is_full, slot

gaps = st.lists(st.integers(0, 40), max_size=60)
rates = st.builds(Rate, count=st.integers(1, 5), per=st.integers(1, 60))


@given(rates, gaps)
def test_no_window_of_a_limit_holds_one_start_too_many(rate: Rate, pauses: list[int]):
    now, starts, admitted_at = 0, [], []
    for pause in pauses:
        now += pause
        may, starts = admitted(rate, starts, now)
        recent = [at for at in admitted_at if at > now - rate.per]
        assert may == (len(recent) < rate.count)
        assert len(starts) <= rate.count
        if may:
            admitted_at.append(now)


@given(rates, gaps)
def test_a_throttle_loses_nothing_keeps_the_order_and_never_starts_one_too_many(rate: Rate, pauses: list[int]):
    now, starts, slots = 0, [], []
    for pause in pauses:
        now += pause
        at, starts = slot(rate, starts, now)
        assert at >= now
        slots.append(at)
        assert len(starts) <= rate.count
    assert slots == sorted(slots)
    for place, at in enumerate(slots):
        assert len([one for one in slots[: place + 1] if one > at - rate.per]) <= rate.count


@given(st.integers(1, 50), st.none() | st.integers(1, 100), gaps)
def test_a_debounced_group_is_due_after_its_quiet_and_within_its_limit(quiet: int, most: int | None, pauses: list[int]):
    rule, now = Gather("debounce", quiet, most=most), 0
    for pause in pauses:
        now += pause
        due = due_of(rule, 0, now)
        assert due <= now + quiet
        assert most is None or due <= most


def test_batches_are_due_from_their_first_event_and_silence_from_the_last():
    assert due_of(Gather("batch", 10, size=5), 100, 107) == 110
    assert due_of(Gather("absence", 10), 100, 107) == 117
    assert is_full(Gather("batch", 10, size=5), 5, 0)
    assert not is_full(Gather("batch", 10, size=5), 4, 0)
    assert is_full(Gather("debounce", 10), 2, 2_000_000)
    assert not is_full(Gather("absence", 10), 10_000, 0)

"""Rounds and windows, against a model that looks at every set of ends."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.dependencies.need import holds, read
from workflow_scheduler.core.dependencies.rounds import (
    ALONE_US,
    FORGOTTEN_US,
    LATE_US,
    OPEN,
    Rule,
    due,
    number_of,
    step,
)
from workflow_scheduler.core.dependencies.window import Kind, Window, bounds
from workflow_scheduler.core.time.clock import DAY_US, HOUR_US, from_iso, to_iso

T = from_iso("2027-03-14T07:00:00Z")


def at(text):
    return from_iso(text + "Z")


def shown(window, text):
    return tuple(to_iso(one)[:16] for one in bounds(window, at(text)))


@pytest.mark.parametrize(
    ("window", "when", "begin", "end"),
    [
        (Window(Kind.TUMBLING, 6 * HOUR_US), "2027-03-14T07:00:00", "2027-03-14T06:00", "2027-03-14T12:00"),
        (Window(Kind.TUMBLING, DAY_US), "2027-03-14T00:00:00", "2027-03-14T00:00", "2027-03-15T00:00"),
        (Window(Kind.TUMBLING, DAY_US, None, "America/New_York"), "2027-03-14T06:00:00", "2027-03-14T05:00",
         "2027-03-15T04:00"),
        (Window(Kind.TUMBLING, 7 * DAY_US), "2027-03-14T23:59:00", "2027-03-08T00:00", "2027-03-15T00:00"),
        (Window(Kind.DEADLINE, 0, "0 8 * * *"), "2027-03-14T08:00:00", "2027-03-13T08:00", "2027-03-14T08:00"),
        (Window(Kind.DEADLINE, 0, "0 8 * * *"), "2027-03-14T08:00:00.5", "2027-03-14T08:00", "2027-03-15T08:00"),
        (Window(Kind.DEADLINE, 0, "0 8 * * MON-FRI", "Europe/Berlin"), "2027-03-27T12:00:00", "2027-03-26T07:00",
         "2027-03-29T06:00"),
        (Window(Kind.DEADLINE, 0, "0 0 29 2 *"), "2027-03-14T08:00:00", "2024-02-29T00:00", "2028-02-29T00:00"),
        (Window(Kind.DEADLINE, 0, "*/5 * * * *"), "2027-03-14T08:03:00", "2027-03-14T08:00", "2027-03-14T08:05"),
    ],
)  # fmt: skip
def test_fixed_windows(window, when, begin, end):
    assert shown(window, when) == (begin, end)
    assert number_of(Rule(read("a"), "all", window=window), at(when)) == at(begin + ":00")


@given(st.integers(0, 4 * 10**15), st.sampled_from(["0 8 * * *", "*/7 3 * * MON", "0 2 * * *"]), st.booleans())
def test_every_instant_lies_in_one_window_and_its_bounds_agree(instant, cron, berlin):
    zone = "Europe/Berlin" if berlin else "America/New_York"
    by = Window(Kind.DEADLINE, 0, cron, zone)
    begin, end = bounds(by, instant)
    assert begin < instant <= end
    if begin:
        assert bounds(by, begin)[1] == begin
    days = Window(Kind.TUMBLING, DAY_US, None, zone)
    first, last = bounds(days, instant)
    assert first <= instant < last
    assert bounds(days, last)[0] == last
    assert bounds(days, first)[0] == first


def play(rule, ends):
    """Feed ends to the rule; return the completed rounds (member -> when)."""
    rounds, fired = {}, []
    for name, when in ends:
        number = number_of(rule, when)
        done = step(rule, rounds.get(number, {}), (name,), when)
        if done.late:
            continue
        if done.complete:
            fired.append(dict(done.kept))
            rounds[number] = {}
        else:
            rounds[number] = dict(done.kept)
    return fired


def reference(rule, ends):
    """Do the same for ends in order, by the words of the documentation: windows as sets of instants."""
    waiting, fired = [], []
    length = rule.window.length if rule.window else None
    for name, when in ends:
        if rule.window is None:
            kept = waiting
        elif rule.window.kind is Kind.SLIDING:
            kept = [one for one in waiting if when - one[1] <= length]
        elif rule.window.kind is Kind.TUMBLING:
            kept = [one for one in waiting if one[1] // length == when // length]
        elif rule.window.kind is Kind.SESSION:
            kept = waiting if not waiting or when - max(one[1] for one in waiting) <= length else []
        else:
            kept = waiting if not waiting or when - min(one[1] for one in waiting) <= length else []
        waiting = [one for one in kept if one[0] != name] + [(name, when)]
        if holds(rule.need, {one[0] for one in waiting}):
            fired.append(dict(waiting))
            waiting = []
    return fired


RULES = ("a and b", "a and (b or c)", "at_least(2, a, b, c)", "a and b and c")


@given(
    st.sampled_from(RULES),
    st.one_of(st.none(), st.sampled_from(list(Kind))),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 40)), max_size=30),
)
def test_ends_in_order_complete_the_rounds_of_the_model(text, kind, steps):
    window = None if kind is None else Window(kind, 60)
    rule = Rule(read(text), "when", window=window)
    ends, now = [], 1_000
    for name, gap in steps:
        now += gap
        ends.append((name, now))
    fired = play(rule, ends)
    assert fired == reference(rule, ends)
    used = [pair for one in fired for pair in one.items()]
    assert len(used) == len(set(used)) or len(set(ends)) < len(ends)


@given(
    st.sampled_from(list(Kind)),
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 200)), max_size=20),
    st.sampled_from(["forget", "run"]),
)
def test_no_round_is_wider_than_its_window_whatever_the_order(kind, ends, on_miss):
    rule = Rule(read("a and b and c"), "all", window=Window(kind, 60), on_miss=on_miss)
    if kind is Kind.SESSION:  # a later end of a member takes the place of the one that held the session together
        ends = list({name: (name, when) for name, when in ends}.values())
    for one in play(rule, ends):
        times = sorted(one.values())
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert (max(gaps) if kind is Kind.SESSION else times[-1] - times[0]) <= 60


def test_an_end_that_is_too_old_leaves_the_round_as_it_is():
    rule = Rule(read("a and b"), "all", window=Window(Kind.SLIDING, 60))
    done = step(rule, {"a": 1_000}, ("b",), 900)
    assert done.late
    assert done.kept == {"a": 1_000}


def test_what_is_to_be_told_when_missed_becomes_a_round_of_its_own():
    rule = Rule(read("a and b"), "all", window=Window(Kind.SLIDING, 60), on_miss="tell")
    done = step(rule, {"a": 1_000}, ("b",), 1_061)
    assert (done.over, done.complete, done.kept) == (True, False, {"b": 1_061})


def test_when_a_round_is_looked_at_again():
    need = read("a and b")
    run = Rule(need, "all", window=Window(Kind.SLIDING, HOUR_US), on_miss="run")
    assert due(run, {"a": T}, T, single=False) == T + HOUR_US
    assert due(run, {"a": T}, T + 3 * HOUR_US, single=False) == T + 3 * HOUR_US + LATE_US
    assert due(Rule(need, "all", window=Window(Kind.SLIDING, HOUR_US)), {"a": T}, T, single=False) == (
        T + HOUR_US + FORGOTTEN_US
    )
    session = Rule(need, "all", window=Window(Kind.SESSION, HOUR_US), on_miss="tell")
    assert due(session, {"a": T, "c": T + 60}, T + 60, single=False) == T + 60 + HOUR_US
    assert due(Rule(need, "all"), {"a": T}, T, single=False) is None
    assert due(Rule(need, "all"), {"a": T}, T, single=True) == T + ALONE_US
    assert due(run, {}, T, single=False) is None
    assert number_of(run, T) == OPEN

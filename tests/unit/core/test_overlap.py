"""The table of overlap policies, and the keys by which runs are told apart."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.overlap import START, Move, Overlap, Place, judge, trigger_key, value_key, workflow_key
from workflow_scheduler.core.reasons import Reason

POLICIES = ("allow", "skip", "queue_one", "queue_all", "cancel_running", "terminate_running")
counts = st.integers(0, 5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("policy", POLICIES)
def test_with_nothing_in_the_way_every_fire_starts(policy):
    assert judge(Overlap(policy), 0, 0) is START


@pytest.mark.parametrize(
    ("policy", "move"),
    [
        ("allow", Move(Place.START)),
        ("skip", Move(Place.NONE, Reason.OVERLAP_SKIPPED)),
        ("queue_one", Move(Place.WAIT, Reason.OVERLAP_QUEUED, replaces=True)),
        ("queue_all", Move(Place.WAIT, Reason.OVERLAP_QUEUED)),
        ("cancel_running", Move(Place.WAIT, Reason.OVERLAP_QUEUED, replaces=True, cancels=True)),
        ("terminate_running", Move(Place.START, replaces=True, terminates=True)),
    ],
)
def test_while_a_run_is_under_way(policy, move):
    assert judge(Overlap(policy), 1, 0) == move
    assert judge(Overlap(policy), 0, 1) == move


def test_queue_all_has_room_for_as_many_as_its_limit():
    rule = Overlap("queue_all", limit=3)
    assert [judge(rule, 1, waiting).place for waiting in range(5)] == [Place.WAIT] * 3 + [Place.NONE] * 2
    assert judge(rule, 1, 3).reason is Reason.OVERLAP_QUEUE_FULL


@given(st.sampled_from(POLICIES), counts, counts, st.integers(1, 3))
def test_only_allow_lets_a_run_start_beside_another(policy, running, waiting, limit):
    move = judge(Overlap(policy, limit=limit), running, waiting)
    if move.place is Place.START and running and policy != "allow":
        assert move.terminates
    if move.place is not Place.START:
        assert move.reason is not None
        assert running or waiting
    if move.replaces:
        assert waiting == 0 or policy in {"queue_one", "cancel_running", "terminate_running"}


@given(json_values, json_values)
def test_different_values_have_different_keys(one, other):
    same = value_key("w", one) == value_key("w", other)
    assert same == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_keys_of_different_scopes_never_meet():
    assert len({trigger_key("x"), workflow_key("x"), value_key("x", "x"), value_key("x", None)}) == 4


@given(st.text(min_size=200, max_size=2000))
def test_a_long_value_makes_a_short_key(text):
    assert len(value_key("w", text)) < 100

"""Circles of workflows that start each other."""

from workflow_scheduler.core.dag.chains import find_cycle


def test_a_chain_is_no_circle():
    assert find_cycle("c", {"c": {"b"}, "b": {"a"}, "d": {"c"}}) is None


def test_a_workflow_after_itself():
    assert find_cycle("a", {"a": {"a"}}) == ["a", "a"]


def test_the_path_is_in_the_order_of_the_runs():
    # c runs after b, b after a, a after c
    assert find_cycle("a", {"a": {"c"}, "b": {"a"}, "c": {"b"}}) == ["a", "b", "c", "a"]


def test_a_circle_elsewhere_is_not_ours():
    assert find_cycle("x", {"x": {"a"}, "a": {"b"}, "b": {"a"}}) is None


def test_a_diamond_is_no_circle():
    assert find_cycle("d", {"d": {"b", "c"}, "b": {"a"}, "c": {"a"}}) is None

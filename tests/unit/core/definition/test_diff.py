"""Differences between two definitions."""

from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.definition.diff import changes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=2), inner, max_size=3),
    max_leaves=8,
)


def test_each_difference_has_its_path():
    before = {"a": 1, "b": {"c": [1], "d": True}, "e": None}
    after = {"a": 1, "b": {"c": [1, 2], "d": 1}, "f": 2}
    assert changes(before, after) == [
        {"path": ["b", "c"], "op": "changed", "before": [1], "after": [1, 2]},
        {"path": ["b", "d"], "op": "changed", "before": True, "after": 1},
        {"path": ["f"], "op": "added", "after": 2},
        {"path": ["e"], "op": "removed", "before": None},
    ]


@given(JSON)
def test_nothing_differs_from_itself(value):
    assert changes(value, value) == []


@given(st.dictionaries(st.text("abc", max_size=2), JSON), st.dictionaries(st.text("abc", max_size=2), JSON))
def test_the_changes_lead_from_one_to_the_other(before, after):
    import copy

    value = copy.deepcopy(before)
    for change in changes(before, after):
        *parents, last = change["path"]
        place = value
        for step in parents:
            place = place[step]
        if change["op"] == "removed":
            del place[last]
        else:
            place[last] = change["after"]
    assert value == after

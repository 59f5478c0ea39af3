"""The examples of the EventBridge User Guide (comparison operators), and what a pattern may not be."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.match.event_pattern import Pattern, _fits, _pieces
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.testing.factories import NOON, make_event


def judged(pattern, data, **given):
    event = make_event(NOON, data=msgspec.json.encode(data), **given)
    return Pattern(pattern).judge(EventView(event))


MATCHES = [
    ({"detail": {"state": ["running"]}}, {"state": "running"}, True),
    ({"detail": {"state": ["running", "stopped"]}}, {"state": "pending"}, False),
    ({"detail": {"location": [{"prefix": "us-"}]}}, {"location": "us-east-1"}, True),
    ({"detail": {"service": [{"prefix": {"equals-ignore-case": "EventB"}}]}}, {"service": "eventbridge"}, True),
    ({"detail": {"FileName": [{"suffix": ".png"}]}}, {"FileName": "a.jpg"}, False),
    ({"detail": {"FileName": [{"suffix": {"equals-ignore-case": ".png"}}]}}, {"FileName": "A.PNG"}, True),
    ({"detail": {"state": [{"anything-but": "initializing"}]}}, {"state": "running"}, True),
    ({"detail": {"x-limit": [{"anything-but": [100, 200, 300]}]}}, {"x-limit": 200}, False),
    ({"detail": {"state": [{"anything-but": {"prefix": "init"}}]}}, {"state": "initializing"}, False),
    ({"detail": {"name": [{"anything-but": {"suffix": [".txt", ".rtf"]}}]}}, {"name": "a.txt"}, False),
    ({"detail": {"path": [{"anything-but": {"wildcard": "*/lib/*"}}]}}, {"path": "/usr/bin/x"}, True),
    ({"detail": {"c": [{"numeric": [">", 0, "<=", 5]}]}}, {"c": 5}, True),
    ({"detail": {"c": [{"numeric": [">", 0, "<=", 5]}]}}, {"c": 5.1}, False),
    ({"detail": {"c": [{"numeric": ["=", 3.018e2]}]}}, {"c": 301.8}, True),
    ({"detail": {"ip": [{"cidr": "10.0.0.0/24"}]}}, {"ip": "10.0.0.7"}, True),
    ({"detail": {"ip": [{"cidr": "10.0.0.0/24"}]}}, {"ip": "10.0.1.7"}, False),
    ({"detail": {"c-count": [{"exists": True}]}}, {"c-count": None}, True),
    ({"detail": {"c-count": [{"exists": False}]}}, {"other": 1}, True),
    ({"detail": {"c-count": [{"exists": False}]}}, {"c-count": 1}, False),
    ({"detail": {"type": [{"equals-ignore-case": "alarm"}]}}, {"type": "ALARM"}, True),
    ({"detail": {"path": [{"wildcard": "dir/*.png"}]}}, {"path": "dir/a/b.png"}, True),
    ({"detail": {"path": [{"wildcard": "a\\*b"}]}}, {"path": "axb"}, False),
    ({"detail": {"asg": ["a", "b"]}}, {"asg": ["x", "b"]}, True),
    ({"detail": {"asg": ["a"]}}, {"asg": ["x", "b"]}, False),
    ({"detail": {"items": {"sku": ["A1"]}}}, {"items": [{"sku": "B"}, {"sku": "A1"}]}, True),
    ({"detail": {"none": [None], "empty": [""]}}, {"none": None, "empty": ""}, True),
    ({"detail": {"flag": [True]}}, {"flag": 1}, False),
    ({"detail": {"$or": [{"c": [{"numeric": [">", 10]}]}, {"d": ["x"]}]}}, {"c": 1, "d": "x"}, True),
    ({"detail": {"$or": [{"c": [{"numeric": [">", 10]}]}, {"d": ["x"]}]}}, {"c": 1, "d": "y"}, False),
    ({"data": {"a": ["x"]}, "type": [{"anything-but": "nothing"}]}, {"a": "x"}, True),
]


@pytest.mark.parametrize(("pattern", "data", "expected"), MATCHES)
def test_patterns_match_as_documented(pattern, data, expected):
    line = judged(pattern, data)
    assert line.verdict is expected


def test_the_first_field_that_differs_is_named_with_its_value():
    line = judged({"detail": {"a": ["x"], "b": [{"prefix": "y"}]}}, {"a": "x", "b": "z"})
    assert (line.name, line.expected, line.actual) == ("pattern detail.b", [{"prefix": "y"}], "z")
    assert judged({"detail": {"a": ["x"]}}, {}).note == "the field is missing"


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ({}, "an object of fields"),
        ({"detail": {"a": "x"}}, "detail.a"),
        ({"detail": {"a": []}}, "empty list"),
        ({"detail": {"a": [{"prefixx": "x"}]}}, "no operator `prefixx`"),
        ({"detail": {"a": [{"prefix": "x", "suffix": "y"}]}}, "one operator"),
        ({"detail": {"a": [{"numeric": [">"]}]}}, "in turns"),
        ({"detail": {"a": [{"numeric": ["~", 1]}]}}, "no comparison"),
        ({"detail": {"a": [{"cidr": "10.0.0.0/99"}]}}, "detail.a.cidr"),
        ({"detail": {"a": [{"exists": "yes"}]}}, "true or false"),
        ({"detail": {"a": [{"wildcard": "a**b"}]}}, "two asterisks"),
        ({"detail": {"a": [{"anything-but": {"numeric": [">", 1]}}]}}, "prefix, suffix"),
    ],
)
def test_what_is_no_pattern_names_the_field(pattern, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        Pattern(pattern)


@given(st.text("ab*", max_size=8).filter(lambda text: "**" not in text), st.text("ab", max_size=10))
def test_wildcards_fit_as_a_slow_reference_says(text, value):
    def fits(pattern, rest):
        if not pattern:
            return not rest
        if pattern[0] == "*":
            return any(fits(pattern[1:], rest[at:]) for at in range(len(rest) + 1))
        return bool(rest) and pattern[0] == rest[0] and fits(pattern[1:], rest[1:])

    assert _fits(value, _pieces(text)) == fits(text, value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=4),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_whatever_the_data_is_a_pattern_decides(data):
    assert judged({"detail": {"a": [{"prefix": "x"}, {"numeric": [">", 1]}, None]}}, data).verdict in (True, False)

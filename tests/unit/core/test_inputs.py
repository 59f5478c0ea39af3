"""Inputs: laid over what a definition holds ready, completed from a schema."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.inputs import completed, laid_over, without_event_fields

VALUES = st.one_of(st.none(), st.booleans(), st.integers(-5, 5), st.text(max_size=3))
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES)


@given(OBJECTS, OBJECTS)
def test_a_run_s_own_fields_win_and_what_it_lacks_is_held_ready(defaults, own):
    whole = msgspec.json.decode(laid_over(defaults, msgspec.json.encode(own)))
    assert whole == {**defaults, **own}


@given(st.one_of(st.lists(VALUES), st.booleans(), st.integers(-5, 5), st.text(max_size=3)))
def test_an_input_that_is_no_object_stays_as_it_is(value):
    assert laid_over({"a": 1}, msgspec.json.encode(value)) == msgspec.json.encode(value)


def test_no_input_is_what_is_held_ready_and_what_is_no_json_is_left_alone():
    assert msgspec.json.decode(laid_over({"a": 1}, b"null")) == {"a": 1}
    assert laid_over({"a": 1}, b"\xff") == b"\xff"


def test_defaults_of_nested_objects_are_filled_in_where_the_object_is_there():
    inner = {"type": "object", "properties": {"b": {"default": 2}}}
    schema = {"properties": {"a": inner, "c": {"default": {}, **inner}, "d": True}}
    assert completed(schema, {"a": {}}) == {"a": {"b": 2}, "c": {"b": 2}}
    assert completed(schema, {"a": {"b": None}, "c": 1}) == {"a": {"b": None}, "c": 1}
    assert completed(schema, {}) == {"c": {"b": 2}}
    assert completed(schema, [1]) == [1]


def test_fields_that_events_bring_are_not_asked_for():
    schema = {"required": ["a", "b", "c"], "properties": {"a": {"x-from-event": True}, "b": {}}}
    assert without_event_fields(schema)["required"] == ["b", "c"]
    assert without_event_fields({"type": "object"}) == {"type": "object"}

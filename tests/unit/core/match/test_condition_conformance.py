"""The same cases through the closures and through the CEL runtime: the answers must be the same."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workflow_scheduler.core.match.condition import compile_condition

DATA: dict[str, Any] = {
    "amount": 150,
    "price": 1.5,
    "zero": 0,
    "neg": -3,
    "name": "order.paid",
    "empty": "",
    "flag": True,
    "off": False,
    "none": None,
    "tags": ["a", "b"],
    "numbers": [1, 2.0, 3],
    "mixed": ["a", 1, None],
    "big": 2**70,
    "wide": 2**63,
    "exact": 2**53 + 1,
    "nan": float("nan"),
    "inf": float("inf"),
    "nested": {"deep": {"x": 1}},
    "accent": "é",
    "emoji": "😀",
    "1": "one",
    "a b": 7,
    "list": [],
    "object": {},
}
TIME = dt.datetime(2027, 3, 14, 7, 30, tzinfo=dt.UTC)
VARIABLES: dict[str, Any] = {
    "event": {"type": "orders", "data": DATA, "time": "2027-03-14T07:30:00Z", "subject": None},
    "headers": {"x-kind": "a"},
    "now": TIME,
    "trigger": {"name": "t", "config": {"limit": 5}},
}

CASES: list[tuple[str, bool | None]] = [
    ("event.data.amount > 100", True),
    ("event.data.amount > 150", False),
    ("event.data.amount >= 150", True),
    ("100 < event.data.amount", True),
    ("150.0 == event.data.amount", True),
    ("event.data.price < 2", True),
    ("event.data.price == 1.5", True),
    ("event.data.amount == '150'", False),
    ("event.data.amount != '150'", True),
    ("event.data.flag == 1", False),
    ("event.data.amount == true", False),
    ("event.data.flag > 0", None),
    ("event.data.name > 1", None),
    ("event.data.none == null", True),
    ("event.data.none > 1", None),
    ("event.data.missing == null", None),
    ("event.data.missing > 1", None),
    ("event.data.missing.deeper > 1", None),
    ("event.data.name.deeper == 1", None),
    ("event.data.tags.deeper == 1", None),
    ("has(event.data.missing)", False),
    ("has(event.data.amount)", True),
    ("has(event.data.none)", True),
    ("has(event.data.name.x)", None),
    ("has(event.data.tags.x)", None),
    ("has(event.data.missing.x)", None),
    ("has(event.data.missing) && event.data.missing > 1", False),
    ("event.data.missing > 1 || true", True),
    ("event.data.missing > 1 && false", False),
    ("false && event.data.missing > 1", False),
    ("event.data.missing > 1 && true", None),
    ("event.data.missing > 1 || event.data.amount > 1", True),
    ("!(event.data.missing > 1)", None),
    ("!event.data.flag", False),
    ("event.data.flag", True),
    ("event.data.name", None),
    ("event.data.name || true", True),
    ("event.data.name && false", False),
    ("!event.data.name", None),
    ("event.data.name in ['order.paid', 'x']", True),
    ("event.data.amount in [150.0]", True),
    ("event.data.amount in ['150', null]", False),
    ("event.data.missing in [1]", None),
    ("event.data.flag in [1, 2]", False),
    ("event.data.none in [null]", True),
    ("event.data.tags in ['a']", False),
    ("'a' in event.data.tags", True),
    ("'z' in event.data.tags", False),
    ("'a' in event.data.mixed", True),
    ("'z' in event.data.mixed", False),
    ("'deep' in event.data.nested", True),
    ("'z' in event.data.nested", False),
    ("'z' in event.data.name", None),
    ("'z' in event.data.missing", None),
    ("event.data.name.startsWith('order.')", True),
    ("event.data.name.endsWith('paid')", True),
    ("event.data.name.contains('r.p')", True),
    ("event.data.name.contains('')", True),
    ("event.data.name.startsWith('x')", False),
    ("event.data.amount.startsWith('x')", None),
    ("event.data.tags.contains('a')", None),
    ("event.data['a b'] == 7", True),
    ("event.data['1'] == 'one'", True),
    ("event.data.nested.deep.x == 1", True),
    ("event.data.big > 100", True),
    ("event.data.big == 1", False),
    ("event.data.wide > 0", True),
    ("event.data.exact > 9007199254740992", True),
    ("event.data.nan < 1", False),
    ("event.data.nan > 1", False),
    ("event.data.nan == 1", False),
    ("event.data.nan != 1", True),
    ("event.data.inf > 1", True),
    ("event.data.accent == 'é'", True),
    ("event.data.emoji > 'é'", True),
    ("event.data.accent < 'z'", False),
    ("event.data.list == null", False),
    ("event.data.object == 'x'", False),
    ("event.time == 'x'", False),
    ("event.time == '2027-03-14T07:30:00Z'", True),
    ("now.getHours() == 7", True),
    ("event.subject == null", True),
    ("headers['x-kind'] == 'a'", True),
    ("headers.missing == 'a'", None),
    ("trigger.config.limit < 10", True),
    ("event.data.amount + 1 > 100", True),
    ("event.data.tags.exists(t, t == 'b')", True),
    ("event.data.numbers.all(n, n > 0)", True),
    ("timestamp(event.time) < now + duration('1h')", True),
    ("timestamp(event.time).getHours('America/New_York') == 3", True),
    ("event.data.name.matches('^order[.]')", True),
    ("event.data.amount / 0 > 1", None),
    ("event.data.tags[9] == 'a'", None),
    ("true", True),
    ("false || false", False),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_closures_and_runtime_agree(text: str, expected: bool | None) -> None:
    condition = compile_condition(text)
    assert condition.judge_slowly(VARIABLES).result is expected
    assert condition.judge(VARIABLES).result is expected
    if condition.test is not None:
        assert condition.test(VARIABLES) in (expected, None)


def test_the_common_shapes_have_a_closure() -> None:
    shapes = [
        "event.data.a > 1",
        "1 < event.data.a",
        "event.data.a == 'x' && event.data.b != 2",
        "event.data.a in ['x', 'y']",
        "has(event.data.a)",
        "event.data.a.startsWith('x')",
        "!event.data.a || 'x' in event.data.b",
    ]
    assert all(compile_condition(shape).test is not None for shape in shapes)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "x"]), inner, max_size=3),
    max_leaves=8,
)
TEXTS = (
    "event.data > 1",
    "event.data.a <= 2.5",
    "event.data.a == 'x'",
    "event.data.a != null",
    "event.data.a == true",
    "event.data.a in [1, 'x', null, true, 2.5]",
    "'x' in event.data",
    "'x' in event.data.a",
    "has(event.data.a)",
    "has(event.data.a.b)",
    "event.data.a.startsWith('x')",
    "event.data.contains('')",
    "event.data.a && event.data.b",
    "event.data || event.data.a > 1",
    "!event.data.b",
    "event.data.a == 1 ? true : false",
)


@settings(max_examples=300, deadline=None)
@given(data=JSON, text=st.sampled_from(TEXTS))
def test_any_json_gives_the_same_answer_both_ways(data: Any, text: str) -> None:
    condition = compile_condition(text)
    variables = {"event": {"data": data}}
    answer = condition.judge_slowly(variables)
    assert (answer.result is None) == (answer.reason is not None)
    assert condition.judge(variables).result is answer.result

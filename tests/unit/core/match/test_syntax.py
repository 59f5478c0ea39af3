"""The tree that is read from compiled expressions, the paths in it, and the bounds that follow from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflow_scheduler.core.match import bounds, reading, syntax
from workflow_scheduler.core.match.expression import compile_expression
from workflow_scheduler.core.match.syntax import Call, Const, Ident, ListOf, Select


def tree(text: str) -> syntax.Node:
    return compile_expression(text).tree


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("null", Const(None, "null")),
        ("true", Const(value=True, kind="bool")),
        ("false", Const(value=False, kind="bool")),
        ("-7", Const(-7, "int")),
        ("0", Const(0, "int")),
        ("9223372036854775807", Const(2**63 - 1, "int")),
        ("7u", Const(7, "uint")),
        ("-2.5", Const(-2.5, "double")),
        ("'é'", Const("é", "string")),
        (r"b'\xff'", Const(b"\xff", "bytes")),
        ("input", Ident("input")),
        ("input.a", Select(Ident("input"), "a", test=False)),
        ("has(input.a)", Select(Ident("input"), "a", test=True)),
        ("[1, input]", ListOf((Const(1, "int"), Ident("input")))),
        (
            "input.a.startsWith('x')",
            Call(Select(Ident("input"), "a", test=False), "startsWith", (Const("x", "string"),)),
        ),
    ],
)
def test_nodes(text: str, node: syntax.Node) -> None:
    assert tree(text) == node


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("input.a.b > input['c d'].e", {("input", "a", "b"): True, ("input", "c d", "e"): True}),
        ("has(input.a.b)", {("input", "a", "b"): False}),
        ("input.list[0].x == 1", {("input", "list"): True}),
        ("input.list.exists(i, i.x == input.y)", {("input", "list"): True, ("input", "y"): True}),
        ("input.list.map(input, input.x).size() > 0", {("input", "list"): True}),
        ("{'k': env.A}.k == 'x'", {("env", "A"): True}),
        ("true", {}),
    ],
)
def test_paths(text: str, paths: dict[syntax.Path, bool]) -> None:
    assert dict(syntax.paths(tree(text))) == paths


@given(st.binary(max_size=60))
def test_bytes_that_are_no_expression_are_refused(data: bytes) -> None:
    try:
        syntax.read(data)
    except (ValueError, IndexError):
        return


def chosen(text: str, variables: dict[str, Any]) -> dict[str, Any]:
    node = tree(text)
    return bounds.select(variables, bounds.trie_of(node), growth=bounds.growth(node), loops=bounds.has_loop(node))


def test_only_what_is_read_is_copied() -> None:
    variables = {"input": {"a": {"b": 1, "c": 2}, "d": [1]}, "env": {"X": "y"}}
    assert chosen("input.a.b == 1", variables) == {"input": {"a": {"b": 1}}}
    assert chosen("has(input.a)", variables) == {"input": {"a": True}}
    assert chosen("has(input.a) && input.a.b == 1", variables) == {"input": {"a": {"b": 1}}}
    assert chosen("input.a.b == 1 && size(input.a) == 2", variables) == {"input": {"a": {"b": 1, "c": 2}}}
    assert chosen("input.d.x == 1", variables) == {"input": {"d": []}}
    assert chosen("input.none == 1", variables) == {"input": {}}
    assert chosen("run.id == ''", variables) == {}


def test_values_become_types_that_cel_knows() -> None:
    data = {
        "big": 2**70,
        "small": -(2**70),
        "huge": 10**400,
        "text": "a\ud800",
        "other": {
            1,
        },
        5: None,
    }
    copied = chosen("size(input) > 0", {"input": data})["input"]
    assert copied["big"] == float(2**70)
    assert copied["small"] == -float(2**70)
    assert copied["huge"] == float("inf")
    assert copied["text"] == "a?"
    assert copied["other"] == "{1}"
    assert copied["5"] is None


@pytest.mark.parametrize(
    "value",
    [list(range(reading.VALUES_MAX + 1)), ["x" * (reading.CHARS_MAX + 1)], [["x" * 3_000]] * 5_000],
    ids=["values", "characters", "work"],
)
def test_too_much_data_is_refused(value: Any) -> None:
    with pytest.raises(reading.TooCostly):
        chosen("input.v.map(x, [x] + [x]).size() > 0", {"input": {"v": value}})


@pytest.mark.parametrize(
    ("text", "growth"),
    [
        ("input.a", 1),
        ("input.a + input.b", 2),
        ("input.l.exists(x, x == 1)", 1),
        ("input.l.filter(x, x > 1).size() > 0", 1),
        ("input.l.map(x, x.a)", 1),
        ("input.l.map(x, x + x)", 2),
        ("input.l.map(x, x + x).map(y, y + y)", 4),
        ("input.a.replace('x', 'abc')", 3),
        ("input.l.join(', ')", 3),
    ],
)
def test_growth(text: str, growth: int) -> None:
    assert bounds.growth(tree(text)) == growth

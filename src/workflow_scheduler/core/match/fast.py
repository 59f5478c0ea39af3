"""Conditions of the common shapes as plain Python closures.

A closure answers true or false only where CEL certainly gives the same answer; for anything else (a missing field,
values of other types, shapes that are not listed here) it answers None, and the CEL runtime decides. Shapes: `path op
literal`, `path in [literals]`, `"key" in path`, `has(path)`, `startsWith endsWith contains` with a literal, a path
that holds a boolean, and `&& || !` of those. The table test runs every case through both.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from workflow_scheduler.core.match import syntax
from workflow_scheduler.core.match.syntax import Call, Const, ListOf, Node, Path, Select

Test: TypeAlias = Callable[[Mapping[str, Any]], bool | None]

_EXACT_NUMBER_MAX = 2**53
_ORDERS = {"_<_": operator.lt, "_<=_": operator.le, "_>_": operator.gt, "_>=_": operator.ge}
_MIRRORED = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_", "_==_": "_==_", "_!=_": "_!=_"}
_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "startsWith": str.startswith,
    "endsWith": str.endswith,
    "contains": operator.contains,
}
_NUMBERS = (int, float)


class Missing:
    """Stands for a value that is not there."""


MISSING = Missing()


def fetch(variables: Mapping[str, Any], path: Path) -> Any:
    """Return the value at `path`, or MISSING."""
    value: Any = variables
    for name in path:
        if isinstance(value, dict):
            value = value.get(name, MISSING)
        else:
            return MISSING
    return value


def compile_test(node: Node) -> Test | None:
    """Return a closure for `node`, or None when its shape is not a common one."""
    if isinstance(node, Const):
        return _constant(node)
    if isinstance(node, Select) and node.test:
        return _presence(node)
    if isinstance(node, Call):
        return _call(node)
    path = syntax.path_of(node)
    return None if path is None else _flag(path)


def _call(node: Call) -> Test | None:
    name = node.function
    if name in _CONNECTIVES:
        parts = [compile_test(arg) for arg in node.args]
        tests = [part for part in parts if part is not None]
        return _CONNECTIVES[name](*tests) if len(tests) == len(parts) else None
    if name in _MIRRORED:
        return _comparison(name, *node.args)
    if name == "@in":
        return _membership(*node.args)
    if name in _TEXT_TESTS and node.target is not None:
        return _text(name, node.target, node.args[0])
    path = syntax.path_of(node)
    return None if path is None else _flag(path)


def _constant(node: Const) -> Test | None:
    if node.kind != "bool":
        return None
    value: bool = node.value
    return lambda variables: value  # noqa: ARG005 - every test takes the variables


def _flag(path: Path) -> Test:
    def test(variables: Mapping[str, Any]) -> bool | None:
        value = fetch(variables, path)
        return value if isinstance(value, bool) else None

    return test


def _presence(node: Select) -> Test | None:
    path = syntax.path_of(node.operand)
    if path is None:
        return None
    field = node.field

    def test(variables: Mapping[str, Any]) -> bool | None:
        value = fetch(variables, path)
        return field in value if isinstance(value, dict) else None

    return test


def _both(left: Test, right: Test) -> Test:
    def test(variables: Mapping[str, Any]) -> bool | None:
        first = left(variables)
        if first is False:
            return False
        second = right(variables)
        if second is False:
            return False
        return None if first is None else second

    return test


def _either(left: Test, right: Test) -> Test:
    def test(variables: Mapping[str, Any]) -> bool | None:
        first = left(variables)
        if first is True:
            return True
        second = right(variables)
        if second is True:
            return True
        return None if first is None else second

    return test


def _negation(inner: Test) -> Test:
    def test(variables: Mapping[str, Any]) -> bool | None:
        value = inner(variables)
        return None if value is None else not value

    return test


def _comparison(name: str, left: Node, right: Node) -> Test | None:
    if isinstance(left, Const):
        name, left, right = _MIRRORED[name], right, left
    path = syntax.path_of(left)
    if path is None or not isinstance(right, Const) or not _exact(right):
        return None
    if name in _ORDERS:
        return _order(path, name, right)
    equal = _equality(path, right)
    return equal if name == "_==_" else _negation(equal)


def _exact(literal: Const) -> bool:
    """Return whether Python compares this literal exactly as CEL does."""
    if literal.kind in ("int", "double"):
        return bool(abs(literal.value) <= _EXACT_NUMBER_MAX)
    return literal.kind in ("string", "bool", "null")


def _order(path: Path, name: str, literal: Const) -> Test | None:
    compare, limit = _ORDERS[name], literal.value
    if literal.kind not in ("int", "double", "string"):
        return None
    kinds = (str,) if literal.kind == "string" else _NUMBERS

    def test(variables: Mapping[str, Any]) -> bool | None:
        value = fetch(variables, path)
        return bool(compare(value, limit)) if type(value) in kinds else None

    return test


def _equality(path: Path, literal: Const) -> Test:
    wanted = literal.value

    def test(variables: Mapping[str, Any]) -> bool | None:
        value = fetch(variables, path)
        if value is MISSING:
            return None
        return _same(value, wanted)

    return test


def _same(value: Any, wanted: Any) -> bool | None:
    kind = type(value)
    if kind in _NUMBERS and type(wanted) in _NUMBERS:
        return bool(value == wanted)
    if kind in (str, bool, int, float, type(None), dict, list):
        return kind is type(wanted) and bool(value == wanted)
    return None


def _membership(item: Node, container: Node) -> Test | None:
    path = syntax.path_of(item)
    if path is not None and isinstance(container, ListOf):
        return _one_of(path, container)
    path = syntax.path_of(container)
    if path is not None and isinstance(item, Const) and _exact(item) and item.kind == "string":
        return _holds(path, item.value)
    return None


def _one_of(path: Path, container: ListOf) -> Test | None:
    wanted: list[Any] = []
    for element in container.elements:
        if not isinstance(element, Const) or not _exact(element):
            return None
        wanted.append(element.value)
    texts = frozenset(one for one in wanted if isinstance(one, str))

    def test(variables: Mapping[str, Any]) -> bool | None:
        value = fetch(variables, path)
        if isinstance(value, str):
            return value in texts
        if value is MISSING:
            return None
        answers = [_same(value, one) for one in wanted]
        return True if True in answers else (None if None in answers else False)

    return test


def _holds(path: Path, key: str) -> Test:
    def test(variables: Mapping[str, Any]) -> bool | None:
        value = fetch(variables, path)
        if isinstance(value, dict):
            return key in value
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return key in value
        return None

    return test


def _text(name: str, target: Node, part: Node) -> Test | None:
    path = syntax.path_of(target)
    if path is None or not isinstance(part, Const) or part.kind != "string":
        return None
    wanted, check = part.value, _TEXT_TESTS[name]

    def test(variables: Mapping[str, Any]) -> bool | None:
        value = fetch(variables, path)
        return check(value, wanted) if isinstance(value, str) else None

    return test


_CONNECTIVES: dict[str, Callable[..., Test]] = {"_&&_": _both, "_||_": _either, "!_": _negation}

"""The syntax tree of a CEL expression, read from the compiled form that Google's compiler gives.

Only the parts that the rest of `core.match` looks at are kept: constants, names, field selections, calls, lists and
comprehensions. The compiled form is the protocol buffer `cel.expr.CheckedExpr`; its wire format is read here directly,
so that no generated classes are needed.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import msgspec

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_SHIFT = 63
_ANY_VALUE = 2
_CHECKED_EXPR = 4
_CONST, _IDENT, _SELECT, _CALL, _LIST, _STRUCT, _LOOP = 3, 4, 5, 6, 7, 8, 9

_LITERALS: dict[int, tuple[str, Callable[[Any], Any]]] = {
    1: ("null", lambda _: None),
    2: ("bool", bool),
    3: ("int", lambda raw: raw - (1 << 64) if raw >> 63 else raw),
    4: ("uint", int),
    5: ("double", lambda raw: struct.unpack("<d", raw)[0]),
    6: ("string", bytes.decode),
    7: ("bytes", bytes),
}

Fields: TypeAlias = dict[int, list[Any]]
Path: TypeAlias = tuple[str, ...]


class Const(msgspec.Struct, frozen=True):
    """A literal. `kind` is `null bool int uint double string bytes`."""

    value: Any
    kind: str


class Ident(msgspec.Struct, frozen=True):
    """A variable."""

    name: str


class Select(msgspec.Struct, frozen=True):
    """`operand.field`, or `has(operand.field)` when `test` is true."""

    operand: Node
    field: str
    test: bool


class Call(msgspec.Struct, frozen=True):
    """`function(args)` or `target.function(args)`; operators are functions named like `_&&_`."""

    target: Node | None
    function: str
    args: tuple[Node, ...]


class ListOf(msgspec.Struct, frozen=True):
    """`[a, b]`."""

    elements: tuple[Node, ...]


class MapOf(msgspec.Struct, frozen=True):
    """`{key: value}`; `parts` holds keys and values in turn."""

    parts: tuple[Node, ...]


class Loop(msgspec.Struct, frozen=True):
    """What a macro (`all exists exists_one map filter`) expands to; `variables` are the names bound inside."""

    variables: tuple[str, ...]
    over: Node
    init: Node
    while_: Node
    step: Node
    result: Node


Node: TypeAlias = Const | Ident | Select | Call | ListOf | MapOf | Loop


def read(serialized: bytes) -> Node:
    """Return the tree of a serialized expression.

    Raises:
        ValueError: the bytes are not a compiled expression.

    """
    checked = _fields(_one(_fields(serialized), _ANY_VALUE))
    return _node(_one(checked, _CHECKED_EXPR))


def children(node: Node) -> tuple[Node, ...]:
    """Return the nodes directly below `node`."""
    if isinstance(node, Select):
        return (node.operand,)
    if isinstance(node, Call):
        return node.args if node.target is None else (node.target, *node.args)
    if isinstance(node, ListOf):
        return node.elements
    if isinstance(node, MapOf):
        return node.parts
    if isinstance(node, Loop):
        return (node.over, node.init, node.while_, node.step, node.result)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """Yield `node` and everything below it."""
    pending = [node]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(children(current))


def path_of(node: Node) -> Path | None:
    """Return ("event", "data", "amount") for `event.data.amount` and `event.data["amount"]`, None for anything else."""
    names: list[str] = []
    current = node
    while True:
        if isinstance(current, Ident):
            names.append(current.name)
            return tuple(reversed(names))
        if isinstance(current, Select) and not current.test:
            names.append(current.field)
            current = current.operand
        elif isinstance(current, Call) and current.function == "_[_]" and _is_string(current.args[1]):
            key = current.args[1]
            assert isinstance(key, Const)
            names.append(key.value)
            current = current.args[0]
        else:
            return None


def paths(node: Node, bound: frozenset[str] = frozenset()) -> Iterator[tuple[Path, bool]]:
    """Yield every path of free variables below `node`; the flag says that its value is read, not only its presence."""
    if isinstance(node, Select) and node.test:
        path = path_of(node.operand)
        if path is not None and path[0] not in bound:
            yield (*path, node.field), False
            return
    path = path_of(node)
    if path is not None:
        if path[0] not in bound:
            yield path, True
        return
    inner = bound.union(node.variables) if isinstance(node, Loop) else bound
    for child in children(node):
        outside = isinstance(node, Loop) and (child is node.over or child is node.init)
        yield from paths(child, bound if outside else inner)


def _is_string(node: Node) -> bool:
    return isinstance(node, Const) and node.kind == "string"


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the top bit says that more bytes follow
            return value, at
        shift += 7
        if shift > _MAX_VARINT_SHIFT:
            raise ValueError("a number in the compiled expression is too long")


def _fields(data: bytes) -> Fields:
    found: Fields = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        number, wire = tag >> 3, tag & 7
        value: Any
        if wire == _VARINT:
            value, at = _varint(data, at)
        elif wire == _BYTES:
            size, at = _varint(data, at)
            value, at = data[at : at + size], at + size
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
            value, at = data[at : at + size], at + size
        else:
            raise ValueError("the compiled expression has an unknown part")
        found.setdefault(number, []).append(value)
    return found


def _one(fields: Fields, number: int) -> bytes:
    values = fields.get(number)
    if not values:
        return b""
    value = values[-1]
    if not isinstance(value, bytes):
        raise ValueError("the compiled expression has a part of the wrong kind")  # noqa: TRY004 - bad bytes, not a bad call
    return value


def _text(fields: Fields, number: int) -> str:
    return _one(fields, number).decode()


def _many(fields: Fields, number: int) -> tuple[Node, ...]:
    return tuple(_node(part) for part in fields.get(number, ()))


def _node(data: bytes) -> Node:
    fields = _fields(data)
    for number, build in _BUILDERS.items():
        if number in fields:
            return build(_fields(_one(fields, number)))
    raise ValueError("the compiled expression has an empty part")


def _const(fields: Fields) -> Node:
    for number, values in fields.items():
        if number in _LITERALS:
            kind, decode = _LITERALS[number]
            return Const(decode(values[-1]), kind)
    raise ValueError("the compiled expression has an unknown literal")


def _ident(fields: Fields) -> Node:
    return Ident(_text(fields, 1).lstrip("."))


def _select(fields: Fields) -> Node:
    return Select(_node(_one(fields, 1)), _text(fields, 2), bool(fields.get(3, [0])[-1]))


def _call(fields: Fields) -> Node:
    target = _node(_one(fields, 1)) if 1 in fields else None
    return Call(target, _text(fields, 2), _many(fields, 3))


def _list(fields: Fields) -> Node:
    return ListOf(_many(fields, 1))


def _struct(fields: Fields) -> Node:
    parts: list[Node] = []
    for entry in fields.get(2, ()):
        inner = _fields(entry)
        parts.extend(_node(_one(inner, number)) for number in (3, 4) if number in inner)
    return MapOf(tuple(parts))


def _loop(fields: Fields) -> Node:
    names = tuple(_text(fields, number) for number in (1, 8, 3) if number in fields)
    over, init, while_, step, result = (_node(_one(fields, number)) for number in (2, 4, 5, 6, 7))
    return Loop(names, over, init, while_, step, result)


_BUILDERS = {
    _CONST: _const, _IDENT: _ident, _SELECT: _select, _CALL: _call, _LIST: _list, _STRUCT: _struct, _LOOP: _loop,
}  # fmt: skip

"""Event patterns in the form of Amazon EventBridge, as an alternative to a CEL condition.

A pattern has the shape of the event: objects name fields, and a list at the end names what the value may be. It matches
when every named field does; of a list in the event one element has to match. `$or` takes several patterns. Operators:
`prefix`, `suffix`, `equals-ignore-case`, `wildcard`, `anything-but`, `numeric`, `cidr`, `exists`.

Source: Amazon EventBridge User Guide, "Creating Amazon EventBridge event patterns" and "Comparison operators".
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from workflow_scheduler.core.match.verdict import Predicate
from workflow_scheduler.core.model.event import EventView
from workflow_scheduler.core.time.clock import to_iso

DEPTH_MAX: Final = 30
VALUES_MAX: Final = 2_000
WILDCARDS_MAX: Final = 20
_OR: Final = "$or"
_ABSENT: Final = object()
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": lambda a, b: a == b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}  # fmt: skip
_Test: TypeAlias = Callable[[Any], bool]


class _Leaf(NamedTuple):
    path: tuple[str, ...]
    expected: Any
    test: _Test
    wants_absence: bool


class _Group(NamedTuple):
    leaves: tuple[_Leaf, ...]
    choices: tuple[tuple[_Group, ...], ...]


class Pattern:
    """A compiled pattern."""

    __slots__ = ("_group",)

    def __init__(self, written: Mapping[str, Any]) -> None:
        """Compile a pattern.

        Raises:
            ValueError: it is not a pattern; the message names the field and what may be written there.

        """
        budget = [VALUES_MAX]
        self._group = _group(written, (), budget)

    def judge(self, view: EventView) -> Predicate:
        """Return the line of the decision: whether the event matches, and the first field that does not."""
        event = view.event
        document = {
            "id": event.id, "source": event.source, "type": event.type, "detail-type": event.type,
            "subject": event.subject, "time": to_iso(event.time), "provider": event.provider,
            "data": view.data, "detail": view.data,
        }  # fmt: skip
        failed = _failure(self._group, document)
        if failed is None:
            return Predicate("pattern", "a match", "a match", verdict=True)
        actual = _find(document, failed.path)
        path = ".".join(failed.path)
        return Predicate(f"pattern {path}", failed.expected, None if actual is _ABSENT else actual, verdict=False,
                         note="the field is missing" if actual is _ABSENT else None)  # fmt: skip


def _group(written: Any, path: tuple[str, ...], budget: list[int]) -> _Group:
    where = ".".join(path) or "the pattern"
    if not isinstance(written, Mapping) or not written:
        message = f"{where}: write an object of fields, or a list of what the value may be"
        raise ValueError(message)
    if len(path) >= DEPTH_MAX:
        message = f"{where}: deeper than {DEPTH_MAX} fields"
        raise ValueError(message)
    leaves: list[_Leaf] = []
    choices: list[tuple[_Group, ...]] = []
    for name, part in written.items():
        if name == _OR and isinstance(part, Sequence) and all(isinstance(one, Mapping) for one in part) and part:
            choices.append(tuple(_group(one, path, budget) for one in part))
        elif isinstance(part, list):
            leaves.append(_leaf((*path, str(name)), part, budget))
        else:
            inner = _group(part, (*path, str(name)), budget)
            leaves += inner.leaves
            choices += inner.choices
    return _Group(tuple(leaves), tuple(choices))


def _leaf(path: tuple[str, ...], written: list[Any], budget: list[int]) -> _Leaf:
    budget[0] -= max(1, len(written))
    if not written or budget[0] < 0:
        what = "an empty list matches nothing" if not written else f"more than {VALUES_MAX} values"
        message = f"{'.'.join(path)}: {what}"
        raise ValueError(message)
    tests = [_test(one, path) for one in written]
    wants_absence = any(isinstance(one, Mapping) and one.get("exists") is False for one in written)
    return _Leaf(path, written, lambda value: any(test(value) for test in tests), wants_absence)


def _test(written: Any, path: tuple[str, ...]) -> _Test:
    if not isinstance(written, Mapping):
        return lambda value: _same(value, written)
    where = ".".join(path)
    if len(written) != 1:
        message = f"{where}: write one operator in each object of the list"
        raise ValueError(message)
    ((name, operand),) = written.items()
    make = _OPERATORS.get(name)
    if make is None:
        message = f"{where}: there is no operator `{name}`; known are {', '.join(_OPERATORS)}"
        raise ValueError(message)
    try:
        return make(operand)
    except (ValueError, TypeError) as error:
        message = f"{where}.{name}: {error}"
        raise ValueError(message) from error


def _same(value: Any, wanted: Any) -> bool:
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    return bool(value == wanted)


def _text(operand: Any) -> str:
    if not isinstance(operand, str) or not operand:
        message = "write a text"
        raise ValueError(message)
    return operand


def _part(operand: Any, holds: Callable[[str, str], bool]) -> _Test:
    """Return the test of `prefix` or `suffix`, with `equals-ignore-case` inside where upper and lower are one."""
    if isinstance(operand, Mapping) and list(operand) == ["equals-ignore-case"]:
        wanted = _text(operand["equals-ignore-case"]).casefold()
        return lambda value: isinstance(value, str) and holds(value.casefold(), wanted)
    plain = _text(operand)
    return lambda value: isinstance(value, str) and holds(value, plain)


def _ignore_case(operand: Any) -> _Test:
    wanted = _text(operand).casefold()
    return lambda value: isinstance(value, str) and value.casefold() == wanted


def _wildcard(operand: Any) -> _Test:
    pieces = _pieces(_text(operand))
    return lambda value: isinstance(value, str) and _fits(value, pieces)


def _pieces(text: str) -> list[str]:
    """Return the texts between the asterisks; a backslash makes an asterisk, or itself, a character."""
    pieces, at = [""], 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text) and text[at + 1] in "\\*":
            pieces[-1] += text[at + 1]
            at += 2
            continue
        if text[at] == "*":
            if at and text[at - 1] == "*" and pieces[-1] == "":
                message = "write no two asterisks beside each other"
                raise ValueError(message)
            pieces.append("")
        else:
            pieces[-1] += text[at]
        at += 1
    if len(pieces) > WILDCARDS_MAX:
        message = f"at most {WILDCARDS_MAX} asterisks"
        raise ValueError(message)
    return pieces


def _fits(value: str, pieces: list[str]) -> bool:
    """Return whether the pieces stand in the value in order, the first and the last one at its ends."""
    if len(pieces) == 1:
        return value == pieces[0]
    first, *middle, last = pieces
    if not value.startswith(first) or len(value) < len(first) + len(last) or not value.endswith(last):
        return False
    at, end = len(first), len(value) - len(last)
    for piece in middle:
        found = value.find(piece, at, end)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def _anything_but(operand: Any) -> _Test:
    if isinstance(operand, Mapping):
        if len(operand) != 1 or not set(operand) <= {"prefix", "suffix", "equals-ignore-case", "wildcard"}:
            message = "write values, or one of prefix, suffix, equals-ignore-case and wildcard"
            raise ValueError(message)
        ((name, given),) = operand.items()
        tests = [_OPERATORS[name](one) for one in _list(given)]
        return lambda value: not any(test(value) for test in tests)
    values = _list(operand)
    if not values or any(isinstance(one, Mapping | list) for one in values):
        message = "write a value or a list of values"
        raise ValueError(message)
    return lambda value: not any(_same(value, one) for one in values)


def _list(operand: Any) -> list[Any]:
    return operand if isinstance(operand, list) else [operand]


def _numeric(operand: Any) -> _Test:
    if not isinstance(operand, list) or not operand or len(operand) % 2:
        message = 'write comparisons and numbers in turns, such as [">", 0, "<=", 5]'
        raise ValueError(message)
    rules: list[tuple[Callable[[float, float], bool], float]] = []
    for sign, number in zip(operand[::2], operand[1::2], strict=True):
        compare = _COMPARE.get(sign) if isinstance(sign, str) else None
        if compare is None or isinstance(number, bool) or not isinstance(number, int | float):
            message = f"`{sign} {number}` is no comparison; write one of {' '.join(_COMPARE)} and a number"
            raise ValueError(message)
        rules.append((compare, number))

    def holds(value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            return False
        return all(compare(value, number) for compare, number in rules)

    return holds


def _cidr(operand: Any) -> _Test:
    network = ipaddress.ip_network(_text(operand), strict=False)

    def holds(value: Any) -> bool:
        try:
            return isinstance(value, str) and ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return holds


def _exists(operand: Any) -> _Test:
    if not isinstance(operand, bool):
        message = "write true or false"
        raise TypeError(message)
    return lambda _: operand


_OPERATORS: Final[Mapping[str, Callable[[Any], _Test]]] = {
    "prefix": lambda operand: _part(operand, str.startswith),
    "suffix": lambda operand: _part(operand, str.endswith),
    "equals-ignore-case": _ignore_case,
    "wildcard": _wildcard,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "cidr": _cidr,
    "exists": _exists,
}


def _failure(group: _Group, document: Any) -> _Leaf | None:
    """Return the first field that does not match; of alternatives that of the last one."""
    for leaf in group.leaves:
        value = _find(document, leaf.path)
        if value is _ABSENT:
            if not leaf.wants_absence:
                return leaf
        elif not _any_element(value, leaf.test):
            return leaf
    for several in group.choices:
        failed: _Leaf | None = None
        for one in several:
            failed = _failure(one, document)
            if failed is None:
                break
        if failed is not None:
            return failed
    return None


def _any_element(value: Any, test: _Test) -> bool:
    return any(test(one) for one in value) if isinstance(value, list) else test(value)


def _find(document: Any, path: tuple[str, ...]) -> Any:
    """Return the value at a path; a list on the way gives the values of all its elements."""
    found = document
    for place, name in enumerate(path):
        if isinstance(found, list):
            inner = [_find(one, path[place:]) for one in found]
            values = [one for one in inner if one is not _ABSENT]
            flat = [part for one in values for part in (one if isinstance(one, list) else [one])]
            return flat or _ABSENT
        if not isinstance(found, Mapping) or name not in found:
            return _ABSENT
        found = found[name]
    return found

"""Bounds that keep every evaluation short: on the text, on the data handed over, and on what an expression can build.

The CEL runtime stops a comprehension after 10,000 steps, but each step may join strings, and joined strings may be
joined again. `growth` is an upper bound of the factor by which an expression can multiply its data; together with the
size of the data it bounds the work before it is begun.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from workflow_scheduler.core.match import syntax
from workflow_scheduler.core.match.lists import COPIES_MAX, Building
from workflow_scheduler.core.match.syntax import Call, Const, Loop, Node, Path
from workflow_scheduler.core.time.clock import from_datetime, to_iso

TEXT_CHARS_MAX = 4_000
STEPS_MAX = 10_000
GROWTH_MAX = 10_000
READ_CHARS_MAX = 16_000_000
BUILT_CHARS_MAX = 2_000_000
VALUES_MAX = 20_000
CHARS_MAX = 1_000_000
DEPTH_MAX = 200
_UNKNOWN_FACTOR = 1_000
_INT64 = 2**63
_PRESENT = "present"
_SCALARS = (bool, int, float, bytes)
Trie: TypeAlias = dict[str, Any]


class TooCostly(Exception):
    """The data is too large for the expression; the text says what was exceeded."""


def growth(node: Node) -> int:
    """Return by which factor at most the expression can multiply the size of its data."""
    outside, factor = 1, 1
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, Loop):
            factor = min(factor * _inside(current), _INT64)
            pending += [current.over, current.init, current.result]
            continue
        outside += _is_join(current)
        factor = min(factor * _multiplier(current), _INT64)
        pending += syntax.children(current)
    return min(outside * factor, _INT64)


def has_loop(node: Node) -> bool:
    """Return whether the expression iterates."""
    return any(isinstance(current, Loop) for current in syntax.walk(node))


def trie_of(node: Node) -> Trie:
    """Return the paths that the expression reads, as a tree; a leaf is None (the value) or a mark (its presence)."""
    trie: Trie = {}
    for path, whole in sorted(syntax.paths(node), key=lambda one: (not one[1], len(one[0]))):
        _plant(trie, path, None if whole else _PRESENT)
    return trie


def select(
    variables: Mapping[str, Any], trie: Trie, *, growth: int, loops: bool, builds: Building | None = None
) -> dict[str, Any]:
    """Return a copy of `variables` that holds only what `trie` names, in types that CEL knows.

    Raises:
        TooCostly: the data is too large for an expression of this growth, or for the lists that it builds.

    """
    meter = _Meter()
    chosen: dict[str, Any] = {}
    for name, below in trie.items():
        if name in variables:
            value = variables[name]
            chosen[name] = value if isinstance(value, dt.datetime) else meter.choose(value, below)
    work = meter.longest * min(meter.values, STEPS_MAX) if loops else meter.chars
    if work * growth > (READ_CHARS_MAX if growth == 1 else BUILT_CHARS_MAX):
        raise TooCostly("the data is too large for this expression")
    if builds is not None:
        copies = builds.copies(meter.longest_list, meter.longest, values=meter.values, steps_max=STEPS_MAX)
        if copies > COPIES_MAX:
            raise TooCostly("the lists are too long to be built by `map` or `filter`")
    return chosen


class _Meter:
    """Copies values and counts what it copies."""

    def __init__(self) -> None:
        self.values = 0
        self.chars = 0
        self.longest = 0
        self.longest_list = 0

    def choose(self, value: Any, below: Trie | str | None) -> Any:
        if below is None:
            return self.copy(value, 0)
        if isinstance(below, str):
            return True
        if isinstance(value, Mapping):
            return {name: self.choose(value[name], part) for name, part in below.items() if name in value}
        if isinstance(value, list):
            return []
        return self.copy(value, 0)

    def copy(self, value: Any, depth: int) -> Any:
        self.values += 1
        if self.values > VALUES_MAX or depth > DEPTH_MAX:
            raise TooCostly(f"the expression reads more than {VALUES_MAX} values, or values nested too deep")
        if isinstance(value, (Mapping, list, tuple)):
            self.longest_list = max(self.longest_list, len(value))
        if isinstance(value, Mapping):
            return {self._text(str(key)): self.copy(part, depth + 1) for key, part in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.copy(part, depth + 1) for part in value]
        return self._scalar(value)

    def _scalar(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, int) and not -_INT64 <= value < _INT64:
            return _as_float(value)
        if isinstance(value, dt.datetime):
            return to_iso(from_datetime(value))
        return value if value is None or isinstance(value, _SCALARS) else self._text(str(value))

    def _text(self, text: str) -> str:
        size = len(text)
        self.chars += size
        if self.chars > CHARS_MAX:
            raise TooCostly(f"the expression reads more than {CHARS_MAX} characters")
        self.longest = max(self.longest, size)
        return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _plant(trie: Trie, path: Path, leaf: str | None) -> None:
    place = trie
    for name in path[:-1]:
        below = place.setdefault(name, {})
        if not isinstance(below, dict):
            if below is None:
                return
            below = place[name] = {}
        place = below
    if leaf is None:
        place[path[-1]] = None
    else:
        place.setdefault(path[-1], leaf)


def _inside(loop: Loop) -> int:
    """Return the factor of one loop: every join in its body may double what it iterates over."""
    joins, factor = 1, 1
    pending = [*_bodies(loop)]
    while pending:
        current = pending.pop()
        if isinstance(current, Loop):
            factor *= _inside(current)
            pending += [current.over, current.init, current.result]
            continue
        joins += _is_join(current)
        factor *= _multiplier(current)
        pending += syntax.children(current)
    return min(joins * factor, _INT64)


def _bodies(loop: Loop) -> tuple[Node, ...]:
    """Return the parts a loop evaluates at each step, without the `accumulator + [x]` that `map` and `filter` add."""
    step = loop.step
    if isinstance(step, Call) and step.function == "_?_:_":
        condition, kept, dropped = step.args
        return (loop.while_, condition, *_appended(loop, kept), *_appended(loop, dropped))
    return (loop.while_, *_appended(loop, step))


def _appended(loop: Loop, node: Node) -> tuple[Node, ...]:
    accumulator = loop.variables[-1]
    if isinstance(node, Call) and node.function == "_+_" and syntax.path_of(node.args[0]) == (accumulator,):
        return (node.args[1],)
    return (node,)


def _is_join(node: Node) -> bool:
    return isinstance(node, Call) and node.function == "_+_"


def _multiplier(node: Node) -> int:
    if not isinstance(node, Call) or node.target is None:
        return 1
    if node.function == "replace":
        return _length(node.args[1])
    if node.function in ("join", "format"):
        literal = node.args[0] if node.function == "join" and node.args else node.target
        return 1 + _length(literal) if node.args else 1
    return 1


def _length(node: Node) -> int:
    if isinstance(node, Const) and isinstance(node.value, str):
        return max(1, len(node.value))
    return _UNKNOWN_FACTOR

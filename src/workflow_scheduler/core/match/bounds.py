"""Bounds that keep every evaluation short: on the text, on the data handed over, and on what an expression can build.

The CEL runtime stops a comprehension after 10,000 steps, but each step may join strings, and joined strings may be
joined again. `growth` is an upper bound of the factor by which an expression can multiply its data; together with the
size of the data it bounds the work before it is begun.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, TypeAlias

from workflow_scheduler.core.match import syntax
from workflow_scheduler.core.match.lists import COPIES_MAX, Building
from workflow_scheduler.core.match.reading import Meter, TooCostly
from workflow_scheduler.core.match.syntax import Call, Const, Loop, Node, Path

TEXT_CHARS_MAX = 4_000
STEPS_MAX = 10_000
GROWTH_MAX = 10_000
READ_CHARS_MAX = 16_000_000
BUILT_CHARS_MAX = 2_000_000
_UNKNOWN_FACTOR = 1_000
_INT64 = 2**63
_PRESENT = "present"
Trie: TypeAlias = dict[str, Any]


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
    """Return of `variables` only what `trie` names, in types that CEL knows; plain JSON is not copied.

    Raises:
        TooCostly: the data is too large for an expression of this growth, or for the lists that it builds.

    """
    meter = Meter()
    chosen: dict[str, Any] = {}
    for name, below in trie.items():
        if name in variables:
            value = variables[name]
            chosen[name] = value if isinstance(value, dt.datetime) else _chosen(meter, value, below)
    work = meter.longest * min(meter.values, STEPS_MAX) if loops else meter.chars
    if work * growth > (READ_CHARS_MAX if growth == 1 else BUILT_CHARS_MAX):
        raise TooCostly("the data is too large for this expression")
    if builds is not None:
        copies = builds.copies(meter.longest_list, meter.longest, values=meter.values, steps_max=STEPS_MAX)
        if copies > COPIES_MAX:
            raise TooCostly("the lists are too long to be built by `map` or `filter`")
    return chosen


def _chosen(meter: Meter, value: Any, below: Trie | str | None) -> Any:
    if isinstance(below, str):
        return True
    if below is not None and isinstance(value, Mapping):
        return {name: _chosen(meter, value[name], part) for name, part in below.items() if name in value}
    return [] if below is not None and isinstance(value, list) else meter.read(value)


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

"""How much work `map` and `filter` may be: the CEL runtime copies the list so far for every element it appends.

A list of n elements therefore costs n * n / 2 copies, and several thousand elements would hold everything up for
seconds. The copies are bounded before the evaluation begins, from the form of the expression and the longest list.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from workflow_scheduler.core.match import syntax
from workflow_scheduler.core.match.syntax import Call, ListOf, Loop, Node

COPIES_MAX = 300_000
"""Appended elements times the length of the list; 16 to 26 ns each."""


class Building(msgspec.Struct, frozen=True):
    """What an expression builds lists from.

    `loops` is how many loops append, `parts` how many of them go over parts of what a loop around them goes over or
    stand inside one that does, `depth` how many loops stand around them that go over something of their own, `literal`
    the longest list written out, `joined` how many joins and splits there are in what loops go over; characters count
    as elements then.
    """

    loops: int
    depth: int
    parts: int
    literal: int
    joined: int

    def copies(self, longest_list: int, longest_text: int, *, values: int, steps_max: int) -> int:
        """Return an upper bound of the copies, for data with `values` values in all."""
        length = max(longest_list, self.literal, min(longest_text + 1, steps_max) if self.joined else 0)
        length = min(length * (1 + self.joined), steps_max)
        appended = (self.loops - self.parts) * length + self.parts * max(length, values)
        around = int(length ** (self.depth - 1))
        return min(appended * around, steps_max) * length


class _Place(NamedTuple):
    """Where a node stands: in how many loops of their own, in one over parts, and the names they bind."""

    level: int = 0
    in_part: bool = False
    bound: frozenset[str] = frozenset()


def building(node: Node) -> Building | None:
    """Return what `node` builds lists from, or None when none of its loops appends."""
    loops, parts, depth, literal, joined = 0, 0, 1, 0, 0
    pending: list[tuple[Node, _Place]] = [(node, _Place())]
    while pending:
        current, place = pending.pop()
        if isinstance(current, ListOf):
            literal = max(literal, len(current.elements))
        if not isinstance(current, Loop):
            pending += [(below, place) for below in syntax.children(current)]
            continue
        is_part = _is_part(current.over, place.bound)
        inside = _Place(place.level + (not is_part), place.in_part or is_part, place.bound | set(current.variables))
        if _appends(current):
            loops += 1
            parts += inside.in_part
            depth = max(depth, inside.level)
        joined += sum(_makes_lists(below) - _appends(below) for below in syntax.walk(current.over))
        pending += [(part, place) for part in (current.over, current.init, current.result)]
        pending += [(part, inside) for part in (current.while_, current.step)]
    return Building(loops, depth, parts, literal, joined) if loops else None


def _is_part(over: Node, bound: frozenset[str]) -> bool:
    """Return whether a loop goes over a part of what one around it goes over: together they see each value once."""
    path = syntax.path_of(over)
    return path is not None and path[0] in bound


def _makes_lists(node: Node) -> bool:
    return isinstance(node, Call) and node.function in {"split", "_+_"}


def _appends(node: Node) -> bool:
    """Return whether a loop builds a list; its `accumulator + [x]` is the one join in it that joins no lists."""
    return isinstance(node, Loop) and isinstance(node.init, ListOf)

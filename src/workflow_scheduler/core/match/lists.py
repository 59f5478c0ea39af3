"""How much work `map` and `filter` may be: the CEL runtime copies the list so far for every element it appends.

A list of n elements therefore costs n * n / 2 copies, and several thousand elements would hold everything up for
seconds. The copies are bounded before the evaluation begins, from the form of the expression and the longest list.
"""

from __future__ import annotations

import msgspec

from workflow_scheduler.core.match import syntax
from workflow_scheduler.core.match.syntax import Call, ListOf, Loop, Node

COPIES_MAX = 500_000
"""Appended elements times the length of the list; about 16 ns each."""


class Building(msgspec.Struct, frozen=True):
    """What an expression builds lists from.

    `loops` is how many loops append, `depth` how many loops stand around them that go over something of their own,
    `parts` whether a loop goes over parts of what another goes over, `literal` the longest list written out, `joined`
    how many joins and splits there are in what loops go over; characters count as elements then.
    """

    loops: int
    depth: int
    parts: bool
    literal: int
    joined: int

    def copies(self, longest_list: int, longest_text: int, *, values: int, steps_max: int) -> int:
        """Return an upper bound of the copies, for data with `values` values in all."""
        length = max(longest_list, self.literal, min(longest_text + 1, steps_max) if self.joined else 0)
        length = min(length * (1 + self.joined), steps_max)
        appended = max(length, values) if self.parts else length
        around = int(length ** (self.depth - 1))
        return min(self.loops * appended * around, steps_max) * length


def building(node: Node) -> Building | None:
    """Return what `node` builds lists from, or None when none of its loops appends."""
    loops, depth, literal, joined, parts = 0, 1, 0, 0, False
    pending: list[tuple[Node, int, frozenset[str]]] = [(node, 0, frozenset())]
    while pending:
        current, level, bound = pending.pop()
        if isinstance(current, ListOf):
            literal = max(literal, len(current.elements))
        if not isinstance(current, Loop):
            pending += [(below, level, bound) for below in syntax.children(current)]
            continue
        is_part = _is_part(current.over, bound)
        parts = parts or is_part
        inside = level + (not is_part)
        if isinstance(current.init, ListOf):
            loops += 1
            depth = max(depth, inside)
        joined += sum(_makes_lists(below) for below in syntax.walk(current.over))
        names = bound | set(current.variables)
        pending += [(part, level, bound) for part in (current.over, current.init, current.result)]
        pending += [(part, inside, names) for part in (current.while_, current.step)]
    return Building(loops, depth, parts, literal, joined) if loops else None


def _is_part(over: Node, bound: frozenset[str]) -> bool:
    """Return whether a loop goes over a part of what one around it goes over: together they see each value once."""
    path = syntax.path_of(over)
    return path is not None and path[0] in bound


def _makes_lists(node: Node) -> bool:
    return isinstance(node, Call) and node.function in {"split", "_+_"}

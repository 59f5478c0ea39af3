"""Cycles between workflows: workflows that start each other when they end."""

from __future__ import annotations

from collections.abc import Collection, Mapping


def find_cycle(start: str, upstreams: Mapping[str, Collection[str]]) -> list[str] | None:
    """Return a way from `start` through its upstreams back to itself, or None.

    The path is in the order of the runs: each workflow starts the one after it, first and last are `start`.
    """
    came_from: dict[str, str] = {}
    waiting = [start]
    while waiting:
        current = waiting.pop()
        for upstream in sorted(upstreams.get(current, ())):
            if upstream == start:
                path = [start, current]
                while path[-1] != start:
                    path.append(came_from[path[-1]])
                return path
            if upstream not in came_from:
                came_from[upstream] = current
                waiting.append(upstream)
    return None

"""Structured differences between two plain JSON values."""

from __future__ import annotations

from typing import Any

_ABSENT = object()


def changes(before: Any, after: Any) -> list[dict[str, Any]]:
    """Return every difference as `{path, op, before, after}`; `op` is `added`, `removed` or `changed`.

    Mappings are compared key by key in the order of `after`; lists and scalars are compared as a whole.
    """
    found: list[dict[str, Any]] = []
    _compare([], before, after, found)
    return found


def _compare(path: list[str], before: Any, after: Any, found: list[dict[str, Any]]) -> None:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in [*after, *(key for key in before if key not in after)]:
            _compare([*path, key], before.get(key, _ABSENT), after.get(key, _ABSENT), found)
    elif before is _ABSENT:
        found.append({"path": path, "op": "added", "after": after})
    elif after is _ABSENT:
        found.append({"path": path, "op": "removed", "before": before})
    elif before != after or type(before) is not type(after):
        found.append({"path": path, "op": "changed", "before": before, "after": after})

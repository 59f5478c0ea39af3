"""Name patterns as in `fnmatch`: `*` any characters, `?` one, `[abc]` and `[!abc]` one of a set; case counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import re2

from workflow_scheduler.core.match.pattern import compile_pattern

_SPECIAL = frozenset("*?[")
_CACHED_NAMES = 20_000


def is_pattern(text: str) -> bool:
    """Return whether `text` has a wildcard."""
    return not _SPECIAL.isdisjoint(text)


def name_matches(pattern: str, text: str) -> bool:
    """Return whether all of `text` fits `pattern`.

    Raises:
        ValueError: the pattern is not valid.

    """
    return compile_name(pattern)(text)


@lru_cache(_CACHED_NAMES)
def compile_name(pattern: str) -> Callable[[str], bool]:
    """Return a test for names, from a bounded cache; plain string tests where they suffice.

    Raises:
        ValueError: the pattern is too long.

    """
    if not is_pattern(pattern):
        return pattern.__eq__
    if "?" not in pattern and "[" not in pattern:
        simple = _simple(pattern)
        if simple is not None:
            return simple
    return compile_pattern(_expression(pattern)).fullmatch


def _simple(pattern: str) -> Callable[[str], bool] | None:
    parts = pattern.split("*")
    if len(parts) == 2:  # noqa: PLR2004 - one star
        head, tail = parts
        least = len(head) + len(tail)
        return lambda text: len(text) >= least and text.startswith(head) and text.endswith(tail)
    if len(parts) == 3 and not parts[0] and not parts[2]:  # noqa: PLR2004 - a star on both sides
        middle = parts[1]
        return lambda text: middle in text
    return None


def _expression(pattern: str) -> str:
    parts = ["(?s)"]
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            parts.append(".*")
        elif char == "?":
            parts.append(".")
        elif char == "[" and (end := _set_end(pattern, at)) is not None:
            parts.append(_set(pattern[at:end]))
            at = end + 1
        else:
            parts.append(re2.escape(char))
    return "".join(parts)


def _set_end(pattern: str, at: int) -> int | None:
    """Return where the set that begins at `at` ends; None when it is not closed and `[` stands for itself."""
    first = at + (pattern[at : at + 1] == "!")
    end = pattern.find("]", first + 1)
    return None if end < 0 else end


def _set(body: str) -> str:
    negated = body.startswith("!")
    escaped = "".join("\\" + char if char in "\\[]^&" else char for char in body[negated:])
    return f"[{'^' if negated else ''}{escaped}]"

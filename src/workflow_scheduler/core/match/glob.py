r"""Filter patterns for branches, tags and paths, by GitHub's rules.

`*` matches any characters but `/`, `**` any at all (and `**/` also nothing), `?` zero or one and `+` one or more of the
character before it, `[…]` one character of a set, `\` takes the next character as it is. In a list the order counts:
a later pattern overrules an earlier one, and `!` takes out what it matches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeAlias

import re2

from workflow_scheduler.core.match.pattern import compile_pattern

Test: TypeAlias = Callable[[str], bool]

PATTERN_CHARS_MAX = 500
PATTERNS_MAX = 1_000
_SPECIAL = frozenset("*?+[\\")
_CACHED_GLOBS = 50_000
_CACHED_LISTS = 50_000


class GlobList:
    """An ordered list of patterns. `literals` are its names when it holds nothing but plain names, else None."""

    __slots__ = ("_rules", "literals", "patterns")

    def __init__(self, patterns: tuple[str, ...]) -> None:
        """Compile `patterns`.

        Raises:
            ValueError: a pattern is not valid, or none is positive.

        """
        if len(patterns) > PATTERNS_MAX:
            raise ValueError(f"at most {PATTERNS_MAX} patterns are allowed")
        if patterns and all(pattern.startswith("!") for pattern in patterns):
            raise ValueError("a list of patterns needs at least one that does not begin with `!`")
        self.patterns = patterns
        self._rules = tuple((not one.startswith("!"), compile_glob(one.removeprefix("!"))) for one in patterns)
        plain = all(_SPECIAL.isdisjoint(one) and not one.startswith("!") for one in patterns)
        self.literals = frozenset(patterns) if plain else None

    def matches(self, text: str) -> bool:
        """Return whether the last pattern that fits `text` is a positive one."""
        if self.literals is not None:
            return text in self.literals
        for positive, test in reversed(self._rules):
            if test(text):
                return positive
        return False

    def any(self, texts: Iterable[str]) -> str | None:
        """Return the first of `texts` that matches, or None."""
        for text in texts:
            if self.matches(text):
                return text
        return None


@lru_cache(_CACHED_LISTS)
def compile_globs(patterns: tuple[str, ...]) -> GlobList:
    """Return the compiled list, from a bounded cache.

    Raises:
        ValueError: a pattern is not valid, or none is positive.

    """
    return GlobList(patterns)


@lru_cache(_CACHED_GLOBS)
def compile_glob(pattern: str) -> Test:
    """Return a test for one pattern (without `!`), from a bounded cache; plain string tests where they suffice.

    Raises:
        ValueError: the pattern is not valid.

    """
    if not pattern or len(pattern) > PATTERN_CHARS_MAX:
        raise ValueError(f"a pattern has 1 to {PATTERN_CHARS_MAX} characters")
    return _simple(pattern) or compile_pattern(_expression(pattern)).fullmatch


def _simple(pattern: str) -> Test | None:
    """Return string tests for `name`, `**`, `prefix*`, `dir/**`, `*.ext`, `**.ext` and `**/*.ext`."""
    if _is_plain(pattern):
        return pattern.__eq__
    head = pattern.rstrip("*")
    stars = len(pattern) - len(head)
    if stars in (1, 2) and _is_plain(head):
        return _prefix(head, crosses=stars == 2)  # noqa: PLR2004 - two stars cross
    tail = pattern.lstrip("*")
    stars = len(pattern) - len(tail)
    if tail.startswith("/*") and stars == 2 and _is_plain(tail[2:]):  # noqa: PLR2004 - two stars cross
        ending = tail[2:]
        return None if "/" in ending else lambda text: text.endswith(ending)
    if stars in (1, 2) and _is_plain(tail) and not tail.startswith("/"):
        return _suffix(tail, crosses=stars == 2)  # noqa: PLR2004 - two stars cross
    return None


def _is_plain(text: str) -> bool:
    return _SPECIAL.isdisjoint(text)


def _prefix(head: str, *, crosses: bool) -> Test:
    if crosses:
        return lambda text: text.startswith(head)
    size = len(head)
    return lambda text: text.startswith(head) and "/" not in text[size:]


def _suffix(tail: str, *, crosses: bool) -> Test:
    if crosses:
        return lambda text: text.endswith(tail)
    size = len(tail)
    return lambda text: text.endswith(tail) and "/" not in text[: len(text) - size]


def _expression(pattern: str) -> str:
    parts: list[str] = []
    at, repeatable = 0, False
    while at < len(pattern):
        char = pattern[at]
        if char in "?+":
            if not repeatable:
                raise ValueError(
                    f"`{char}` in `{pattern}` must follow a character; write `\\{char}` for the sign itself"
                )
            parts.append(char)
            at, repeatable = at + 1, False
        elif char == "*":
            text, at = _stars(pattern, at)
            parts.append(text)
            repeatable = False
        else:
            text, at = _one(pattern, at)
            parts.append(text)
            repeatable = True
    return "(?s)" + "".join(parts)


def _stars(pattern: str, at: int) -> tuple[str, int]:
    if pattern.startswith("**/", at) and (at == 0 or pattern[at - 1] == "/"):
        return "(?:.*/)?", at + 3
    if pattern.startswith("**", at):
        return ".*", at + 2
    return "[^/]*", at + 1


def _one(pattern: str, at: int) -> tuple[str, int]:
    char = pattern[at]
    if char == "\\":
        if at + 1 == len(pattern):
            raise ValueError(f"`{pattern}` ends with a lone `\\`")
        return re2.escape(pattern[at + 1]), at + 2
    if char != "[":
        return re2.escape(char), at + 1
    end = pattern.find("]", at + 2)
    if end < 0:
        raise ValueError(f"`[` in `{pattern}` is not closed by `]`")
    body = "".join("\\" + one if one in "\\[]^&" else one for one in pattern[at + 1 : end])
    return f"[{body}]", end + 1

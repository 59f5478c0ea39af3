"""What a workflow waits for: members joined by `and`, `or` and `at_least(n, …)`, read from text.

    sales and (stock or costs)
    at_least(2, sales, stock, costs) and rates

There is no `not`: what has not come yet may still come, so that its absence holds only once a window is over, which is
what `on_miss` answers. What is needed therefore never stops holding because another member arrives, and the order in
which members arrive makes no difference.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec
import re2

DEPTH_MAX = 20
TEXT_MAX = 2_000
_TOKEN = re2.compile(r"\s*(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)|(.))")


class Need(msgspec.Struct, frozen=True):
    """At least `count` of `parts` (members by name, or needs of their own)."""

    count: int
    parts: tuple[Need | str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Every member that is named, once."""
        return tuple(dict.fromkeys(_names(self)))


def holds(need: Need | str, arrived: Collection[str]) -> bool:
    """Return whether what is needed is there."""
    if isinstance(need, str):
        return need in arrived
    return sum(holds(part, arrived) for part in need.parts) >= need.count


def lacking(need: Need | str, arrived: Collection[str]) -> str:
    """Return in words what is still missing; empty when nothing is."""
    if isinstance(need, str):
        return "" if need in arrived else need
    missing = [text for part in need.parts if (text := lacking(part, arrived))]
    wanted = need.count - (len(need.parts) - len(missing))
    if wanted <= 0:
        return ""
    if wanted == len(missing):
        return ", ".join(missing)
    options = [f"({text})" if "," in text or " or " in text else text for text in missing]
    return " or ".join(options) if wanted == 1 else f"{wanted} of: {', '.join(options)}"


def absent(need: Need, arrived: Collection[str]) -> list[str]:
    """Return the members that have not come and would still help."""
    return list(dict.fromkeys(_absent(need, arrived)))


def read(text: str) -> Need:
    """Return what a text asks for.

    Raises:
        ValueError: it cannot be read; the message says where.

    """
    if len(text) > TEXT_MAX:
        raise ValueError(f"write at most {TEXT_MAX} characters")
    reader = _Reader(text)
    need = reader.either(0)
    if reader.token:
        raise ValueError(f"`{reader.token}` at character {reader.at} is not expected here; write `and` or `or`")
    return need if isinstance(need, Need) else Need(1, (need,))


def _names(need: Need | str) -> Iterator[str]:
    if isinstance(need, str):
        yield need
        return
    for part in need.parts:
        yield from _names(part)


def _absent(need: Need | str, arrived: Collection[str]) -> Iterator[str]:
    if isinstance(need, str):
        if need not in arrived:
            yield need
    elif not holds(need, arrived):
        for part in need.parts:
            yield from _absent(part, arrived)


class _Reader:
    """Reads one text, a token at a time."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self.token, self.at = "", 0
        self._next()

    def _next(self) -> str:
        before = self.token
        self.token, self.at = next(self._tokens, ("", self.at + len(before)))
        return before

    def either(self, depth: int) -> Need | str:
        """Read parts that are joined by `or`."""
        parts = [self._both(depth)]
        while self.token == "or":  # noqa: S105 -- a word of the grammar
            self._next()
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else Need(1, tuple(parts))

    def _both(self, depth: int) -> Need | str:
        parts = [self._one(depth)]
        while self.token == "and":  # noqa: S105 -- a word of the grammar
            self._next()
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else Need(len(parts), tuple(parts))

    def _one(self, depth: int) -> Need | str:
        if depth >= DEPTH_MAX:
            raise ValueError(f"parentheses are nested more than {DEPTH_MAX} deep")
        at, token = self.at, self._next()
        if token == "(":  # noqa: S105 -- a sign of the grammar
            inner = self.either(depth + 1)
            self._expect(")")
            return inner
        if token == "at_least":  # noqa: S105 -- a word of the grammar
            return self._some(depth)
        if token in {"not", "!"}:
            raise ValueError("there is no `not`: what has not come yet may still come; use `on_miss` with a window")
        if not token or token in {"and", "or"} or not (token[0].isalnum() or token[0] == "_"):
            raise ValueError(f"a member is missing at character {at}")
        return token

    def _some(self, depth: int) -> Need:
        self._expect("(")
        at, count = self.at, self._next()
        if not count.isdecimal() or not count.isascii():
            raise ValueError(f"a number is missing at character {at}: at_least(2, a, b, c)")
        parts: list[Need | str] = []
        while self.token == ",":  # noqa: S105 -- a sign of the grammar
            self._next()
            parts.append(self.either(depth + 1))
        self._expect(")")
        if not 1 <= int(count[:9]) <= len(parts):
            raise ValueError(f"at_least({count}, …) needs a number from 1 to the number of its members, {len(parts)}")
        return Need(int(count), tuple(parts))

    def _expect(self, token: str) -> None:
        at, found = self.at, self._next()
        if found != token:
            raise ValueError(f"`{token}` is missing at character {at}")


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    text = text.replace("&&", " and ").replace("||", " or ").rstrip()
    place = 0
    while place < len(text):
        found = _TOKEN.match(text, place)
        if found is None:  # a line break at the end
            return
        word = found[1] or found[2]
        yield word, found.end() - len(word) + 1
        place = found.end()

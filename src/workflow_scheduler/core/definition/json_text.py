"""Strict JSON to plain values with positions. Positions are worked out only when a mistake has to be shown."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import msgspec

from workflow_scheduler.core.definition.document import (
    DEPTH_MAX,
    INTEGER_BITS,
    NODES_MAX,
    Document,
    Path,
    Place,
    Places,
    invalid,
    line_and_column,
    text_error,
)
from workflow_scheduler.core.errors import DefinitionInvalid, FieldError

_TOKEN = re.compile(r'[\[\]{},:]|"(?:[^"\\]|\\.)*"|[^\s\[\]{},:"]+')
_BYTE = re.compile(r"\(byte (\d+)\)$")


def is_json(text: str) -> bool:
    """Return whether a text is JSON, however deep or large."""
    try:
        msgspec.json.decode(text)
    except RecursionError:
        return True
    except (msgspec.MsgspecError, ValueError):
        return False
    return True


def parse_json(text: str) -> Document:
    """Return the document of a JSON text.

    Raises:
        DefinitionInvalid: the text is not JSON, or passes a bound.

    """
    try:
        msgspec.json.decode(text)
        duplicates: list[str] = []
        value = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, duplicates))
    except RecursionError as error:
        raise _refused(f"values are nested more than {DEPTH_MAX} deep") from error
    except (msgspec.DecodeError, ValueError) as error:
        raise _refused(_BYTE.sub("", str(error)).strip(), *_error_place(text, str(error))) from error
    _check_bounds(value)

    @cache
    def places() -> Places:
        return _scan(text)[0]

    repeated = _scan(text)[1] if duplicates else []
    return Document(value, places, tuple(repeated))


def _object(pairs: list[tuple[str, Any]], duplicates: list[str]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        duplicates.append("duplicate")
    return found


def _refused(message: str, line: int | None = None, column: int | None = None) -> DefinitionInvalid:
    return invalid([text_error(f"not valid JSON: {message}", line, column)])


def _error_place(text: str, message: str) -> Place:
    match = _BYTE.search(message)
    before = text.encode()[: int(match[1])].decode(errors="ignore") if match else text
    return line_and_column(text, len(before))


def check_value(value: Any) -> None:
    """Refuse a value that came without text and passes a bound.

    Raises:
        DefinitionInvalid: it is too deep or too large, or holds text that cannot be stored.

    """
    _check_bounds(value)


def _check_bounds(value: Any) -> None:
    level, nodes = [value], 0
    for _ in range(DEPTH_MAX + 1):
        nodes += len(level)
        if nodes > NODES_MAX:
            raise _refused(f"the file holds more than {NODES_MAX:,} values")
        below: list[Any] = []
        for item in level:
            below.extend(_children(item))
        if not below:
            return
        level = below
    raise _refused(f"values are nested more than {DEPTH_MAX} deep")


def _children(item: Any) -> list[Any]:
    if isinstance(item, dict):
        return [*item.keys(), *item.values()]
    if isinstance(item, list):
        return item
    if isinstance(item, str) and ("\x00" in item or not _encodable(item)):
        raise _refused("a text holds NUL or half of a surrogate pair, which cannot be stored")
    if isinstance(item, int) and item.bit_length() > INTEGER_BITS:
        raise _refused(f"the number {str(item)[:12]}… is too large; write it in quotes")
    return []


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Walk:
    """Follows the tokens of a text that is known to be valid JSON."""

    def __init__(self) -> None:
        """Begin before the first token."""
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.repeated: list[FieldError] = []
        self._containers: list[tuple[Path, bool]] = []  # path, and whether it is an object
        self._path: Path = ()
        self._wants_key = False

    def step(self, symbol: str, place: Place) -> None:
        """Take the next token."""
        if symbol in "{[":
            self.values[self._path] = place
            self._containers.append((self._path, symbol == "{"))
            self._wants_key = symbol == "{"
            self._path = (*self._path, 0)
        elif symbol in "}]":
            self._path = self._containers.pop()[0]
            self._wants_key = False
        elif symbol == ",":
            parent, self._wants_key = self._containers[-1]
            if not self._wants_key:
                self._path = (*parent, int(self._path[-1]) + 1)
        elif symbol == ":":
            self._wants_key = False
        elif self._wants_key:
            self._key(symbol, place)
        else:
            self.values[self._path] = place

    def _key(self, symbol: str, place: Place) -> None:
        self._path = (*self._containers[-1][0], json.loads(symbol))
        if self._path in self.keys:
            first = self.keys[self._path][0]
            message = f"the key `{self._path[-1]}` is there twice; it was given first in line {first}"
            self.repeated.append(text_error(message, *place))
        else:
            self.keys[self._path] = place


def _scan(text: str) -> tuple[Places, list[FieldError]]:
    walk = _Walk()
    line, line_start, seen = 1, 0, 0
    for match in _TOKEN.finditer(text):
        start = match.start()
        line += text.count("\n", seen, start)
        line_start = max(line_start, text.rfind("\n", seen, start) + 1)
        seen = start
        walk.step(match[0], (line, start - line_start + 1))
    return Places(walk.keys, walk.values), walk.repeated

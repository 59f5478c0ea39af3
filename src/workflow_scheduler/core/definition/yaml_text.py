"""YAML 1.2 (core schema) to plain JSON values with positions, within bounds.

The values are built from the parser's events, so that depth, size and aliases are bounded while reading. `on`, `yes`
and `no` are texts, as YAML 1.2 has it; dates stay texts; `<<` merges mappings; tags other than the core schema's are
refused.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any, Never

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError

from workflow_scheduler.core.definition.document import (
    DEPTH_MAX,
    INTEGER_BITS,
    Document,
    Path,
    Place,
    Places,
    invalid,
    line_and_column,
    text_error,
)
from workflow_scheduler.core.errors import FieldError

_CORE = "tag:yaml.org,2002:"
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_A_NUMBER = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DIGITS_MAX = 400
# The scanner takes 50 us and more for each value, and time that grows with the square of some tokens' length.
YAML_NODES_MAX = 100_000
LINE_CHARACTERS_MAX = 100_000
_DOCUMENT_NODES = 10
_MERGE = "<<"


def parse_yaml(text: str) -> list[Document]:
    """Return the documents of a YAML text; an empty document is left out.

    Raises:
        DefinitionInvalid: the text is not YAML, or passes a bound.

    """
    for number, content in enumerate(text.splitlines(), 1):
        if len(content) > LINE_CHARACTERS_MAX:
            raise invalid([text_error(f"the line has more than {LINE_CHARACTERS_MAX:,} characters", number, 1)])
    try:
        return list(_documents(text))
    except MarkedYAMLError as error:
        raise invalid([_syntax_error(error)]) from error
    except ReaderError as error:
        line, column = line_and_column(text, error.position)
        message = f"the character U+{ord(text[error.position]):04X} is not allowed in YAML"
        raise invalid([text_error(message, line, column)]) from error
    except (YAMLError, RecursionError, ValueError) as error:
        raise invalid([text_error(f"not valid YAML: {error}")]) from error


def _documents(text: str) -> Iterator[Document]:
    events = YAML(typ="safe", pure=True).parse(text)
    nodes = 0
    for event in events:
        if isinstance(event, DocumentStartEvent):
            builder = _Builder(events, nodes + _DOCUMENT_NODES)
            value = builder.document()
            nodes = builder.nodes
            if value is None and not builder.errors:
                continue
            places = Places(builder.keys, builder.values)
            yield Document(value, lambda places=places: places, tuple(builder.errors))  # type: ignore[misc]
        elif isinstance(event, StreamEndEvent):
            return


def _syntax_error(error: MarkedYAMLError) -> FieldError:
    mark = error.problem_mark or error.context_mark
    message = error.problem or error.context or "it cannot be read"
    if "'\\t'" in message:
        message = "a tab cannot be used for indentation; use spaces"
    if error.context and error.problem and error.context_mark is not None:
        message = f"{message} ({error.context} that began at line {error.context_mark.line + 1})"
    return text_error(message, mark.line + 1 if mark else None, mark.column + 1 if mark else None)


class _Builder:
    """Builds one document from parser events."""

    def __init__(self, events: Iterator[Any], nodes: int) -> None:
        """Take events from `events` until the document ends; `nodes` were taken by the documents before it."""
        self._events = events
        self._anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = nodes
        self.keys: dict[Path, Place] = {}
        self.values: dict[Path, Place] = {}
        self.errors: list[FieldError] = []

    def document(self) -> Any:
        """Return the value of the document."""
        value = self._node(next(self._events), (), 0)
        end = next(self._events)
        if not isinstance(end, DocumentEndEvent):
            self._refuse(end, "a document holds one value")
        return value

    def _refuse(self, event: Any, message: str) -> Never:
        line, column = _place(event)
        raise invalid([text_error(message, line, column)])

    def _complain(self, event: Any, message: str) -> None:
        line, column = _place(event)
        self.errors.append(text_error(message, line, column))

    def _count(self, event: Any, nodes: int) -> None:
        self.nodes += nodes
        if self.nodes > YAML_NODES_MAX:
            self._refuse(event, f"the file holds more than {YAML_NODES_MAX:,} values once its aliases are expanded")

    def _node(self, event: NodeEvent, path: Path, depth: int) -> Any:
        if depth > DEPTH_MAX:
            self._refuse(event, f"values are nested more than {DEPTH_MAX} deep")
        self._count(event, 1)
        self.values.setdefault(path, _place(event))
        if isinstance(event, AliasEvent):
            return self._alias(event)
        before = self.nodes
        value = self._content(event, path, depth)
        if event.anchor:
            self._anchors[event.anchor] = (value, self.nodes - before + 1)
        return value

    def _alias(self, event: AliasEvent) -> Any:
        found = self._anchors.get(event.anchor)
        if found is None:
            self._refuse(event, f"the alias `*{event.anchor}` names no anchor above it")
        self._count(event, found[1])
        return found[0]

    def _content(self, event: NodeEvent, path: Path, depth: int) -> Any:
        if isinstance(event, ScalarEvent):
            return self._scalar(event)
        tag = _tag(event)
        if tag not in {None, "!", f"{_CORE}map", f"{_CORE}seq"}:
            self._complain(event, f"the tag `{tag}` is not supported")
        if isinstance(event, MappingStartEvent):
            return self._mapping(path, depth)
        items: list[Any] = []
        while not isinstance(item := next(self._events), SequenceEndEvent):
            items.append(self._node(item, (*path, len(items)), depth + 1))
        return items

    def _mapping(self, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[tuple[Any, Any]] = []
        while not isinstance(event := next(self._events), MappingEndEvent):
            key = self._key(event)
            plain_merge = key == _MERGE and event.style not in {"'", '"'}
            here = (*path, key)
            if plain_merge:
                merged.append((event, self._node(next(self._events), here, depth + 1)))
                continue
            if key in found:
                first = self.keys[here][0]
                self._complain(event, f"the key `{key}` is there twice; it was given first in line {first}")
            else:
                self.keys[here] = _place(event)
            found[key] = self._node(next(self._events), here, depth + 1)
        for event, value in merged:
            self._merge(found, event, value)
        return found

    def _key(self, event: NodeEvent) -> str:
        if not isinstance(event, ScalarEvent):
            self._refuse(event, "a key must be a plain text")
        self._count(event, 1)
        return self._text(event)

    def _merge(self, into: dict[str, Any], event: Any, value: Any) -> None:
        for part in value if isinstance(value, list) else [value]:
            if not isinstance(part, dict):
                self._complain(event, "`<<` merges mappings only")
                return
            for key, inherited in part.items():
                into.setdefault(key, inherited)

    def _text(self, event: ScalarEvent) -> str:
        text: str = event.value
        if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
            self._complain(event, "the text holds NUL or half of a surrogate pair, which cannot be stored")
            return ""
        return text

    def _scalar(self, event: ScalarEvent) -> Any:
        text = self._text(event)
        tag = _tag(event)
        if tag is None:
            return self._resolve(event, text) if event.implicit[0] else text
        if tag in {"!", f"{_CORE}str"}:
            return text
        if tag in {f"{_CORE}int", f"{_CORE}float", f"{_CORE}bool", f"{_CORE}null"}:
            return self._resolve(event, text)
        self._complain(event, f"the tag `{tag}` is not supported")
        return text

    def _resolve(self, event: ScalarEvent, text: str) -> Any:
        if text in _CONSTANTS:
            return _CONSTANTS[text]
        if text[0] not in "+-.0123456789" or len(text) > _DIGITS_MAX:
            return text
        for pattern, base in ((_INTEGER, 10), (_OCTAL, 8), (_HEX, 16)):
            if pattern.fullmatch(text):
                number = int(text if base == 10 else text[2:], base)  # noqa: PLR2004 -- decimal
                if number.bit_length() > INTEGER_BITS:
                    self._complain(event, "the number is too large; write it in quotes")
                return number
        if _FLOAT.fullmatch(text):
            value = float(text)
            if math.isfinite(value):
                return value
            self._complain(event, "the number is too large; write it in quotes")
        elif _NOT_A_NUMBER.fullmatch(text):
            self._complain(event, f"`{text}` is not a number that JSON can hold")
        return text


def _place(event: Any) -> Place:
    return event.start_mark.line + 1, event.start_mark.column + 1


def _tag(event: Any) -> str | None:
    tag = event.tag
    return None if tag is None else str(tag)
